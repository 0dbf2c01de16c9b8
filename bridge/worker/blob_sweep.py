"""Old blobs are removed by their age, now and then, by whichever worker reads mailboxes."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from bridge.domain.trusted_time import TIME_UNKNOWN
from bridge.errors import BridgeError
from bridge.telemetry.ingest_events import BlobsRemoved, BlobSweepFailed

if TYPE_CHECKING:
    from bridge.ports.blobs import BlobStore
    from bridge.ports.clock import Clock
    from bridge.telemetry.events import Emit

_AT_A_TIME: Final = 500
_BETWEEN_SECONDS: Final = 6 * 3600.0
_AFTER_TROUBLE_SECONDS: Final = 3600.0
_AT_FIRST_SECONDS: Final = 300.0


class BlobSweep:
    """
    Removes what is older than a number of days.

    No two mails share a blob, so an old one is nobody else's. Several workers may sweep at a time; each finds less.
    """

    def __init__(self, store: BlobStore, keep_days: int, clock: Clock, emit: Emit) -> None:
        self._store = store
        self._keep = timedelta(days=keep_days)
        self._clock = clock
        self._emit = emit

    async def run(self) -> None:
        """Sweep until cancelled; a start waits a little, for workers that are started over and over."""
        wait = _AT_FIRST_SECONDS
        while True:
            await self._clock.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - parts workers that start together
            wait = await self.once()

    async def once(self) -> float:
        """Remove all that is old now; return for how long nothing is to be done then."""
        now = self._clock.certain_now()
        if now is None:
            self._emit(BlobSweepFailed(TIME_UNKNOWN))
            return _AT_FIRST_SECONDS
        removed, found = 0, _AT_A_TIME
        try:
            while found == _AT_A_TIME:
                found = await self._store.remove_older(now - self._keep, limit=_AT_A_TIME)
                removed += found
        except BridgeError as error:
            self._emit(BlobSweepFailed(error.code))
            return _AFTER_TROUBLE_SECONDS
        finally:
            if removed:
                self._emit(BlobsRemoved(removed))
        return _BETWEEN_SECONDS
