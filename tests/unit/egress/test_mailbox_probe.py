"""Whether a mailbox can be used is found out in nobody's way, and not for all mailboxes at once."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from bridge.egress.availability import mailbox_probe
from bridge.ports.low_priority import low_priority_of
from tests.support.memory import outbox
from tests.support.memory.outbox import MemoryOutbox
from tests.unit.egress.harness import ALIAS, PLENTY, Bench, eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from bridge.ports.outbox import BegunSends


class _Time:
    """That of the probes; it leaps to the end of the next of their waits once nothing is left to do before."""

    def __init__(self) -> None:
        self._now = 0.0
        self._ends: list[float] = []

    def monotonic(self) -> float:
        return self._now

    async def wait_for_any(self, seconds: float, *events: asyncio.Event) -> None:
        end = self._now + seconds
        self._ends.append(end)
        while self._now < end and not any(event.is_set() for event in events):
            await asyncio.sleep(0)
        self._ends.remove(end)

    async def leap_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            assert self._now < 600
            for _ in range(50):
                await asyncio.sleep(0)
            self._now = max(self._now, min(self._ends, default=self._now))


@pytest.fixture
def leaping(monkeypatch: pytest.MonkeyPatch) -> _Time:
    made = _Time()
    monkeypatch.setattr(mailbox_probe, "time", made)
    monkeypatch.setattr(mailbox_probe, "wait_for_any", made.wait_for_any)
    monkeypatch.setattr(outbox, "time", made)
    return made


@dataclass(slots=True)
class _Probed(MemoryOutbox):
    """Remembers when it was asked for what was begun, and whether somebody waited for that."""

    asked: list[tuple[float, bool]] = field(default_factory=list)
    now: Callable[[], float] = time.monotonic

    async def begun_since(self, age: timedelta) -> BegunSends:
        self.asked.append((self.now(), low_priority_of() is None))
        return await MemoryOutbox.begun_since(self, age)


@dataclass(slots=True)
class _Silent(MemoryOutbox):
    """Answers as long as it is let."""

    answers: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.answers.set()

    async def begun_since(self, age: timedelta) -> BegunSends:
        await self.answers.wait()
        return await MemoryOutbox.begun_since(self, age)


def _bench(probe_seconds: float, now: Callable[[], float] = time.monotonic) -> tuple[Bench, _Probed]:
    bench = Bench(options=replace(PLENTY, probe_seconds=probe_seconds))
    bench.mailbox = probed = _Probed(bench.clock, now=now)
    return bench, probed


async def test_only_the_first_probe_is_waited_for() -> None:
    bench, probed = _bench(0.01)

    async with bench.running():
        await eventually(lambda: len(probed.asked) >= 4)

    assert [waited for _, waited in probed.asked[:4]] == [True, False, False, False]


async def test_mailboxes_that_begin_together_are_probed_apart(leaping: _Time) -> None:
    """Two hundred at the same moment, every half a minute, would need every connection that there may be."""
    benches = [_bench(1.0, leaping.monotonic) for _ in range(20)]

    stop = asyncio.Event()
    running = [asyncio.create_task(bench.sender().run(stop)) for bench, _ in benches]
    await leaping.leap_until(lambda: all(len(probed.asked) >= 2 for _, probed in benches))
    stop.set()
    await asyncio.gather(*running)

    waits = [probed.asked[1][0] - probed.asked[0][0] for _, probed in benches]
    assert max(waits) - min(waits) > 0.2


async def test_a_mailbox_that_others_use_is_probed_half_as_often(leaping: _Time) -> None:
    """What a reader gets of the same mailbox proves all but the ledger."""
    bench, probed = _bench(0.4, leaping.monotonic)
    probed.others_answered_seconds_ago = 0.0

    async with bench.running():
        await leaping.leap_until(lambda: len(probed.asked) >= 4)

    moments = [moment for moment, _ in probed.asked]
    later = [after - before for before, after in itertools.pairwise(moments[1:])]
    assert min(later) >= 2 * 0.9 * 0.4 - 0.001


async def test_a_mailbox_that_nobody_can_use_any_more_is_probed_as_soon_as_any(leaping: _Time) -> None:
    bench, probed = _bench(2.0, leaping.monotonic)
    probed.others_answered_seconds_ago = 0.0

    async with bench.running():
        await leaping.leap_until(lambda: len(probed.asked) >= 2)
        last = probed.asked[-1][0]
        probed.others_answered_seconds_ago = 2.0
        await leaping.leap_until(lambda: probed.asked[-1][0] > last)

    assert probed.asked[-1][0] - last < 2 * 0.9 * 2.0


async def test_a_proof_without_an_answer_is_told_and_forgotten_with_its_answer() -> None:
    bench = Bench(options=replace(PLENTY, probe_seconds=0.05, answer_late_seconds=0.01))
    bench.mailbox = silent = _Silent(bench.clock)

    def status() -> str:
        state = bench.health.state(f"mailbox:{ALIAS}:egress")
        return state.status if state is not None else ""

    async with bench.running():
        await eventually(lambda: status() == "ok")
        silent.answers.clear()
        await eventually(lambda: status() == "trouble")
        state = bench.health.state(f"mailbox:{ALIAS}:egress")
        silent.answers.set()
        await eventually(lambda: status() == "ok")

    assert state is not None
    assert state.code == "mailbox_unavailable"
    assert state.detail == "a look at the ledger has had no answer for 0.01 s"
