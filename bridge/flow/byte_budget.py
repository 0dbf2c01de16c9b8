"""A ceiling on the bytes of all mails in flight, shared by all mailboxes of a worker."""

from __future__ import annotations

import asyncio
from collections import deque


class ByteBudget:
    """First come, first served; what is larger than the whole budget waits until it is alone."""

    def __init__(self, total_bytes: int) -> None:
        self._total = total_bytes
        self._taken = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def taken_bytes(self) -> int:
        """Return how much is out."""
        return self._taken

    async def take(self, size_bytes: int) -> int:
        """Return once `size_bytes` fit, with the amount to give back."""
        size = min(size_bytes, self._total)
        if self._waiting or self._taken + size > self._total:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append((size, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if not turn.cancelled():  # it was let in at the same moment
                    self.give_back(size)
                elif (size, turn) in self._waiting:
                    self._waiting.remove((size, turn))
                raise
            return size
        self._taken += size
        return size

    def give_back(self, size: int) -> None:
        """Let the next ones in."""
        self._taken -= size
        while self._waiting and self._taken + self._waiting[0][0] <= self._total:
            next_size, turn = self._waiting.popleft()
            if not turn.done():
                self._taken += next_size
                turn.set_result(None)
