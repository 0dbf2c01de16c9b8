"""What 200 mailboxes take in which nothing happens."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.bench.figures import Figure
from tests.bench.processes import Meter, Peak
from tests.bench.stage import Stage, tell
from tests.support.workers import until

if TYPE_CHECKING:
    from tests.bench.processes import Shares

_MAILBOXES = 200
_POLL_SECONDS = 10
_SETTLE_SECONDS = 15.0


def idle(*, quick: bool) -> list[Figure]:
    """
    Ten minutes of `bridge run`, reading and sending, after all mailboxes are read once; naive: two, looking every 10 s.

    Connections and memory are the most that was seen.
    """
    seconds, naive_seconds = (30.0, 20.0) if quick else (600.0, 120.0)
    addresses = [f"crew-{number}@example.org" for number in range(_MAILBOXES)]
    with Stage(mailboxes=addresses) as stage:
        with stage.worker("run") as worker:
            until(worker.ready, "the worker to serve all mailboxes", seconds=300)
            time.sleep(_SETTLE_SECONDS)
            bridge = _watched("bridge", stage, worker.pid, seconds)
            if not worker.ready():
                raise RuntimeError("the worker is not ready any more")
            worker.stop(seconds=60)
        with stage.naive(poll_seconds=_POLL_SECONDS) as process:
            before = _listings(stage)
            # It is through when each was looked at once more.
            until(lambda: _listings(stage) >= before + _MAILBOXES, "the naive bridge to look everywhere", seconds=300)
            naive = _watched("naive ", stage, process.pid, naive_seconds)
            if process.poll() is not None:
                raise RuntimeError("the naive bridge ended")
    return [
        Figure.at_most("idle", bridge[0], "connections", 10, aim=4, naive=naive[0]),
        Figure.at_most("idle-memory", bridge[1], "MB resident", 200, aim=100, naive=naive[1]),
        Figure.at_most("idle-cpu", bridge[2], "% of a core", 5, aim=1, naive=naive[2]),
    ]


def _watched(name: str, stage: Stage, pid: int, seconds: float) -> tuple[float, float, float]:
    """Return the connections, the megabytes and the percents of a core of a process during so many seconds."""
    meter: Meter = stage.meter(pid)
    with Peak(pid, every_seconds=1.0, with_connections=True) as peak:
        time.sleep(seconds)
    shares: Shares = meter.shares()
    tell(f"idle: {name} {peak.connections} connections, {peak.megabytes:.0f} MB; {shares}")
    return float(peak.connections), peak.megabytes, 100 * shares.by_name["worker"] / shares.seconds


def _listings(stage: Stage) -> int:
    return stage.sandbox.calls().get("FindItem", {}).get("count", 0)
