"""How long a mail takes from Exchange's word that it has it to a consumer's hands, 100 ms round trip from Exchange."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING

from tests.bench.consumer import Consumer, Purge
from tests.bench.figures import Figure, percentile
from tests.bench.prefilled import prefill
from tests.bench.stage import ADDRESS, ALIAS, Stage, a_mail, tell
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.bench.processes import Meter
    from tests.support.workers import Worker

_ROUND_TRIP = 0.1
_MAIL_BYTES = 20_000
_GAP_SECONDS = 1.0
_WARM = 3
_POLL_SECONDS = 10
_BUSY = "busy@example.org"
_BUSY_BYTES = 5_000
_BUSY_FOR_EACH = 500
"""Mails in the other mailbox for each that is measured; when nearly all are read, no more are measured."""
_FULL = 1_000
_MILLISECONDS = 1_000
_P50_MOST = round(_MILLISECONDS * (3 * _ROUND_TRIP + 0.05))
_P99_MOST = round(_MILLISECONDS * (5 * _ROUND_TRIP + 0.2))
# Exchange's word travels half a round trip, and asking for the mail takes one.
_AIM = round(_MILLISECONDS * (1.5 * _ROUND_TRIP + 0.02))


def latency(*, quick: bool) -> list[Figure]:
    """One mail a second; the naive bridge looks every 10 s."""
    mails = _mails(quick=quick)
    bridge = _quiet(quick=quick)
    with Stage(exchange_round_trip=_ROUND_TRIP) as stage, stage.naive(poll_seconds=_POLL_SECONDS) as process:
        naive = _measured("latency: naive ", stage, mails, stage.meter(process.pid))
    return [
        Figure.at_most(name, percentile(bridge, share), unit, most, aim=_AIM, naive=percentile(naive, share))
        for name, share, unit, most in (
            ("latency", 0.5, "ms, p50", _P50_MOST),
            ("latency-p99", 0.99, "ms, p99", _P99_MOST),
        )
    ]


def latency_busy(*, quick: bool) -> list[Figure]:
    """The same while another mailbox of the same worker is kept full. A naive loop over both would not come to it."""
    mails = _mails(quick=quick)
    idle = percentile(_quiet(quick=quick), 0.99)
    with Stage(mailboxes=[ADDRESS, _BUSY], exchange_round_trip=_ROUND_TRIP) as stage:
        pool = [a_mail(number, size=_BUSY_BYTES, seed=3) for number in range(100)]
        prefill(stage.sandbox, _BUSY, pool, mails * _BUSY_FOR_EACH)
        with stage.worker("ingest") as worker, Purge(stage):
            until(lambda: _is_reading(worker), "the worker to read", seconds=120)
            before = stage.waiting(_BUSY)
            seconds = _measured(
                "latency-busy: bridge", stage, mails, stage.meter(worker.pid), lambda: stage.waiting(_BUSY) > _FULL
            )
            left = stage.waiting(_BUSY)
        tell(f"latency-busy: the other mailbox had {before} mails at first and {left} in the end")
        if len(seconds) < mails / 3:
            raise RuntimeError("the other mailbox was read too soon: raise _BUSY_FOR_EACH")
    return [
        Figure.at_most("latency-busy", percentile(seconds, 0.99), "ms, p99", 2 * idle, aim=idle),
        Figure.at_most("latency-busy-p50", percentile(seconds, 0.5), "ms, p50", 2 * idle, aim=idle),
    ]


def _is_reading(worker: Worker) -> bool:
    """Return whether it has published something: while it catches up it does not call itself ready."""
    return worker.metric("bridge_ingest_published_mails_total") > 0


def _mails(*, quick: bool) -> int:
    return 30 if quick else 300


@functools.cache
def _quiet(*, quick: bool) -> list[float]:
    with Stage(exchange_round_trip=_ROUND_TRIP) as stage, stage.worker("ingest") as worker:
        until(worker.ready, "the worker to read", seconds=120)
        return _measured("latency: bridge", stage, _mails(quick=quick), stage.meter(worker.pid))


def _measured(
    name: str, stage: Stage, mails: int, meter: Meter, goes_on: Callable[[], bool] = lambda: True
) -> list[float]:
    """Return how many milliseconds each mail took; the first few, for which connections are made, do not count."""
    with Consumer(stage, ALIAS) as consumer:
        for first in range(_WARM):
            for _ in stage.deliver([a_mail(first, size=_MAIL_BYTES, seed=2)]):
                pass
            consumer.until(first + 1)
        accepted = [time.monotonic() for _ in stage.deliver(_paced(mails, goes_on))]
        consumer.until(len(accepted) + _WARM)
    taken = [
        _MILLISECONDS * (consumer.arrived[f"1.{number}@example.com"] - moment) for number, moment in enumerate(accepted)
    ]
    spread = {"p50": percentile(taken, 0.5), "p90": percentile(taken, 0.9), "p99": percentile(taken, 0.99)}
    told = ", ".join(f"{which} {value:.0f}" for which, value in {**spread, "most": max(taken)}.items())
    tell(f"{name}: {len(taken)} mails, ms: least {min(taken):.0f}, {told}; {meter.shares()}")
    return taken


def _paced(mails: int, goes_on: Callable[[], bool]) -> Iterator[bytes]:
    """Yield a mail a second, whatever happened to the last one, as long as it goes on."""
    made = [a_mail(number, size=_MAIL_BYTES) for number in range(mails)]
    begun = time.monotonic()
    for number, mail in enumerate(made):
        time.sleep(max(0.0, begun + number * _GAP_SECONDS - time.monotonic()))
        if not goes_on():
            return
        yield mail
