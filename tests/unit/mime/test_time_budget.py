"""No mail takes longer than it may, whatever the code is that it keeps busy."""

from __future__ import annotations

import hashlib
import re
import signal
import threading
import time
from datetime import UTC, datetime

import pytest

from bridge.domain.mail import FetchedMail, MailProperties, MailRef, UnconvertibleMail
from bridge.errors import MailUnreadable
from bridge.mime.time_budget import ParseTimeExceeded, cpu_seconds
from bridge.wire import inbound_build, inbound_v1

_EXPONENTIAL = re.compile(r"(?:a+)+$")


def _forever() -> None:
    _EXPONENTIAL.match("a" * 60 + "b")


def test_a_regular_expression_without_end_is_interrupted() -> None:
    started = time.process_time()

    with pytest.raises(ParseTimeExceeded), cpu_seconds(0.1):
        _forever()

    assert time.process_time() - started < 2.0


def test_time_in_which_nothing_is_computed_does_not_count() -> None:
    started = time.thread_time()

    with pytest.raises(ParseTimeExceeded), cpu_seconds(0.1):  # noqa: PT012 - the budget is whole after the sleep
        time.sleep(0.3)
        _forever()

    assert time.thread_time() - started >= 0.1


def test_what_other_threads_compute_does_not_count() -> None:
    def compute() -> None:
        until = time.thread_time() + 0.4
        while time.thread_time() < until:
            hashlib.pbkdf2_hmac("sha256", b"", b"", 100_000)  # without the interpreter's lock

    other = threading.Thread(target=compute)
    before, own = time.process_time(), time.thread_time()

    with pytest.raises(ParseTimeExceeded), cpu_seconds(0.1):  # noqa: PT012 - the budget is whole after the other thread
        other.start()
        other.join()
        assert time.process_time() - before > 0.3
        _forever()

    assert time.thread_time() - own >= 0.1


def test_what_ends_in_time_is_not_disturbed_later() -> None:
    with cpu_seconds(0.05):
        pass

    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
    until = time.process_time() + 0.2
    while time.process_time() < until:
        pass


def test_each_mail_has_its_own_time() -> None:
    for _ in range(5):
        with cpu_seconds(0.1):
            until = time.process_time() + 0.05
            while time.process_time() < until:
                pass
    started = time.thread_time()

    with pytest.raises(ParseTimeExceeded), cpu_seconds(0.1):
        _forever()

    assert time.thread_time() - started >= 0.1


def test_another_thread_has_no_ceiling_and_leaves_that_of_the_main_thread_alone() -> None:
    def inner() -> None:
        with cpu_seconds(0.0):
            pass

    with pytest.raises(ParseTimeExceeded), cpu_seconds(0.1):  # noqa: PT012 - the thread comes in between
        thread = threading.Thread(target=inner)
        thread.start()
        thread.join()
        _forever()


def test_a_mail_that_takes_too_long_goes_out_with_its_bytes_and_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(_raw: bytes) -> None:
        _forever()

    monkeypatch.setattr(inbound_build, "parse", parse)
    mail = FetchedMail(MailRef("m" * 40, "item", datetime(2026, 1, 1, tzinfo=UTC), 3, "IPM.Note"), b"a\0\xff")

    payload = inbound_v1.from_json(inbound_v1.to_json(inbound_build.compose(mail, "dispatch", seconds=0.1)))

    assert payload.defects == ("parse_time_exceeded",)
    assert payload.raw is not None
    assert payload.raw.data() == mail.mime


def test_a_mail_of_properties_that_take_too_long_is_one_to_be_parked(monkeypatch: pytest.MonkeyPatch) -> None:
    def from_properties(_properties: MailProperties) -> None:
        _forever()

    monkeypatch.setattr(inbound_build, "from_properties", from_properties)
    mail = UnconvertibleMail(MailRef("m" * 40, "item", None, 3, "IPM.Note"), MailProperties(), "ErrorX")

    with pytest.raises(MailUnreadable):
        inbound_build.compose(mail, "dispatch", seconds=0.1)
