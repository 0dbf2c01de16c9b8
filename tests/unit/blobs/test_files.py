"""A directory as a blob store, and what can go wrong with it."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bridge.adapters.blobs.files import FileBlobs
from bridge.domain.blobs import BlobRef, BytesInMemory
from bridge.errors import BlobMissing, BlobRefused, BlobStoreUnavailable, BlobStoreUnusable
from tests.contract.blob_store import BlobStoreContract, a_ref

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "blobs").mkdir()
    return tmp_path / "blobs"


@pytest.fixture
async def store(root: Path) -> AsyncIterator[FileBlobs]:
    made = FileBlobs(root, timeout_seconds=30)
    yield made
    await made.close()


def all_files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


class TestFileBlobs(BlobStoreContract):
    """In a directory."""


async def test_the_url_of_a_store_is_its_directory(store: FileBlobs, root: Path) -> None:
    assert store.url == f"file://{root}"


async def test_no_directory_is_made_where_the_root_is_missing(tmp_path: Path) -> None:
    store = FileBlobs(tmp_path / "not-mounted", timeout_seconds=5)

    with pytest.raises(BlobStoreUnusable) as caught:
        await store.write(a_ref(b"x"), BytesInMemory(b"x"))

    assert caught.value.code == "blob_store_missing"
    assert not (tmp_path / "not-mounted").exists()


@pytest.mark.parametrize(
    ("call", "number", "code"),
    [
        ("write", errno.ENOSPC, "blob_store_full"),
        ("write", errno.EDQUOT, "blob_store_full"),
        ("fsync", errno.ENOSPC, "blob_store_full"),
        ("open", errno.EROFS, "blob_store_refused"),
        ("mkdir", errno.EACCES, "blob_store_refused"),
        ("rename", errno.EROFS, "blob_store_refused"),
        ("rename", errno.ENOENT, "blob_store_missing"),
        ("write", errno.EIO, "blob_store_unavailable"),
        ("fsync", errno.EIO, "blob_store_unavailable"),
        ("pread", errno.ESTALE, "blob_store_unavailable"),
    ],
)
def test_a_write_that_fails_leaves_nothing_and_says_why(
    root: Path, monkeypatch: pytest.MonkeyPatch, *, call: str, number: int, code: str
) -> None:
    store = FileBlobs(root, timeout_seconds=30)
    real = getattr(os, call)

    def failing(*args: Any, **kwargs: Any) -> object:
        if call == "open" and not (args[1] & os.O_CREAT):
            return real(*args, **kwargs)
        raise OSError(number, os.strerror(number), str(root / "secret"))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        with pytest.raises((BlobStoreUnusable, BlobStoreUnavailable)) as caught:
            asyncio.run(store.write(a_ref(b"x"), BytesInMemory(b"x")))

    assert caught.value.code == code
    assert str(root) not in str(caught.value)
    assert all_files(root) == []


async def test_a_file_where_a_directory_should_be_is_told(store: FileBlobs, root: Path) -> None:
    (root / "dispatch").symlink_to("nowhere")

    with pytest.raises(BlobStoreUnusable) as caught:
        await store.write(a_ref(b"x"), BytesInMemory(b"x"))

    assert caught.value.code == "blob_store_missing"


async def test_other_bytes_than_were_written_are_no_blob(
    store: FileBlobs, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pread

    def broken(file: int, count: int, at: int) -> bytes:
        found = real(file, count, at)
        return b"\x00" + found[1:] if found else found

    monkeypatch.setattr(os, "pread", broken)

    with pytest.raises(BlobStoreUnavailable) as caught:
        await store.write(a_ref(b"as they were"), BytesInMemory(b"as they were"))

    assert caught.value.code == "blob_store_corrupts"
    assert all_files(root) == []


async def test_a_store_that_takes_too_long_is_given_up(root: Path) -> None:
    store, go_on = FileBlobs(root, timeout_seconds=0.2), threading.Event()

    class Stuck:
        def pieces(self) -> Iterator[bytes]:
            go_on.wait(60)
            yield b"x"

    with pytest.raises(BlobStoreUnavailable) as caught:
        await store.write(a_ref(b"x"), Stuck())

    assert caught.value.code == "blob_store_slow"
    go_on.set()
    async with asyncio.timeout(30):
        while all_files(root):
            await asyncio.sleep(0.02)


async def test_a_directory_that_goes_away_in_the_middle_is_told(store: FileBlobs, root: Path) -> None:
    class Leaving:
        def pieces(self) -> Iterator[bytes]:
            yield b"first"
            for path in all_files(root):
                path.unlink()
            (root / "dispatch" / "2026-11-24" / "m-1").rmdir()
            yield b"last"

    with pytest.raises(BlobStoreUnusable) as caught:
        await store.write(a_ref(b"firstlast"), Leaving())

    assert caught.value.code == "blob_store_missing"


def _link_to_file(root: Path, outside: Path) -> None:
    (root / "a").mkdir()
    (root / "a" / "b").symlink_to(outside / "secret")


def _link_to_directory(root: Path, outside: Path) -> None:
    (root / "a").symlink_to(outside)


def _link_within(root: Path, _: Path) -> None:
    (root / "real").mkdir()
    (root / "real" / "b").write_bytes(b"secret")
    (root / "a").symlink_to("real")


def _directory(root: Path, _: Path) -> None:
    (root / "a" / "b").mkdir(parents=True)


def _pipe(root: Path, _: Path) -> None:
    (root / "a").mkdir()
    os.mkfifo(root / "a" / "b")


@pytest.mark.parametrize("lay", [_link_to_file, _link_to_directory, _link_within, _directory, _pipe])
async def test_what_is_no_file_of_the_store_is_refused(
    store: FileBlobs, root: Path, tmp_path: Path, lay: Callable[[Path, Path], None]
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (outside / "b").write_bytes(b"secret")
    lay(root, outside)
    ref = a_ref(b"secret")

    with pytest.raises(BlobRefused):
        await store.read(BlobRef("a/b", ref.size, ref.sha256))


async def test_nothing_is_written_through_a_link(store: FileBlobs, root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (root / "dispatch").symlink_to(tmp_path / "outside")

    with pytest.raises(BlobStoreUnusable):
        await store.write(a_ref(b"x"), BytesInMemory(b"x"))

    assert all_files(tmp_path / "outside") == []


async def test_what_a_killed_write_left_is_removed_by_its_age(store: FileBlobs, root: Path) -> None:
    ref = a_ref(b"x")
    await store.write(ref, BytesInMemory(b"x"))
    left = root / Path(ref.key).parent / ".0123456789abcdef.part"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))

    await store.remove_older(datetime.now(UTC) - timedelta(days=1), limit=10)

    assert [path.name for path in all_files(root)] == [ref.sha256]


async def test_directories_that_are_empty_are_removed_and_the_root_never(store: FileBlobs, root: Path) -> None:
    await store.write(a_ref(b"x"), BytesInMemory(b"x"))

    await store.remove_older(datetime.now(UTC) + timedelta(days=1), limit=10)

    assert not any(root.iterdir())  # noqa: ASYNC240 - nothing else runs


async def test_a_sweep_follows_no_link(store: FileBlobs, root: Path, tmp_path: Path) -> None:
    ref = a_ref(b"x")
    other = FileBlobs(tmp_path / "other", timeout_seconds=10)
    (tmp_path / "other").mkdir()
    await other.write(ref, BytesInMemory(b"x"))
    (root / "dispatch").symlink_to(tmp_path / "other" / "dispatch")

    assert await store.remove_older(datetime.now(UTC) + timedelta(days=1), limit=10) == 0

    assert await other.read(ref) == b"x"


async def test_a_file_is_on_the_disk_before_its_name_and_the_name_before_the_answer(
    store: FileBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, rename = os.fsync, os.rename

    def noted_fsync(file: int) -> None:
        done.append("fsync")
        fsync(file)

    def noted_rename(old: str, new: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        done.append("rename")
        rename(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "rename", noted_rename)

    await store.write(a_ref(b"x"), BytesInMemory(b"x"))

    assert done == ["fsync", "fsync", "fsync", "fsync", "rename", "fsync"]  # three directories, the file; its name


async def test_a_missing_blob_in_a_store_that_is_gone_is_the_stores_trouble(tmp_path: Path) -> None:
    store = FileBlobs(tmp_path / "gone", timeout_seconds=5)

    with pytest.raises(BlobStoreUnusable):
        await store.read(a_ref(b"x"))
    (tmp_path / "gone").mkdir()
    with pytest.raises(BlobMissing):
        await store.read(a_ref(b"x"))


async def test_directories_that_another_made_and_did_not_secure_are_secured(
    store: FileBlobs, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who made them may have died in between: a power cut would take them away with the blob."""
    ref = a_ref(b"x")
    path = root / ref.key
    path.parent.mkdir(parents=True)
    secured: set[str] = set()
    fsync = os.fsync

    def secure(file: int) -> None:
        secured.add(str(Path(f"/proc/self/fd/{file}").readlink()))
        fsync(file)

    monkeypatch.setattr(os, "fsync", secure)

    await store.write(ref, BytesInMemory(b"x"))

    assert {str(parent) for parent in path.parents if parent.is_relative_to(root)} <= secured


async def test_a_copy_stays_what_it_was_when_somebody_writes_into_the_file(store: FileBlobs, root: Path) -> None:
    data = b"as it was compared"
    ref = a_ref(data)
    await store.write(ref, BytesInMemory(data))
    copied = await store.copy(ref)

    (root / ref.key).write_bytes(data.upper())

    assert b"".join(copied.pieces()) == data
