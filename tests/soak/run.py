"""One soak: steady traffic and mild faults for a long time, and processes that must not grow with it."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.chaos.account import Account
from tests.chaos.load import Load
from tests.chaos.plant import Plant
from tests.chaos.privacy import leaks
from tests.chaos.repeats import SHARED, Faults
from tests.chaos.run import calm
from tests.soak.samples import Bound, Watch, grown, growth, most, settled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.soak.samples import Sample

MAILS_PER_SECOND = 3.0
REQUESTS_PER_SECOND = 1.0
_LOOK_SECONDS = 3.0
_FIGURES = ("memory_kib", "threads", "descriptors", "connections")
_FEWEST_SAMPLES = 12
_WORKER_KIB_PER_HOUR = 16 * 1024
_ALLOCATOR_KIB = 3 * 1024
"""What an allocator may take without a leak, however short the run is."""
_SANDBOX_KIB_PER_MESSAGE = 6
"""It is a mailbox: what it took in it keeps, the bytes on disk and what it looks things up by in memory."""
_FLAT = 4.0
"""
Of threads, descriptors and connections of the workers of a role, and of the sandbox for each worker: pools are filled
as they are used, and emptied by what cuts them. Far more faults happen in the time, and a leak grows with each. Of two
workers the one that holds more counts: work goes from one to the other, and who takes it over fills its pools then.
"""
_SETTINGS = {
    # The processes' age is what is looked at; how fast they notice trouble is the business of others.
    "BRIDGE_RABBITMQ__HEARTBEAT_SECONDS": "10",
    "BRIDGE_RABBITMQ__CONFIRM_TIMEOUT_SECONDS": "30",
    "BRIDGE_EWS__CALL_TIMEOUT_SECONDS": "20",
    "BRIDGE_LOG__LEVEL": "info",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a soak consists of."""

    seed: int
    seconds: float
    realistic: bool = False
    """Whether Exchange is as unkind as the real one is (docs/sandbox.md)."""


@dataclass
class Mischief:
    """What happens in the best of networks now and then. No process is ever started anew."""

    plant: Plant
    seed: int
    faults: Faults = field(default_factory=Faults)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Do one after the other until `stop` is set."""
        chance = random.Random(f"mischief {self.seed}")
        kinds = (self._lost_answers, self._lost_answers, self._busy, self._cut, self._cut, self._expire_tokens)
        while not self.stop.wait(chance.uniform(3, 9)):
            begun = time.time()
            self.faults.tell(*chance.choice(kinds)(chance), begun)

    def _lost_answers(self, chance: random.Random) -> tuple[str, str]:
        self._for_a_while({"kind": "cut_after"}, chance)
        return "lost answers", SHARED

    def _busy(self, chance: random.Random) -> tuple[str, str]:
        self._for_a_while({"kind": "server_busy", "back_off_milliseconds": 500}, chance)
        return "server busy", SHARED

    def _for_a_while(self, fault: dict[str, Any], chance: random.Random) -> None:
        self.plant.sandbox.faults(
            {"match": {"probability": 0.1}, "seed": chance.randrange(1 << 20), "fault": fault, "times": 3}
        )
        self.stop.wait(chance.uniform(1, 3))
        self.plant.sandbox.faults()

    def _cut(self, chance: random.Random) -> tuple[str, str]:
        station = chance.choice(self.plant.stations)
        link = chance.choice(["amqp", "ews"])
        getattr(station, link).cut()
        return f"cut {link} of {station.name.split('-')[0]}", station.name

    def _expire_tokens(self, _: random.Random) -> tuple[str, str]:
        self.plant.sandbox.admin("/expire", method="POST", body={"what": "tokens"})
        return "expire tokens", SHARED


def run(plan: Plan, directory: Path) -> tuple[dict[str, Any], Sequence[str]]:
    """Run, and return the figures and what should not be."""
    begun = time.monotonic()
    mails, requests = round(plan.seconds * MAILS_PER_SECOND), round(plan.seconds * REQUESTS_PER_SECOND)
    with Plant(directory, settings=_SETTINGS, realistic=plan.realistic) as plant:
        pids = {station.name: station.worker.pid for station in plant.stations} | {"sandbox": plant.sandbox.pid}
        watch = Watch(pids, directory / "samples.jsonl")
        load = Load(plant, plan.seed, mails, requests, plan.seconds)
        mischief = Mischief(plant, plan.seed)
        with ThreadPoolExecutor(3) as threads:
            work = [threads.submit(load.deliver), threads.submit(load.request), threads.submit(mischief.run)]
            try:
                while not all(one.done() for one in work[:2]) and not work[2].done():
                    wait(work, timeout=_LOOK_SECONDS)
                    watch.look()
            finally:
                mischief.stop.set()
                load.stop.set()
            for one in work:
                one.result()
        account = Account()
        account.problems += [f"{name} ended by itself" for name in pids if not _is_there(plant, name)]
        account.problems += calm(plant)
        account.take_inbound(plant, load.deliveries)
        account.take_outbound(plant, load.requested)
        account.problems += leaks(plant, account.event_bodies)
        for station in plant.stations:
            if (code := station.worker.stop(seconds=60)) != 0:
                account.problems.append(f"{station.name} ended with {code}")
    account.judge_repeats(plant.publishes(), mischief.faults.all)
    account.judge_unknown()
    account.problems += _judge(watch)
    figures = {
        "seed": plan.seed,
        **account.figures(),
        "faults": dict(sorted(mischief.faults.counts.items())),
        "processes": {name: _summary(samples) for name, samples in watch.samples.items()},
        "seconds": round(time.monotonic() - begun, 1),
    }
    return figures, account.problems


def _is_there(plant: Plant, name: str) -> bool:
    workers = {station.name: station.worker.running for station in plant.stations}
    return workers.get(name, plant.sandbox.running)


def _judge(watch: Watch) -> list[str]:
    problems: list[str] = []
    roles: dict[str, list[Sequence[Sample]]] = {}
    for name, samples in watch.samples.items():
        late = settled(samples)
        if len(late) < _FEWEST_SAMPLES:
            problems.append(f"{name}: {len(late)} samples say nothing; a longer run does")
            continue
        seconds = late[-1].seconds - late[0].seconds
        messages = seconds * (MAILS_PER_SECOND + REQUESTS_PER_SECOND)
        memory = _SANDBOX_KIB_PER_MESSAGE * messages if name == "sandbox" else _WORKER_KIB_PER_HOUR * seconds / 3600
        problems += grown(name, late, [Bound("memory_kib", memory + _ALLOCATOR_KIB)])
        roles.setdefault(name.partition("-")[0], []).append(late)
    for role, every in roles.items():
        flat = _FLAT * (len(watch.samples) - 1) if role == "sandbox" else _FLAT
        problems += grown(role, most(every), [Bound(one, flat) for one in _FIGURES[1:]])
    return problems


def _summary(samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """Return of each figure its first and last value, its peak, and how much it grew over the last two thirds."""
    late = settled(samples)
    return {
        figure: {
            "first": getattr(samples[0], figure),
            "last": getattr(samples[-1], figure),
            "peak": max(getattr(sample, figure) for sample in samples),
            "growth": round(growth(late, figure), 1),
        }
        for figure in _FIGURES
    }
