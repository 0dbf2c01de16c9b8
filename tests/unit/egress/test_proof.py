"""Whether a mailbox can be used is found out in nobody's way, and not for all mailboxes at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bridge.adapters.memory.outbox import MemoryOutbox
from bridge.ports.unhurried import as_unhurried
from tests.unit.egress.harness import PLENTY, Bench, eventually

if TYPE_CHECKING:
    from datetime import timedelta

    from bridge.ports.outbox import BegunSends


@dataclass(slots=True)
class _Probed(MemoryOutbox):
    """Remembers when it was asked for what was begun, and whether somebody waited for that."""

    asked: list[tuple[float, bool]] = field(default_factory=list)

    async def begun_since(self, age: timedelta) -> BegunSends:
        self.asked.append((asyncio.get_running_loop().time(), as_unhurried() is None))
        return await MemoryOutbox.begun_since(self, age)


def _bench(probe_seconds: float) -> tuple[Bench, _Probed]:
    bench = Bench(options=replace(PLENTY, probe_seconds=probe_seconds))
    bench.mailbox = probed = _Probed(bench.clock)
    return bench, probed


async def test_only_the_first_probe_is_waited_for() -> None:
    bench, probed = _bench(0.01)

    async with bench.running():
        await eventually(lambda: len(probed.asked) >= 4)

    assert [waited for _, waited in probed.asked[:4]] == [True, False, False, False]


async def test_mailboxes_that_begin_together_are_probed_apart() -> None:
    """Two hundred at the same moment, every half a minute, would need every connection that there may be."""
    benches = [_bench(1.0) for _ in range(20)]

    async with asyncio.timeout(30):
        stop = asyncio.Event()
        running = [asyncio.create_task(bench.sender().run(stop)) for bench, _ in benches]
        while not all(len(probed.asked) >= 2 for _, probed in benches):
            await asyncio.sleep(0.01)
        stop.set()
        await asyncio.gather(*running)

    waits = [probed.asked[1][0] - probed.asked[0][0] for _, probed in benches]
    assert max(waits) - min(waits) > 0.2
