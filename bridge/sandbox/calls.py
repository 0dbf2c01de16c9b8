"""How often each operation was called, how often it failed, how many ran at once; and how long the last ones took."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_RECENT: Final = 1000


@dataclass(slots=True)
class OperationCount:
    """The figures of one operation since the sandbox started."""

    count: int = 0
    errors: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0


@dataclass(frozen=True, slots=True)
class EndedCall:
    """One call that has ended: `at` is when it began, in seconds since the epoch."""

    number: int
    operation: str
    mailbox: str | None
    at: float
    seconds: float
    failed: bool


@dataclass(slots=True)
class CallLog:
    """All figures, and the last 1,000 calls that ended. Safe from any thread."""

    _operations: dict[str, OperationCount] = field(default_factory=dict)
    _recent: deque[EndedCall] = field(default_factory=lambda: deque(maxlen=_RECENT))
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def report(self) -> dict[str, dict[str, int]]:
        """Return the figures by operation, in the order of first use."""
        with self._lock:
            return {operation: asdict(count) for operation, count in self._operations.items()}

    def recent(self) -> list[EndedCall]:
        """Return the last calls that ended, the latest first."""
        with self._lock:
            return list(reversed(self._recent))

    def latest(self) -> tuple[int, int]:
        """Return two numbers that differ when anything in the log does: calls begun, calls ended."""
        with self._lock:
            begun = sum(figures.count for figures in self._operations.values())
            return begun, begun - sum(figures.in_flight for figures in self._operations.values())

    def begin(self, operation: str, *, mailbox: str | None = None) -> OpenCall:
        """Count a call that begins now; `mailbox` is the one that it acts in."""
        with self._lock:
            figures = self._operations.setdefault(operation, OperationCount())
            figures.count += 1
            figures.in_flight += 1
            figures.peak_in_flight = max(figures.peak_in_flight, figures.in_flight)
        return OpenCall(self, figures, operation, mailbox)

    def _ended(self, call: OpenCall, figures: OperationCount, *, failed: bool) -> None:
        with self._lock:
            figures.in_flight -= 1
            figures.errors += failed
            seconds = time.monotonic() - call.began
            self._recent.append(EndedCall(next(self._numbers), call.operation, call.mailbox, call.at, seconds, failed))


class OpenCall:
    """A call in flight, until `end` or the end of its `with` block."""

    def __init__(self, log: CallLog, figures: OperationCount, operation: str, mailbox: str | None) -> None:
        """Belong to the figures of an operation."""
        self._log = log
        self._figures = figures
        self._open = True
        self.operation = operation
        self.mailbox = mailbox
        self.at = time.time()
        self.began = time.monotonic()

    def __enter__(self) -> OpenCall:
        """Return the call, whose end ends the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the call; what was raised makes it a failed one."""
        self.end(failed=error is not None)

    def end(self, *, failed: bool) -> None:
        """End the call; the second time nothing happens."""
        # One thread has the call; `__exit__` comes after an `end` within the block.
        if self._open:
            self._open = False
            self._log._ended(self, self._figures, failed=failed)  # noqa: SLF001 - the two are one
