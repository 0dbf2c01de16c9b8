"""Old blobs are removed by their age and no younger ones, and a store that fails is tried again."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.blobs.files import FileBlobs
from bridge.adapters.system.clock import SystemClock
from bridge.domain.blobs import BytesInMemory, ref_of
from bridge.telemetry.events import Event
from bridge.telemetry.ingest_events import BlobsRemoved, BlobSweepFailed
from bridge.worker.blob_sweep import BlobSweep
from tests.contract.blob_store import a_ref
from tests.support.clock import InstantClock
from tests.unit.blobs.test_files import all_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("count", [3, 500, 501])
async def test_blobs_older_than_the_days_go_and_younger_ones_stay(tmp_path: Path, count: int) -> None:
    store, clock, told = FileBlobs(tmp_path, timeout_seconds=30), InstantClock(), list[Event]()
    now = clock.now()
    for number in range(count + 1):
        path = tmp_path / ref_of("dispatch", now - timedelta(days=31), f"m-{number}", b"x").key
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
        age = timedelta(days=30, seconds=-5 if number == 0 else 5)
        os.utime(path, (now.timestamp(), (now - age).timestamp()))

    wait = await BlobSweep(store, 30, clock, told.append).once()

    assert [path.parent.name for path in all_files(tmp_path)] == ["m-0"]
    assert told == [BlobsRemoved(count)]
    assert wait == 6 * 3600


async def test_a_store_that_is_gone_is_told_and_tried_again_sooner(tmp_path: Path) -> None:
    told: list[Event] = []
    store = FileBlobs(tmp_path / "gone", timeout_seconds=30)

    wait = await BlobSweep(store, 30, InstantClock(), told.append).once()

    assert told == [BlobSweepFailed("blob_store_missing")]
    assert wait == 3600


async def test_a_blob_that_is_written_again_is_young_again(tmp_path: Path) -> None:
    store, ref = FileBlobs(tmp_path, timeout_seconds=30), a_ref(b"x")
    await store.write(ref, BytesInMemory(b"x"))
    os.utime(tmp_path / ref.key, (0, 0))
    await store.write(ref, BytesInMemory(b"x"))

    assert await store.remove_older(datetime.now(UTC) - timedelta(days=1), limit=10) == 0
    assert await store.read(ref) == b"x"


@pytest.mark.parametrize("days_off", [-31, 31])
async def test_a_clock_a_month_off_deletes_no_fresh_blob(tmp_path: Path, days_off: int) -> None:
    """Neither the clock of the worker that sweeps, nor that of the worker that wrote, is believed alone."""
    now = datetime.now(UTC)
    store, told = FileBlobs(tmp_path, timeout_seconds=30), list[Event]()
    fresh, old = ref_of("dispatch", now, "m-1", b"x"), ref_of("dispatch", now - timedelta(days=40), "m-2", b"x")
    for ref, age in ((fresh, timedelta(days=max(0, -days_off))), (old, timedelta(days=40))):
        await store.write(ref, BytesInMemory(b"x"))
        os.utime(tmp_path / ref.key, ((now - age).timestamp(), (now - age).timestamp()))
    clock = SystemClock(wall_clock=(now + timedelta(days=max(0, days_off))).timestamp)
    clock.server("Exchange").note({"Date": format_datetime(now, usegmt=True)}, asked_at=clock.readings()[1])

    await BlobSweep(store, 30, clock, told.append).once()

    assert all_files(tmp_path) == [tmp_path / fresh.key]
    assert told == [BlobsRemoved(1)]


async def test_nothing_is_deleted_while_nobody_has_told_what_time_it_is(tmp_path: Path) -> None:
    store, told = FileBlobs(tmp_path, timeout_seconds=30), list[Event]()
    ref = ref_of("dispatch", datetime(2020, 1, 1, tzinfo=UTC), "m-1", b"x")
    await store.write(ref, BytesInMemory(b"x"))
    os.utime(tmp_path / ref.key, (0, 0))

    wait = await BlobSweep(store, 30, SystemClock(), told.append).once()

    assert await store.read(ref) == b"x"
    assert (told, wait <= 300) == ([BlobSweepFailed("time_unknown")], True)
