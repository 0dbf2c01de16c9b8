"""How late the event loop is: what blocks it delays heartbeats, confirms and every mailbox."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.telemetry.metrics import Metrics

INTERVAL_SECONDS = 0.5


async def watch_loop(metrics: Metrics) -> None:
    """Observe the lag twice a second until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + INTERVAL_SECONDS
        await asyncio.sleep(INTERVAL_SECONDS)
        metrics.loop_lag_seconds.observe(max(0.0, loop.time() - due))
