"""Large mails are read in processes of their own: whatever becomes of those, the mail has its messages."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.system.parser_child import LENGTH
from bridge.adapters.system.parser_job import Job
from bridge.adapters.system.parser_subprocess import ParserSubprocesses
from bridge.domain.mail import FetchedMail, MailProperties, MailRef, UnconvertibleMail
from bridge.errors import MailUnreadable
from bridge.wire import inbound_v1
from bridge.wire.inbound_messages import composed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bridge.ports.broker import Message

_CHILD = ("-m", "bridge.adapters.system.parser_child")


def _mail(raw: bytes) -> FetchedMail:
    return FetchedMail(MailRef("m" * 40, "item", datetime(2026, 1, 1, tzinfo=UTC), len(raw), "IPM.Note"), raw)


_MAIL = _mail(b"Subject: x\r\n\r\n" + b"text\r\n" * 50_000)


def _expected(mail: FetchedMail | UnconvertibleMail) -> list[Message]:
    return composed(mail, "dispatch", seconds=10).messages


def _read(mail: FetchedMail | UnconvertibleMail, child: Sequence[str], *, times: int = 1) -> Sequence[Message]:
    async def read() -> Sequence[Message]:
        aside = ParserSubprocesses(child=child)
        try:
            return [message for _ in range(times) for message in (await aside.composed(mail, "dispatch")).messages]
        finally:
            await aside.close()

    return asyncio.run(read())


def _defects(messages: Sequence[Message]) -> tuple[str, ...]:
    [message] = messages
    payload = inbound_v1.from_json(message.body)
    assert payload.raw is not None
    assert payload.raw.data() == _MAIL.mime
    return payload.defects


def _script(tmp_path: Path, first_time: str) -> tuple[str, ...]:
    """Return a process that does this once, and is the real one from then on."""
    script = tmp_path / "child.py"
    mark = tmp_path / "began"
    script.write_text(
        f"import os, pathlib, signal, sys\nmark = pathlib.Path({str(mark)!r})\n"
        f"if not mark.exists():\n    mark.touch()\n    {first_time}\n"
        "from bridge.adapters.system.parser_child import main\nmain()\n"
    )
    return (str(script),)


def test_a_mail_read_aside_has_the_same_messages() -> None:
    expected = _expected(_MAIL)

    assert _read(_MAIL, _CHILD, times=2) == expected * 2


def test_a_mail_of_properties_is_read_aside_too() -> None:
    mail = UnconvertibleMail(_MAIL.ref, MailProperties(subject="x"), "ErrorContentConversionFailed")

    assert _read(mail, _CHILD) == _expected(mail)


def test_a_mail_whose_process_the_kernel_ended_over_its_time_goes_out_with_its_bytes(tmp_path: Path) -> None:
    """Not tried again: it would take as long."""
    child = _script(tmp_path, "os.kill(os.getpid(), signal.SIGXCPU)")

    assert _defects(_read(_MAIL, child)) == ("parse_time_exceeded",)


@pytest.mark.parametrize(
    "end", ["os.kill(os.getpid(), signal.SIGKILL)", "sys.exit(0)", "os.write(1, b'x' * 4); os._exit(1)"]
)
def test_a_mail_whose_process_died_of_something_else_is_read_in_another(tmp_path: Path, end: str) -> None:
    assert _read(_MAIL, _script(tmp_path, end)) == _expected(_MAIL)


@pytest.mark.parametrize("how", ["os.kill(os.getpid(), signal.SIGSTOP)", "import time; time.sleep(600)"])
def test_a_mail_whose_process_stands_still_is_soon_read_in_another(tmp_path: Path, how: str) -> None:
    async def read() -> Sequence[Message]:
        aside = ParserSubprocesses(child=_script(tmp_path, how), stalled_seconds=2.0)
        try:
            async with asyncio.timeout(60):
                return (await aside.composed(_MAIL, "dispatch")).messages
        finally:
            await aside.close()

    assert asyncio.run(read()) == _expected(_MAIL)


def test_a_mail_whose_every_process_stands_still_goes_out_with_its_bytes() -> None:
    async def read() -> Sequence[Message]:
        aside = ParserSubprocesses(
            child=("-c", "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"), stalled_seconds=1.0
        )
        try:
            async with asyncio.timeout(60):
                return (await aside.composed(_MAIL, "dispatch")).messages
        finally:
            await aside.close()

    assert _defects(asyncio.run(read())) == ("parser_failed",)


def test_a_mail_that_ends_every_process_goes_out_with_its_bytes() -> None:
    assert _defects(_read(_MAIL, ("-c", "raise SystemExit(1)"))) == ("parser_failed",)


def test_processes_that_died_while_they_waited_are_not_held_against_a_mail() -> None:
    async def read() -> Sequence[Message]:
        aside = ParserSubprocesses()
        await asyncio.gather(aside.composed(_MAIL, "dispatch"), aside.composed(_MAIL, "dispatch"))
        waiting = [process.pid for process in aside._idle]
        assert len(waiting) == 2
        for pid in waiting:
            os.kill(pid, signal.SIGKILL)
        try:
            return (await aside.composed(_MAIL, "dispatch")).messages
        finally:
            await aside.close()

    assert asyncio.run(read()) == _expected(_MAIL)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_signals_to_the_whole_group_are_for_the_worker_alone(number: signal.Signals) -> None:
    """A reload by `pkill -HUP`, or a terminal that goes, ends no process that reads a mail."""

    async def read() -> tuple[Sequence[Message], list[int], list[int]]:
        aside = ParserSubprocesses()
        await aside.composed(_MAIL, "dispatch")
        before = [process.pid for process in aside._idle]
        for pid in before:
            os.kill(pid, number)
        try:
            return (await aside.composed(_MAIL, "dispatch")).messages, before, [one.pid for one in aside._idle]
        finally:
            await aside.close()

    messages, before, after = asyncio.run(read())

    assert messages == _expected(_MAIL)
    assert before == after


def test_a_machine_without_room_for_a_process_reads_the_mail_in_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError

    monkeypatch.setattr(asyncio, "create_subprocess_exec", refuse)

    assert _read(_MAIL, _CHILD) == _expected(_MAIL)


def test_a_mail_of_properties_that_ends_every_process_is_one_to_be_parked() -> None:
    mail = UnconvertibleMail(_MAIL.ref, MailProperties(), "ErrorContentConversionFailed")

    with pytest.raises(MailUnreadable):
        _read(mail, ("-c", ""))


def test_a_mail_for_which_there_is_no_memory_does_not_end_the_process() -> None:
    with subprocess.Popen([sys.executable, *_CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        answers = []
        for memory_bytes in (1, 1 << 40):
            frame = pickle.dumps(Job(_mail(b"\r\n" * 10_000_000), "dispatch", 10.0, memory_bytes, None))
            child.stdin.write(LENGTH.pack(len(frame)) + frame)
            child.stdin.flush()
            (length,) = LENGTH.unpack(child.stdout.read(LENGTH.size))
            answers.append(pickle.loads(child.stdout.read(length)))  # noqa: S301 - from the code under test
        child.stdin.close()

    assert answers[0] is None
    assert inbound_v1.from_json(answers[1].messages[0].body).defects == ()
    assert child.returncode == 0


def test_the_answer_to_a_mail_that_was_given_up_is_not_taken_for_that_to_another(tmp_path: Path) -> None:
    async def read() -> Sequence[Message]:
        aside = ParserSubprocesses(child=_script(tmp_path, "signal.pause()"))
        given_up = asyncio.create_task(aside.composed(_mail(b"Subject: other\r\n\r\n"), "dispatch"))
        while not (tmp_path / "began").exists():
            await asyncio.sleep(0.01)
        given_up.cancel()
        await asyncio.wait([given_up])
        assert given_up.cancelled()
        try:
            return (await aside.composed(_MAIL, "dispatch")).messages
        finally:
            await aside.close()

    assert asyncio.run(read()) == _expected(_MAIL)


def test_the_event_loop_goes_on_while_a_mail_is_read() -> None:
    """
    Single regular expressions take long in it; a heartbeat comes twice a second at the most.

    What this process computes between two turns of the loop is what holds it up on any machine.
    """
    mail = _mail(b"Content-Type: text/html\r\n\r\n" + b"<a ='" * 1_500_000)

    async def longest_stall() -> float:
        aside = ParserSubprocesses()
        reading = asyncio.create_task(aside.composed(mail, "dispatch"))
        worst, last = 0.0, time.process_time()
        while not reading.done():
            await asyncio.sleep(0.005)
            now = time.process_time()
            worst, last = max(worst, now - last), now
        assert reading.result()
        await aside.close()
        return worst

    assert asyncio.run(longest_stall()) < 0.5


def test_a_process_ends_with_its_worker(tmp_path: Path) -> None:
    """Killed, the worker can end nothing; its end of the pipe closes all the same."""
    worker = (
        "import asyncio, os, signal, sys\n"
        "from bridge.adapters.system.parser_subprocess import ParserSubprocesses\n"
        "from bridge.domain.mail import FetchedMail, MailRef\n"
        "async def read():\n"
        "    aside = ParserSubprocesses(child=(sys.argv[1],))\n"
        "    await aside.composed(FetchedMail(MailRef('m' * 40, 'i', None, 1, 'IPM.Note'), b'x'), 'dispatch')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(read())\n"
    )
    child, ended = tmp_path / "child.py", tmp_path / "ended"
    child.write_text(
        "import pathlib\nfrom bridge.adapters.system.parser_child import main\nmain()\n"
        f"pathlib.Path({str(ended)!r}).touch()\n"
    )

    killed = subprocess.run([sys.executable, "-c", worker, str(child)], check=False)

    assert killed.returncode == -signal.SIGKILL
    until = time.monotonic() + 20
    while not ended.exists():
        assert time.monotonic() < until
        time.sleep(0.02)
