"""Kills at any moment: what was answered is kept, nothing happens twice."""

from __future__ import annotations

import random
import smtplib
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import requests

from tests.support.sandbox import SandboxProcess
from tests.support.soap import EwsClient

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
    worker.join()


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
            while time.monotonic() < until or number < 50:
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
            while time.monotonic() < until or number < 50:
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


def _settled(sandbox: SandboxProcess) -> None:
    until = time.monotonic() + 30
    while sandbox.mails(_DISPATCH, "outbox"):
        assert time.monotonic() < until
        time.sleep(0.05)
