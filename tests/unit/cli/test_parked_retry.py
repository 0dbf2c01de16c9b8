"""What a retry of parked mail says beforehand, and afterwards."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from unittest.mock import AsyncMock, Mock

import pytest

from bridge.adapters.system.parser_subprocess import ParserSubprocesses
from bridge.cli import parked_retry
from bridge.cli.parked_retry import Rehearsal, Tried, follow
from bridge.errors import MailboxUnavailable
from bridge.ports.parked import ParkedMail
from tests.support.memory.inbox import MemoryInbox
from tests.unit.ingest.doubles import a_mail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.domain.mail import MailRef, Removal


@pytest.mark.parametrize(
    ("largest", "unreadable", "code"),
    [(100_000, False, None), (1_000, False, "too_large_for_broker"), (100_000, True, "mail_unreadable")],
)
async def test_what_would_stop_a_mail_again_is_told_by_doing_what_a_worker_does(
    largest: int, unreadable: bool, code: str | None
) -> None:
    mail = a_mail(1, mime=b"Subject: x\r\n\r\n" + b"text " * 1_000)
    inbox, aside = MemoryInbox(mail), ParserSubprocesses()
    if unreadable:
        inbox.unreadable.add(mail.ref.item_id)
    try:
        assert await Rehearsal(aside, largest, None).stops("dispatch", inbox, mail.ref) == code
    finally:
        await aside.close()


async def test_trouble_that_passes_is_no_reason_of_a_mail() -> None:
    mail, aside = a_mail(1), ParserSubprocesses()
    inbox = MemoryInbox(mail)
    inbox.fails["fetch"] = MailboxUnavailable()
    try:
        with pytest.raises(MailboxUnavailable):
            await Rehearsal(aside, 1_000, None).stops("dispatch", inbox, mail.ref)
    finally:
        await aside.close()


class Parked:
    """The folder of parked mails, which a worker fills meanwhile."""

    def __init__(self) -> None:
        self.mails: list[ParkedMail] = []

    async def list_parked(self) -> Sequence[ParkedMail]:
        return self.mails

    async def put_back(self, mails: Sequence[MailRef]) -> Sequence[Removal]:
        raise NotImplementedError


async def test_a_mail_that_was_put_back_is_followed_to_where_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Published, or parked again with its reason, which is written after the move."""
    monkeypatch.setattr(parked_retry, "_LOOK_SECONDS", 0.01)
    published, bad = a_mail(1), a_mail(2)
    inbox, parked = MemoryInbox(), Parked()
    parked.mails = [ParkedMail(bad.ref, None)]
    tried = [Tried("dispatch", mail.ref.message_id, "put_back") for mail in (published, bad)]
    following = asyncio.create_task(follow(tried, inbox, parked, asyncio.get_running_loop().time() + 60))
    async with asyncio.timeout(30):
        while tried[0].outcome != "published":
            await asyncio.sleep(0.001)
        assert tried[1].outcome == "waiting"
        parked.mails = [ParkedMail(bad.ref, "mail_unreadable")]
        await following

    assert [(one.outcome, one.code) for one in tried] == [("published", "ok"), ("parked_again", "mail_unreadable")]


def test_a_retry_of_all_says_that_nothing_is_parked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would end without a word otherwise."""
    monkeypatch.setattr(parked_retry, "_retry", AsyncMock(return_value=[]))

    code = parked_retry.retry(Mock(), (), (), every=True, force=False, wait_seconds=None, as_json=False)

    assert code == 0
    assert capsys.readouterr().err == "nothing is parked\n"


async def test_a_mail_that_stays_in_the_inbox_is_waited_for_until_the_time_is_over() -> None:
    mail = a_mail(1)
    tried = [Tried("dispatch", mail.ref.message_id, "put_back")]

    await follow(tried, MemoryInbox(mail), Parked(), asyncio.get_running_loop().time())

    assert [(one.outcome, one.code) for one in tried] == [("waiting", "ok")]
