"""Kills at any moment: what was answered is kept, nothing happens twice."""

from __future__ import annotations

import random
import smtplib
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import requests

from tests.support.sandbox import SandboxProcess
from tests.support.soap import EwsClient
from tests.support.waits import joined

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_DISPATCH, _CREW = "dispatch@example.org", "crew@example.org"
_KILLS = 8


def _kill_at_random(sandbox: SandboxProcess, work: Callable[[], None], *, seed: int) -> None:
    """Kill and restart the sandbox several times while `work` goes on in a thread."""
    moments = random.Random(seed)
    worker = threading.Thread(target=work)
    worker.start()
    for _ in range(_KILLS):
        worker.join(moments.uniform(0.05, 0.4))
        sandbox.restart()
    joined(worker)


def test_sends_are_kept_and_delivered_once_whenever_the_sandbox_is_killed(tmp_path: Path) -> None:
    """Accepted and answered: there. Not answered: there or not, but never twice, and delivered if there."""
    with SandboxProcess(tmp_path / "sandbox", mailboxes=[_DISPATCH, _CREW]) as sandbox:
        # More than 30 in a minute, and all are waited for.
        sandbox.admin("/settings", method="PUT", body={"sends_per_minute": None})
        answered: list[str] = []
        ews = EwsClient(sandbox, _DISPATCH)

        def send() -> None:
            until = time.monotonic() + _KILLS * 0.7
            number = 0
            while time.monotonic() < until or number < 50 or len(answered) <= _KILLS:
                number += 1
                message_id = f"<{number}@kills>"
                mime = f"Message-ID: {message_id}\r\nTo: {_CREW}\r\nSubject: {number}\r\n\r\nBody\r\n".encode()
                try:
                    if ews.post(ews.send(mime)).status_code == requests.codes.ok:
                        answered.append(message_id)
                except requests.exceptions.ConnectionError:
                    time.sleep(0.02)

        _kill_at_random(sandbox, send, seed=1)
        _settled(sandbox)

        accepted = Counter(entry["internet_message_id"] for entry in sandbox.sends())
        delivered = Counter(mail["internet_message_id"] for mail in sandbox.mails(_CREW))
        copies = Counter(mail["internet_message_id"] for mail in sandbox.mails(_DISPATCH, "sentitems"))
        assert len(answered) > _KILLS
        assert set(answered) <= set(accepted)
        assert set(accepted.values()) == {1}
        assert delivered == accepted
        assert copies == accepted


def test_mail_by_smtp_is_kept_once_acknowledged_whenever_the_sandbox_is_killed(tmp_path: Path) -> None:
    """To both recipients or to none: the sender repeats the whole mail when it saw no answer."""
    with SandboxProcess(tmp_path / "sandbox", mailboxes=[_DISPATCH, _CREW]) as sandbox:
        acknowledged: set[str] = set()

        def deliver() -> None:
            until = time.monotonic() + _KILLS * 0.7
            number = 0
            while time.monotonic() < until or number < 50 or len(acknowledged) <= _KILLS:
                number += 1
                message_id = f"<{number}@kills>"
                try:
                    sandbox.deliver([_DISPATCH, _CREW], f"Message-ID: {message_id}\r\n\r\nBody\r\n".encode())
                except (OSError, smtplib.SMTPException):
                    time.sleep(0.02)
                else:
                    acknowledged.add(message_id)

        _kill_at_random(sandbox, deliver, seed=2)

        kept = [Counter(mail["internet_message_id"] for mail in sandbox.mails(box)) for box in (_DISPATCH, _CREW)]
        assert len(acknowledged) > _KILLS
        assert kept[0] == kept[1]
        assert acknowledged <= set(kept[0])
        assert set(kept[0].values()) == {1}


def test_a_call_for_many_items_is_done_whole_or_not_at_all_whenever_the_sandbox_is_killed(tmp_path: Path) -> None:
    """Killed at any moment of a call that takes a while: all mails are where they were, or none."""
    moments, many, outcomes = random.Random(3), 150, Counter[int]()
    with SandboxProcess(tmp_path / "sandbox", mailboxes=[_DISPATCH]) as sandbox:
        ews = EwsClient(sandbox, _DISPATCH)
        empty = (
            '<m:EmptyFolder DeleteType="SoftDelete" DeleteSubFolders="false"><m:FolderIds>'
            '<t:DistinguishedFolderId Id="inbox"/></m:FolderIds></m:EmptyFolder>'
        )

        def ask() -> None:
            with suppress(requests.exceptions.ConnectionError):
                ews.post(empty)

        seconds = 0.0
        for attempt in range(_KILLS + 1):
            for number in range(many - len(sandbox.mails(_DISPATCH))):
                sandbox.deliver(_DISPATCH, f"Message-ID: <{attempt}-{number}@kills>\r\n\r\nBody\r\n".encode())
            started = time.monotonic()
            asking = threading.Thread(target=ask)
            asking.start()
            if not attempt:
                joined(asking)  # the first shows how long it takes
                seconds = time.monotonic() - started
                continue
            asking.join(seconds * moments.uniform(0.5, 1.0))
            sandbox.restart()
            joined(asking)
            left = len(sandbox.mails(_DISPATCH))
            outcomes[left] += 1
            # Too late, or in time: so the kills gather about the end of the call.
            seconds *= 1.3 if left else 0.5

    assert set(outcomes) <= {0, many}, outcomes
    assert outcomes[many] > 0, outcomes


def _settled(sandbox: SandboxProcess) -> None:
    until = time.monotonic() + 30
    while sandbox.mails(_DISPATCH, "outbox"):
        assert time.monotonic() < until
        time.sleep(0.05)
