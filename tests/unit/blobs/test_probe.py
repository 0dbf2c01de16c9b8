"""What is wrong with the blob store is known before a large mail needs it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.blobs.files import FileBlobs
from bridge.telemetry.health import Health
from bridge.worker import blob_probe
from bridge.worker.blob_probe import PART, BlobProbe
from tests.support.clock import InstantClock
from tests.unit.blobs.test_files import all_files

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bridge.domain.blobs import BlobRef
    from bridge.ports.blobs import Content


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that is busy with others the last blob may take long to be deleted."""
    monkeypatch.setattr(blob_probe, "_END_SECONDS", 20.0)


@contextlib.asynccontextmanager
async def _probing(store: FileBlobs, *, writes: bool = True) -> AsyncIterator[Health]:
    health = Health()
    probing = asyncio.create_task(BlobProbe(store, InstantClock(), health, writes=writes).run())
    try:
        yield health
    finally:
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)


async def _until(health: Health, code: str) -> None:
    async with asyncio.timeout(20):
        while (state := health.state(PART)) is None or state.code != code:
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("writes", [True, False])
async def test_a_store_that_goes_away_is_a_warning_until_it_is_back(tmp_path: Path, *, writes: bool) -> None:
    """Small mails pass without it; nothing is left in it."""
    place = tmp_path / "blobs"
    place.mkdir()
    async with _probing(FileBlobs(place, timeout_seconds=30), writes=writes) as health:
        await _until(health, "ok")
        place.rename(tmp_path / "elsewhere")
        await _until(health, "blob_store_missing")
        assert health.ready
        (tmp_path / "elsewhere").rename(place)
        await _until(health, "ok")

    assert all_files(place) == []


async def test_processes_that_try_at_the_same_time_do_not_meet(tmp_path: Path) -> None:
    store = FileBlobs(tmp_path, timeout_seconds=30)
    told: set[str] = set()
    async with _probing(store) as one, _probing(store) as other:
        for health in (one, other):
            await _until(health, "ok")
        for _ in range(200):
            told |= {state.code for health in (one, other) for state in health.report()}
            await asyncio.sleep(0.001)

    assert told == {"ok"}


class Hanging(FileBlobs):
    """A store on a mount that does not answer."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, timeout_seconds=3_600)
        self.answers, self.writes = asyncio.Event(), 0

    async def write(self, ref: BlobRef, content: Content) -> None:
        self.writes += 1
        await self.answers.wait()
        await super().write(ref, content)


async def test_a_store_that_hangs_is_told_and_not_asked_again_before_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt may keep a thread for as long as the mount hangs."""
    monkeypatch.setattr(blob_probe, "_PATIENCE_SECONDS", 0.01)
    store = Hanging(tmp_path)
    async with _probing(store) as health:
        await _until(health, "blob_store_slow")
        await asyncio.sleep(0.1)
        assert store.writes == 1
        monkeypatch.setattr(blob_probe, "_PATIENCE_SECONDS", 20.0)
        store.answers.set()
        await _until(health, "ok")
