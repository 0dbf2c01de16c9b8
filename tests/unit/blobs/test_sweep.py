"""Old blobs are removed by their age and no younger ones, and a store that fails is tried again."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.blobs.files import FileBlobs
from bridge.domain.blobs import BytesInMemory
from bridge.telemetry.events import Event
from bridge.telemetry.ingest_events import BlobsRemoved, BlobSweepFailed
from bridge.workers.blob_sweep import BlobSweep
from tests.contract.blob_store import a_ref
from tests.support.clock import InstantClock
from tests.unit.blobs.test_files import all_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("count", [3, 500, 501])
async def test_blobs_older_than_the_days_go_and_younger_ones_stay(tmp_path: Path, count: int) -> None:
    store, clock, told = FileBlobs(tmp_path, timeout_seconds=30), InstantClock(), list[Event]()
    now = clock.now().timestamp()
    for number in range(count + 1):
        path = tmp_path / a_ref(b"x", f"m-{number}").key
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
        age = timedelta(days=30, seconds=-5 if number == 0 else 5)
        os.utime(path, (now, now - age.total_seconds()))

    wait = await BlobSweep(store, 30, clock, told.append).once()

    assert all_files(tmp_path) == [tmp_path / a_ref(b"x", "m-0").key]
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
