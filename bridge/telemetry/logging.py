"""
Log lines: JSON for machines, text for a terminal, nothing private in either.

Only the bridge's own code can put words on a line. Of what libraries log, the logger's name, the level and the place
are kept, never the text: exchangelib logs whole requests when it meets an error and tokens at DEBUG, others log URLs,
headers or SQL. Exceptions are described without their messages (`bridge.telemetry.failures`).
"""

from __future__ import annotations

import logging
import math
import sys
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TextIO

import structlog

from bridge.telemetry.failures import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from types import TracebackType

    from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

    from bridge.telemetry.metrics import Metrics

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

PRIVATE_FIELDS = frozenset({
    "access_token", "address", "addresses", "attachment_name", "attachments", "authorization", "bcc", "body", "cc",
    "client_secret", "content", "from", "from_", "headers", "html", "mime", "name_of_attachment", "password", "payload",
    "recipients", "reply_to", "secret", "sender", "subject", "text", "to", "token", "url", "urls",
})  # fmt: skip
"""Field names that never reach a line, whoever logs them: a second fence behind the rule for events."""

WRAPPED_LIBRARIES = ("exchangelib", "msal", "oauthlib", "pika", "requests", "requests_oauthlib", "spnego", "urllib3")
"""Their adapters tell with events of ours what became of a call; what these say beside it shows at level debug."""

_LONGEST_TEXT = 500
_LINES_A_MINUTE = 5
"""Of one place of a library."""
_MINUTE_SECONDS = 60.0
_FLOAT_DIGITS = 3
"""Milliseconds, where it is seconds."""
_WORDS = structlog.get_logger("bridge")


class _Counts:
    """Where lines are counted, once there are metrics: the log is there before them."""

    metrics: Metrics | None = None


def count_lines_in(metrics: Metrics | None) -> None:
    """Count log lines, written and lost, from now on."""
    _Counts.metrics = metrics


def configure(*, style: str = "auto", level: str = "info", stream: TextIO | None = None) -> None:
    """Log from now on to `stream` (standard error), and route what libraries log and what nobody catches."""
    out = stream if stream is not None else sys.stderr
    text = style == "text" or (style == "auto" and out.isatty())
    render: Any = structlog.dev.ConsoleRenderer(colors=out.isatty()) if text else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _counted,
            _without_exception_texts,
            _without_private_fields,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: _Lines(out),
        cache_logger_on_first_use=False,
    )
    _quiet_libraries()
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable


def logger() -> FilteringBoundLogger:
    """Return the bridge's own logger."""
    bound: FilteringBoundLogger = _WORDS
    return bound


class _Lines:
    """Writes whole lines. A log that cannot be written (disk full, reader gone) is counted and stops no mail."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def _write(self, line: str) -> None:
        try:
            self._out.write(line + "\n")
            self._out.flush()
        except (OSError, ValueError):
            if _Counts.metrics is not None:
                _Counts.metrics.lost_log_lines.inc()

    debug = info = warning = error = critical = exception = msg = _write


class LineLimit:
    """Has what is said over and over written a few times a minute only, with the number of lines that were left out."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._said: dict[Hashable, _Said] = {}

    def fields(self, key: Hashable) -> dict[str, object] | None:
        """Return what is to be on the line beside all else; None where it is left out. Keys are few: places in code."""
        said, now = self._said.setdefault(key, _Said()), self._monotonic()
        if now - said.since >= _MINUTE_SECONDS:
            said.since, said.lines = now, 0
        said.lines += 1
        if said.lines > _LINES_A_MINUTE:
            said.left_out += 1
            if _Counts.metrics is not None:
                _Counts.metrics.left_out_log_lines.inc()
            return None
        left_out, said.left_out = said.left_out, 0
        return {"left_out": left_out} if left_out else {}


@dataclass(slots=True)
class _Said:
    since: float = -math.inf
    lines: int = 0
    left_out: int = 0


class LibraryHandler(logging.Handler):
    """Writes that a library logged something: its name, the level, the place; never the text or its arguments."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._limit = LineLimit(monotonic)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line for a record, unless its place has said enough."""
        fields: dict[str, object] = {"library": record.name, "place": f"{record.module}:{record.lineno}"}
        more = self._limit.fields(tuple(fields.values()))
        if more is None:
            return
        fields |= more
        if record.exc_info and record.exc_info[1] is not None:
            fields |= describe(record.exc_info[1])
        if record.name.partition(".")[0] in WRAPPED_LIBRARIES:
            _WORDS.debug("library.spoke", **fields)
        elif record.levelno >= logging.ERROR:
            _WORDS.error("library.spoke", **fields)
        else:
            _WORDS.warning("library.spoke", **fields)


def _quiet_libraries() -> None:
    """Put the one handler in front of all loggers; below WARNING libraries do not even make their texts."""
    root = logging.getLogger()
    root.handlers[:] = [LibraryHandler()]
    root.setLevel(logging.WARNING)
    for name in (*WRAPPED_LIBRARIES, "aiohttp", "asyncio"):
        library = logging.getLogger(name)
        library.setLevel(logging.WARNING)
        library.handlers[:] = []
        library.propagate = True
    # A broken handler would print the record, text and all.
    logging.raiseExceptions = False
    logging.captureWarnings(capture=True)


def _counted(_: WrappedLogger, __: str, fields: EventDict) -> EventDict:
    if _Counts.metrics is not None:
        _Counts.metrics.log_lines.labels(fields["level"]).inc()
    return fields


def _without_exception_texts(_: WrappedLogger, __: str, fields: EventDict) -> EventDict:
    info = fields.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()[1]
    elif isinstance(info, tuple):
        info = info[1]
    if isinstance(info, BaseException):
        fields.update(describe(info))
    for name, value in fields.items():
        if isinstance(value, BaseException):
            fields[name] = describe(value)
    return fields


def _without_private_fields(_: WrappedLogger, __: str, fields: EventDict) -> EventDict:
    for name, value in list(fields.items()):
        if name in PRIVATE_FIELDS and not isinstance(value, int | float | None):  # a number is a count
            fields[name] = "(left out)"
        elif isinstance(value, float):
            fields[name] = round(value, _FLOAT_DIGITS)
        elif isinstance(value, datetime):
            fields[name] = value.isoformat()
        elif isinstance(value, bytes | bytearray | memoryview):
            fields[name] = f"({len(value)} bytes)"
        elif isinstance(value, str) and len(value) > _LONGEST_TEXT:
            fields[name] = value[:_LONGEST_TEXT] + "..."
    return fields


def _uncaught(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    _WORDS.error("process.failed", **describe(error))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        name = args.thread.name if args.thread is not None else ""
        _WORDS.error("process.thread_failed", thread=name, **describe(args.exc_value))


def _unraisable(args: sys.UnraisableHookArgs) -> None:
    if args.exc_value is not None:
        _WORDS.error("process.error_ignored", **describe(args.exc_value))
