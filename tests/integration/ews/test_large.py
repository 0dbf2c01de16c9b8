"""A large mail that there is no room for stays what it is, however often it is asked for."""

from __future__ import annotations

import errno
import hashlib
import os
from typing import TYPE_CHECKING

from bridge.adapters.ews.inbox import EwsInbox
from bridge.adapters.spool import Spool, no_room
from bridge.domain.mail import FailedFetch, SpooledMail
from bridge.errors import BlobStoreUnusable
from tests.support.ews import ews_client
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_ADDRESS = "dispatch@example.org"
_SIZE = 20_000_000
_ROOM = 5_000_000


async def test_a_mail_that_there_is_no_room_for_on_the_way_is_fetched_whole_once_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = f"From: cad@example.com\r\nTo: {_ADDRESS}\r\nSubject: Plans\r\n\r\n".encode()
    mime = head + b"0123456789\r\n" * (_SIZE // 12)
    append = Spool.append

    def append_a_little(self: Spool, piece: bytes) -> None:
        if os.fstat(self.descriptor).st_size > _ROOM:
            raise no_room(OSError(errno.ENOSPC, "full"))
        append(self, piece)

    with (
        SandboxProcess(tmp_path / "sandbox", mailboxes=[_ADDRESS]) as sandbox,
        ews_client(sandbox, connections=1) as client,
    ):
        sandbox.deliver(_ADDRESS, mime)
        inbox = EwsInbox(client, _ADDRESS)
        [ref] = (await inbox.list_waiting("inbox", limit=10)).refs
        with monkeypatch.context() as patched:
            patched.setattr(Spool, "append", append_a_little)
            outcomes = [(await inbox.fetch([ref]))[0] for _ in range(4)]
        [fetched] = await inbox.fetch([ref])

    for outcome in outcomes:
        assert isinstance(outcome, FailedFetch)
        assert isinstance(outcome.error, BlobStoreUnusable)
        assert outcome.error.code == "spool_unusable"
    assert isinstance(fetched, SpooledMail)
    assert fetched.sha256 == hashlib.sha256(fetched.file.read()).hexdigest()
    assert fetched.file.read().endswith(mime[-_SIZE // 2 :])
