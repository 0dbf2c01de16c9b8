"""One chaos run: load and trouble, then calm, then the account."""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.chaos.account import Account
from tests.chaos.confirmed import missing
from tests.chaos.load import Load
from tests.chaos.plant import ALIASES, CREW, Plant, address_of
from tests.chaos.privacy import leaks
from tests.chaos.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_CALM_SECONDS = 150.0
"""No wait of the bridge is longer than a minute, and two may follow each other."""
_NOT_DRAINED = frozenset({"mail.inbound", "mail.events", "mail.dead"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run consists of."""

    seed: int
    mails: int
    requests: int
    seconds: float
    """How long there is trouble; the load is spread over it."""
    only: frozenset[str] = frozenset()
    """The names of the only trouble that there is to be; empty for any."""
    hard_delete: bool = False
    """Whether mails that were published are destroyed, instead of moved to Deleted Items."""
    realistic: bool = False
    """Whether Exchange is as unkind as the real one is (docs/sandbox.md)."""


def run(plan: Plan, directory: Path) -> tuple[dict[str, Any], Sequence[str]]:
    """Run, and return the figures and what should not be; that is kept in `problems.txt`, too."""
    begun = time.monotonic()
    after_publish = "hard_delete" if plan.hard_delete else "deleted_items"
    with Plant(directory, after_publish=after_publish, realistic=plan.realistic) as plant:
        load = Load(plant, plan.seed, plan.mails, plan.requests, plan.seconds)
        trouble = Trouble(plant, plan.seed, only=plan.only)
        with ThreadPoolExecutor(4) as threads:
            tormentors = [threads.submit(trouble.torment_workers), threads.submit(trouble.torment_infrastructure)]
            loads = [threads.submit(load.deliver), threads.submit(load.request)]
            try:
                while not all(work.done() for work in loads) and not any(work.done() for work in tormentors):
                    wait([*tormentors, *loads], timeout=1, return_when=FIRST_COMPLETED)
            finally:
                trouble.stop.set()
                load.stop.set()
            for work in (*tormentors, *loads):
                work.result()
        account = Account()
        account.problems += calm(plant)
        load.deliver_in_calm()
        account.problems += calm(plant)
        account.take_inbound(plant, load.deliveries)
        account.take_outbound(plant, load.requested)
        account.problems += leaks(plant, account.event_bodies)
        for station in plant.stations:
            if (code := station.worker.stop(seconds=60)) != 0:
                account.problems.append(f"{station.name} ended with {code} in calm")
    publishes = plant.publishes()
    account.judge_repeats(publishes, trouble.faults.all)
    account.problems += missing(account.arrivals, publishes)
    if account.parked and not trouble.fetches_spoiled:
        account.problems.append(
            f"{account.parked} mails parked without a cause: none is bad, and none was hard to fetch"
        )
    account.judge_unknown()
    (directory / "problems.txt").write_text("".join(f"{problem}\n" for problem in account.problems), "utf-8")
    figures = {
        "seed": plan.seed,
        **account.figures(),
        "faults": dict(sorted(trouble.faults.counts.items())),
        "seconds": round(time.monotonic() - begun, 1),
    }
    return figures, account.problems


def calm(plant: Plant) -> list[str]:
    """Mend everything, and wait until nothing is left to do; return what does not become less."""
    plant.sandbox.faults()
    for station in plant.stations:
        station.calm()
    least, since = None, time.monotonic()
    while left := _left(plant):
        total = sum(left.values())
        if least is None or total < least:
            least, since = total, time.monotonic()
        if time.monotonic() > since + _CALM_SECONDS:
            return [f"nothing ended within {_CALM_SECONDS:.0f} s of calm: {left}"]
        time.sleep(0.5)
    return []


def _left(plant: Plant) -> dict[str, int]:
    left = {name: count for name, count in plant.queue_lengths().items() if count and name not in _NOT_DRAINED}
    if on_the_way := int(plant.sandbox.admin("/arriving")["mails"]):
        left["mails on their way"] = on_the_way
    for alias in ALIASES:
        if total := _count(plant, address_of(alias)):
            left[f"inbox of {alias}"] = total
    if not left and (late := len(plant.sandbox.sends()) - _count(plant, CREW)) > 0:
        left["mails that were sent and have not arrived"] = late
    return left


def _count(plant: Plant, address: str) -> int:
    return int(plant.sandbox.admin(f"/mailboxes/{address}/folders/inbox/mails?limit=1")["total"])
