"""A backlog is emptied: at once and near, from afar, and made of mails that nobody would write."""

from __future__ import annotations

import functools
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.bench.figures import Figure, median_ratio
from tests.bench.stage import Drained, Stage, alternating, tell
from tests.corpus.mails import FOLDER
from tests.corpus.mails import corpus as corpus_mails
from tests.support.mails import samples

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MAIL_BYTES = 20_000
_CORPUS_BYTES, _CORPUS_MAILS = 80_000_000, 3_000
_CORPUS_BYTES_QUICK, _CORPUS_MAILS_QUICK = 25_000_000, 800


@dataclass(frozen=True)
class Runs:
    """What both did, in pairs that followed each other."""

    bridge: list[Drained] = field(default_factory=list)
    naive: list[Drained] = field(default_factory=list)


def drain(*, quick: bool) -> list[Figure]:
    """1,000 mails of 20 KB, 100 ms added round trip to Exchange and 5 ms to the broker; a tenth for naive if quick."""
    runs = 1 if quick else 5
    mails = {"bridge": 1_000, "naive": 100 if quick else 1_000}
    with Stage(exchange_round_trip=0.1, broker_round_trip=0.005) as stage:
        done = _alternate("drain", stage, runs, lambda who, turn: stage.fill(mails[who], size=_MAIL_BYTES, seed=turn))
    return [_speed("drain", done, at_least=30, aim=60)]


def drain_lan(*, quick: bool) -> list[Figure]:
    """5,000 mails of 20 KB, nothing added. The aim is that the worker is not what bounds the rate."""
    done = _near(quick=quick)
    speed = _speed("drain-lan", done, at_least=5, aim=None)
    shares = {name: statistics.median(one.shares.share(name) for one in done.bridge) for name in _PARTS}
    tell("drain-lan: of the CPU time " + ", ".join(f"the {name} took {share:.0%}" for name, share in shares.items()))
    return [speed]


def cpu(*, quick: bool) -> list[Figure]:
    """CPU of the worker for one mail of 20 KB, the start of the process included; the runs of `drain-lan`."""
    done = _near(quick=quick)
    bridge, naive = ([one.worker_cpu_ms_per_mail for one in runs] for runs in (done.bridge, done.naive))
    return [
        Figure.at_most(
            "cpu",
            statistics.median(bridge),
            "ms of the worker's CPU for a mail",
            1.5,
            aim=0.8,
            naive=statistics.median(naive),
            ratio=median_ratio(naive, bridge),
        )
    ]


def corpus(*, quick: bool) -> list[Figure]:
    """Mails of every kind, as often as makes the start of the process small: CPU of the worker for each megabyte."""
    if FOLDER.is_dir():
        mails, origin = [mail.read() for mail in corpus_mails()], "the corpus"
    else:
        mails, origin = list(samples().values()), "the samples in tests/mails, for there is no corpus"
    once = sum(map(len, mails))
    wanted = _CORPUS_BYTES_QUICK if quick else _CORPUS_BYTES
    most = _CORPUS_MAILS_QUICK if quick else _CORPUS_MAILS  # samples are small
    times = max(1, min(round(wanted / once), most // len(mails)))
    megabytes = times * once / 1e6
    tell(f"corpus: {origin}: {len(mails)} mails, {times} times, {megabytes:.1f} MB")

    with Stage() as stage:

        def fill(_who: str, _turn: int) -> None:
            for _ in range(times):
                for _ in stage.deliver(mails):
                    pass

        done = _alternate("corpus", stage, 1 if quick else 5, fill)
    bridge, naive = (
        [one.shares.by_name["worker"] * 1_000 / megabytes for one in runs] for runs in (done.bridge, done.naive)
    )
    return [
        Figure.times(
            "corpus",
            statistics.median(bridge),
            f"ms of the worker's CPU for a MB of {origin}",
            naive=statistics.median(naive),
            ratio=median_ratio(naive, bridge),
            at_least=3,
            aim=10,
        )
    ]


_PARTS = ("worker", "sandbox", "broker")


@functools.cache
def _near(*, quick: bool) -> Runs:
    runs = 1 if quick else 5
    mails = {"bridge": 2_000, "naive": 300} if quick else {"bridge": 5_000, "naive": 5_000}
    with Stage() as stage:
        return _alternate(
            "drain-lan", stage, runs, lambda who, turn: stage.fill(mails[who], size=_MAIL_BYTES, seed=turn)
        )


def _alternate(name: str, stage: Stage, runs: int, fill: Callable[[str, int], None]) -> Runs:
    done = Runs()
    for turn, who in enumerate(alternating(runs)):
        fill(who, turn)
        drained = stage.drain_with_bridge() if who == "bridge" else stage.drain_naively()
        getattr(done, who).append(drained)
        tell(
            f"{name}: {who:6} {drained.mails} mails in {drained.seconds:.2f} s = {drained.mails_per_second:.1f}/s; "
            f"{drained.shares}"
        )
        published = stage.purge()
        if published != drained.mails:
            raise RuntimeError(f"{name}: {who} published {published} of {drained.mails}")
    return done


def _speed(name: str, done: Runs, *, at_least: float, aim: float | None) -> Figure:
    bridge, naive = _speeds(done.bridge), _speeds(done.naive)
    return Figure.times(
        name,
        statistics.median(bridge),
        "mails/s",
        naive=statistics.median(naive),
        ratio=median_ratio(bridge, naive),
        at_least=at_least,
        aim=aim,
    )


def _speeds(runs: Sequence[Drained]) -> list[float]:
    return [one.mails_per_second for one in runs]
