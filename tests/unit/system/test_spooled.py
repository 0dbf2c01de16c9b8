"""A mail in a file is read aside, its large parts go from file to store, and the payload is the same as ever."""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import os
import random
from contextlib import aclosing, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bridge.adapters.blobs.files import FileBlobs
from bridge.adapters.spool import FileExtent, Spool
from bridge.adapters.system.parser_job import Files, Job, composed_by
from bridge.adapters.system.parser_subprocess import ParserSubprocesses
from bridge.domain.blobs import BlobRef
from bridge.domain.mail import FetchedMail, MailRef, SpooledMail
from bridge.errors import BlobStoreUnusable, MessageTooLarge
from bridge.ingest.compose import Claims, Composer
from bridge.mime.parsed import Extent
from bridge.wire import inbound_v1
from bridge.wire.claims import ClaimRules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.ports.broker import Message
    from bridge.telemetry.events import Event

_CHANCE = random.Random(4)
_PARTS = [_CHANCE.randbytes(size) for size in (3_000_000, 10, 1_400_000, 1_048_577)]


def a_mime() -> bytes:
    parts = b"".join(
        b"--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(one)
        + b"\r\n"
        for one in _PARTS
    )
    head = b"Subject: Request\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nnow\r\n"
    return head + parts + b"--b--\r\n"


def spooled(mime: bytes) -> SpooledMail:
    spool = Spool()
    spool.append(mime)
    at = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
    ref = MailRef("f" * 40, "item", at, len(mime), "IPM.Note")
    return SpooledMail(ref, spool, len(mime), hashlib.sha256(mime).hexdigest())


class Place:
    """A store, and a composer that uses it."""

    def __init__(self, root: Path, *, child: Sequence[str] | None = None) -> None:
        root.mkdir(exist_ok=True)
        self.store = FileBlobs(root, timeout_seconds=60)
        self.aside = ParserSubprocesses(child=child) if child is not None else ParserSubprocesses()
        self.told: list[Event] = []
        rules = ClaimRules(self.store.url, 1 << 20, 1 << 24)
        claims = Claims(self.store, rules)
        self.composer = Composer("dispatch", self.aside, self.told.append, largest_body_bytes=1 << 24, claims=claims)

    async def __aenter__(self) -> Place:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aside.close()
        await self.store.close()

    async def blob(self, blob: inbound_v1.Blob | None) -> bytes:
        assert blob is not None
        key = blob.url.removeprefix(f"{self.store.url}/")
        return await self.store.read(BlobRef(key, blob.size, blob.sha256))


def _payload(messages: Sequence[Message]) -> inbound_v1.InboundMail:
    return inbound_v1.from_json(messages[-1].body)


async def test_a_mail_in_a_file_has_the_payload_that_it_has_in_memory(tmp_path: Path) -> None:
    mime = a_mime()
    async with Place(tmp_path / "blobs") as place:
        mail = spooled(mime)

        from_file = await place.composer(mail)
        in_memory = await place.composer(FetchedMail(mail.ref, mime))

        assert from_file == in_memory
        payload = _payload(from_file)
        assert payload.raw is not None
        assert await place.blob(payload.raw.blob) == mime
        found = [one.data() if one.blob is None else await place.blob(one.blob) for one in payload.attachments]
        assert found == _PARTS
        assert payload.text == "now"


async def test_blobs_are_in_the_store_before_there_is_a_message(tmp_path: Path) -> None:
    async with Place(tmp_path / "blobs") as place:
        (tmp_path / "blobs").rmdir()

        with pytest.raises(BlobStoreUnusable):
            await place.composer(spooled(a_mime()))

        (tmp_path / "blobs").mkdir()
        assert len(await place.composer(spooled(a_mime()))) == 1


async def test_a_mail_whose_process_dies_goes_out_with_its_bytes_in_the_store(tmp_path: Path) -> None:
    mime = a_mime()
    async with Place(tmp_path / "blobs", child=("-c", "")) as place:
        payload = _payload(await place.composer(spooled(mime)))

        assert payload.defects == ("parser_failed",)
        assert payload.attachments == ()
        assert payload.raw is not None
        assert await place.blob(payload.raw.blob) == mime


async def test_without_a_store_a_mail_in_a_file_is_carried_as_far_as_the_broker_goes() -> None:
    async with aclosing(_NoStore()) as place:
        messages = await place.composer(spooled(a_mime()))
        payload = _payload(messages)

        assert payload.raw is not None
        assert payload.raw.data() == a_mime()
        with pytest.raises(MessageTooLarge):
            await place.small(spooled(a_mime()))


class _NoStore:
    def __init__(self) -> None:
        self.aside = ParserSubprocesses()
        told: list[Any] = []
        self.composer = Composer("dispatch", self.aside, told.append, largest_body_bytes=1 << 25)
        self.small = Composer("dispatch", self.aside, told.append, largest_body_bytes=1 << 20)

    async def aclose(self) -> None:
        await self.aside.close()


def _open_spools() -> int:
    links = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return sum("/bridge-" in link and "deleted" in link for link in links)


async def test_files_are_given_back_whatever_becomes_of_their_mails(tmp_path: Path) -> None:
    async with Place(tmp_path / "blobs") as place:
        gc.collect()
        before = _open_spools()
        for _ in range(2):
            await place.composer(spooled(a_mime()))
        assert _open_spools() <= before
        task = asyncio.ensure_future(place.composer(spooled(a_mime())))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        del task

        async with asyncio.timeout(30):
            while _open_spools() > before:
                gc.collect()
                await asyncio.sleep(0.02)


def test_a_spool_has_no_name_and_gives_back_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with closing(Spool()) as spool:
        spool.append(b"0123")
        spool.append(b"456789")

        assert list(tmp_path.iterdir()) == []
        assert b"".join(FileExtent(spool, 2, 5).pieces()) == b"23456"
        assert spool.read() == b"0123456789"
        with pytest.raises(ValueError, match="shorter"):
            list(FileExtent(spool, 5, 50).pieces())


def test_no_room_for_a_spool_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(BlobStoreUnusable) as caught:
        Spool()
    assert caught.value.code == "spool_unusable"
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with closing(Spool()) as spool:
        monkeypatch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(BlobStoreUnusable) as caught:
            spool.append(b"x")
    assert caught.value.code == "spool_unusable"


def test_many_attachments_that_are_not_large_are_not_held_together() -> None:
    """In payload, answer and worker they would be several times the mail."""
    part = b"--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n%b\r\n"
    parts = b"".join(part % base64.encodebytes(bytes([number]) * 600_000) for number in range(30))
    mime = b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--\r\n"
    rules = ClaimRules("file:///blobs", 1 << 20, 16 << 20)
    with closing(Spool()) as whole, closing(Spool()) as found:
        whole.append(mime)
        ref = MailRef("m", "i", None, len(mime), "IPM.Note")
        files = Files(ref, len(mime), hashlib.sha256(mime).hexdigest(), whole.descriptor, found.descriptor)

        made = composed_by(Job(files, "dispatch", 60.0, 1 << 30, rules))

    assert made.unread is None
    assert len(made.blobs) == 31
    assert [blob for blob in made.blobs if not isinstance(blob.content, Extent)] == []
