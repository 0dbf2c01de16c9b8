"""A mailbox whose listing has no answer says so long before the call ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bridge.egress.options import EgressOptions
from bridge.ingest.reader import IngestOptions
from bridge.telemetry.health import STALE_AFTER_SECONDS
from tests.support.memory.inbox import MemoryInbox
from tests.unit.ingest.doubles import a_mail
from tests.unit.ingest.test_reader import Bench

if TYPE_CHECKING:
    from bridge.domain.mail import Listing
    from bridge.telemetry.health import PartState

_PART = "mailbox:dispatch:ingest"


class _Silent(MemoryInbox):
    """Answers listings once it is let."""

    def __init__(self) -> None:
        super().__init__(a_mail(1))
        self.answers = asyncio.Event()

    async def list_waiting(self, folder: str, *, limit: int, offset: int = 0) -> Listing:
        await self.answers.wait()
        return await super().list_waiting(folder, limit=limit, offset=offset)


def _bench(*, late_seconds: float = 0.01) -> tuple[Bench, _Silent]:
    bench = Bench(options=IngestOptions(answer_late_seconds=late_seconds))
    bench.inbox = bench.reader._inbox = bench.reader._listing._inbox = silent = _Silent()
    return bench, silent


async def _state(bench: Bench, status: str) -> PartState:
    async with asyncio.timeout(10):
        while True:
            state = bench.health.state(_PART)
            if state is not None and state.status == status:
                return state
            await asyncio.sleep(0.001)


async def test_a_listing_without_an_answer_is_told_and_forgotten_with_its_answer() -> None:
    bench, silent = _bench()
    running = asyncio.create_task(bench.reader.run(bench.stop))

    told = await _state(bench, "trouble")
    silent.answers.set()
    await _state(bench, "ok")
    bench.stop.set()
    await running

    assert (told.code, told.detail) == ("mailbox_unavailable", "a listing has had no answer for 0.01 s")
    assert bench.left == []


async def test_a_trouble_that_is_known_explains_a_late_answer_better() -> None:
    bench, _ = _bench()
    bench.health.trouble(_PART, "credentials_rejected")

    bench.reader._reading.report_late_answer()

    state = bench.health.state(_PART)
    assert state is not None
    assert state.code == "credentials_rejected"


def test_an_exchange_that_hangs_shows_within_three_quarters_of_a_minute() -> None:
    """At the worst it begins to right after a listing or a proof; the next one is as far away as it may be."""
    ingest, egress = IngestOptions(), EgressOptions()

    assert ingest.listing_interval_seconds + ingest.answer_late_seconds <= 45
    assert egress.probe_seconds + egress.answer_late_seconds <= 45
    assert max(ingest.answer_late_seconds, egress.answer_late_seconds) < STALE_AFTER_SECONDS
