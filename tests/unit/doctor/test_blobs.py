"""What `bridge check` finds of a blob store, and that it leaves nothing there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bridge.config.blobs import BlobSettings
from bridge.doctor.blobs import examine_blobs
from tests.unit.blobs.test_files import all_files

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.doctor.findings import Finding


async def found(settings: BlobSettings | None) -> Finding:
    [finding] = [one async for one in examine_blobs(settings)]
    return finding


async def test_a_store_that_works_is_left_as_it_was(tmp_path: Path) -> None:
    finding = await found(BlobSettings(url=f"file://{tmp_path}"))

    assert (finding.state, finding.code) == ("ok", "ok")
    assert all_files(tmp_path) == []


async def test_without_a_store_nothing_is_tried() -> None:
    assert (await found(None)).state == "skipped"


async def test_a_store_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    finding = await found(BlobSettings(url=f"file://{tmp_path}/gone"))

    assert (finding.state, finding.code) == ("failed", "blob_store_missing")
    assert "mount" in finding.fix
    assert str(tmp_path) not in finding.got


async def test_a_full_store_is_told_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_file: int, _data: memoryview) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)

    finding = await found(BlobSettings(url=f"file://{tmp_path}"))

    assert (finding.state, finding.code) == ("failed", "blob_store_full")
    assert all_files(tmp_path) == []
