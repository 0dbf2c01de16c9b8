"""How many calls of one app run in one mailbox at once (EWSMaxConcurrency)."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Connections:
    """The calls in flight by budget: who calls, and in which mailbox. Safe from any thread."""

    def __init__(self) -> None:
        """Begin without any."""
        self._lock = threading.Lock()
        self._open: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def entered(self, budget: tuple[str, str], limit: int | None) -> Iterator[bool]:
        """Count a call for the block; gives False, and counts nothing, where the limit is reached."""
        with self._lock:
            allowed = limit is None or self._open[budget] < limit
            if allowed:
                self._open[budget] += 1
        try:
            yield allowed
        finally:
            if allowed:
                with self._lock:
                    self._open[budget] -= 1
                    if not self._open[budget]:
                        del self._open[budget]
