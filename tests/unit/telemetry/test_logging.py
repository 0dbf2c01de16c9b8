"""No marker planted in content, libraries' logs or exceptions reaches a line."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import logging
import sys
import threading
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from bridge.cli.run import tell_of_lost_error
from bridge.errors import MailboxUnavailable
from bridge.telemetry.emitter import Emitter
from bridge.telemetry.events import Event
from bridge.telemetry.failures import code_of, describe
from bridge.telemetry.logging import LibraryHandler, configure, count_lines_in, logger
from bridge.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

MARKER = "mArKeR-of-the-patient"


class ForeignError(Exception):
    """What a library would raise, with content in its text."""


def fail() -> None:
    raise ForeignError(MARKER)


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level, sys.excepthook, threading.excepthook, sys.unraisablehook
    stream = io.StringIO()
    configure(style="json", level="debug", stream=stream)
    yield stream
    root.handlers[:], level, sys.excepthook, threading.excepthook, sys.unraisablehook = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    count_lines_in(None)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    "name",
    ["exchangelib.util", "msal.application", "requests_oauthlib", "urllib3.connectionpool", "pika", "anything.else"],
)
def test_libraries_never_put_words_on_a_line(out: io.StringIO, name: str) -> None:
    library = logging.getLogger(name)

    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        library.log(level, "Request XML: %s", MARKER)
        library.log(level, f"already formatted {MARKER}")

    assert MARKER not in out.getvalue()
    assert {line["library"] for line in lines(out)} == {name}
    assert len(lines(out)) == 6


def test_wrapped_libraries_show_only_at_debug_since_events_tell_the_same(out: io.StringIO) -> None:
    configure(style="json", level="info", stream=out)

    logging.getLogger("pika.adapters").error("connection failed")
    logging.getLogger("asyncio").error("something else")

    assert [line["library"] for line in lines(out)] == ["asyncio"]


def test_a_library_that_turns_its_own_level_down_still_gets_no_words(out: io.StringIO) -> None:
    library = logging.getLogger("exchangelib.protocol")
    library.setLevel(logging.DEBUG)

    library.debug("Authorization: Bearer %s", MARKER)
    library.setLevel(logging.NOTSET)

    assert MARKER not in out.getvalue()


def test_a_librarys_exception_is_told_by_class_and_place(out: io.StringIO) -> None:
    try:
        fail()
    except ForeignError:
        logging.getLogger("exchangelib").exception("failed for %s", MARKER)

    (line,) = lines(out)
    assert MARKER not in out.getvalue()
    assert line["error"].endswith("ForeignError")
    assert line["code"] == "unexpected_error"


def test_an_exception_passed_to_our_own_logger_loses_its_text(out: io.StringIO) -> None:
    try:
        try:
            fail()
        except ForeignError as cause:
            raise MailboxUnavailable("no answer") from cause
    except MailboxUnavailable as error:
        logger().error("x.failed", exc_info=True)
        logger().error("x.failed", exc_info=error)
        logger().error("x.failed", failure=error)

    assert MARKER not in out.getvalue()
    first, second, third = lines(out)
    assert first["error"].startswith("bridge.errors.MailboxUnavailable < ")
    assert (second["code"], second["detail"]) == ("mailbox_unavailable", "no answer")
    assert third["failure"]["code"] == "mailbox_unavailable"


def test_fields_that_are_private_by_name_are_left_out_whoever_logs_them(out: io.StringIO) -> None:
    logger().info("x.happened", subject=MARKER, to=[MARKER], token=MARKER, body=MARKER.encode(), attachments=3)

    (line,) = lines(out)
    assert MARKER not in out.getvalue()
    assert line["attachments"] == 3


def test_bytes_become_their_length_times_iso_and_long_texts_are_cut(out: io.StringIO) -> None:
    logger().info("x.happened", some=MARKER.encode(), when=datetime(2026, 1, 1, tzinfo=UTC), long="x" * 10_000)

    (line,) = lines(out)
    assert line["some"] == f"({len(MARKER)} bytes)"
    assert line["when"] == "2026-01-01T00:00:00+00:00"
    assert len(line["long"]) < 600


def test_seconds_are_told_to_the_millisecond(out: io.StringIO) -> None:
    logger().info("x", wait_seconds=1.0416666666666667, count=3)

    (line,) = lines(out)
    assert (line["wait_seconds"], line["count"]) == (1.042, 3)


def test_what_nobody_catches_loses_its_text(out: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    sys.excepthook(ForeignError, ForeignError(MARKER), None)
    warnings.warn(MARKER, UserWarning, stacklevel=1)

    captured = capsys.readouterr()
    assert MARKER not in out.getvalue() + captured.err + captured.out
    assert [line["event"] for line in lines(out)] == ["process.thread_failed", "process.failed", "library.spoke"]


def test_frames_are_our_own_only() -> None:
    def through_the_bridge() -> None:
        class Loud(Event):
            name = "x.happened"

            def record(self, metrics: Metrics) -> None:
                raise ForeignError(MARKER)

        Emitter(Metrics())(Loud())

    with pytest.raises(ForeignError) as caught:
        through_the_bridge()

    told = describe(caught.value)
    assert told["at"] == [frame for frame in told["at"] if frame.startswith("bridge/")]  # type: ignore[attr-defined]
    assert "emitter.py" in str(told["at"])


def test_a_chain_without_end_and_a_group_are_told() -> None:
    first, second = ForeignError(MARKER), ForeignError(MARKER)
    first.__cause__, second.__cause__ = second, first
    group = ExceptionGroup(MARKER, [MailboxUnavailable()])

    assert MARKER not in str(describe(first)) + str(describe(group))
    assert "MailboxUnavailable" in str(describe(group))
    assert code_of(group) == "unexpected_error"


@dataclass(frozen=True)
class Counted(Event):
    name = "x.counted"
    level = "warning"

    mailbox: str

    def record(self, metrics: Metrics) -> None:
        metrics.ingest_fetched.labels(self.mailbox).inc()


def test_an_event_is_counted_and_logged_with_its_level(out: io.StringIO) -> None:
    metrics = Metrics()

    Emitter(metrics)(Counted("dispatch"))

    (line,) = lines(out)
    assert (line["event"], line["level"], line["mailbox"]) == ("x.counted", "warning", "dispatch")
    assert metrics.registry.get_sample_value("bridge_ingest_fetched_mails_total", {"mailbox": "dispatch"}) == 1


def test_a_log_that_cannot_be_written_stops_nothing_and_is_counted(out: io.StringIO) -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

    metrics = Metrics()
    configure(style="json", stream=Full())
    count_lines_in(metrics)

    logger().warning("x.happened")

    assert metrics.registry.get_sample_value("bridge_process_lost_log_lines_total") == 1
    assert metrics.registry.get_sample_value("bridge_process_log_lines_total", {"level": "warning"}) == 1


def test_a_terminal_gets_text_and_everything_else_json(out: io.StringIO) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        configure(style="auto", stream=stream)
        logger().info("x.happened", mailbox="dispatch")

    assert not terminal.getvalue().startswith("{")
    assert json.loads(pipe.getvalue())["mailbox"] == "dispatch"


def test_the_level_that_is_configured_is_the_least_that_is_written(out: io.StringIO) -> None:
    configure(style="json", level="warning", stream=out)

    logger().info("x.happened")
    logger().warning("y.happened")

    assert [line["event"] for line in lines(out)] == ["y.happened"]


def test_what_a_library_says_over_and_over_is_written_a_few_times_a_minute(out: io.StringIO) -> None:
    """asyncio says that it cannot accept connections as often as it tries."""
    now = 0.0
    logging.getLogger().handlers[:] = [LibraryHandler(lambda: now)]
    metrics = Metrics()
    count_lines_in(metrics)
    library = logging.getLogger("asyncio")

    for moment in (*(number / 100 for number in range(1_000)), 61.0):
        now = moment
        library.error("socket.accept() out of system resource")
    library.error("something else, elsewhere")
    count_lines_in(None)

    *first, again, other = lines(out)
    assert len(first) == 5
    assert (again["left_out"], "left_out" in other) == (995, False)
    assert metrics.left_out_log_lines._value.get() == 995


def test_an_error_that_nobody_awaits_is_told_a_few_times_a_minute(out: io.StringIO) -> None:
    loop = asyncio.new_event_loop()

    for _ in range(1_000):
        tell_of_lost_error(loop, {"exception": OSError(errno.EMFILE, "Too many open files")})
    loop.close()

    told = lines(out)
    assert len(told) == 5
    assert {(line["event"], line["code"]) for line in told} == {("process.error_unattended", "descriptors_exhausted")}
