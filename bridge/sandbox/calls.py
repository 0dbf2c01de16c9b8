"""How often each operation was called, how often it failed, and how many calls of it ran at once."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


@dataclass(slots=True)
class OperationCount:
    """The figures of one operation since the sandbox started."""

    count: int = 0
    errors: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0


@dataclass(slots=True)
class CallLog:
    """All figures. Safe from any thread."""

    _operations: dict[str, OperationCount] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def report(self) -> dict[str, dict[str, int]]:
        """Return the figures by operation, in the order of first use."""
        with self._lock:
            return {operation: asdict(count) for operation, count in self._operations.items()}

    def begin(self, operation: str) -> OpenCall:
        """Count a call that begins now."""
        with self._lock:
            count = self._operations.setdefault(operation, OperationCount())
            count.count += 1
            count.in_flight += 1
            count.peak_in_flight = max(count.peak_in_flight, count.in_flight)
        return OpenCall(count, self._lock)


class OpenCall:
    """A call in flight, until `end` or the end of its `with` block."""

    def __init__(self, count: OperationCount, lock: threading.Lock) -> None:
        """Belong to the figures of an operation."""
        self._count = count
        self._lock = lock
        self._open = True

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
        with self._lock:
            if self._open:
                self._open = False
                self._count.in_flight -= 1
                self._count.errors += failed
