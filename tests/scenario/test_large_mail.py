"""Large mail: its parts are in the store before its payload is in the queue, whatever the store does meanwhile."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.scenario.conftest import ADDRESS
from tests.support.workers import take, until

if TYPE_CHECKING:
    from tests.scenario.conftest import Site

_SMALL = f"From: cad@example.com\r\nTo: {ADDRESS}\r\nSubject: Page\r\n\r\nnow\r\n".encode()


def _attachment(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def _mail(*sizes: int) -> bytes:
    parts = b"".join(
        b"--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n%b\r\n"
        % base64.encodebytes(_attachment(size)).replace(b"\n", b"\r\n")
        for size in sizes
    )
    head = (
        f"From: cad@example.com\r\nTo: {ADDRESS}\r\nSubject: Plans\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee the plans\r\n"
    )
    return head.encode() + parts + b"--b--\r\n"


def _read(blob: dict[str, Any]) -> bytes:
    """Read a blob as a consumer does."""
    content = Path(urlsplit(blob["url"]).path).read_bytes()
    assert (len(content), hashlib.sha256(content).hexdigest()) == (blob["size"], blob["sha256"])
    return content


def _payloads(site: Site) -> list[dict[str, Any]]:
    return [json.loads(body) for _, body in take(site.amqp_url)]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "blobs").mkdir()
    return tmp_path / "blobs"


def test_a_large_mail_arrives_with_its_bytes_in_the_store(site: Site, store: Path) -> None:
    sizes = (12_000_000, 2_000_000, 100)
    mail = _mail(*sizes)
    site.sandbox.deliver(ADDRESS, mail)
    site.sandbox.deliver(ADDRESS, _SMALL)

    with site.worker("ingest", BLOBS__URL=f"file://{store}") as worker:
        until(lambda: site.count() == 0, "the mails to leave")
        assert worker.metric("bridge_ingest_blobs_total") == 3
        worker.stop()

    large, small = _payloads(site)
    assert _read(large["raw"]["blob"]) == mail
    assert [_read(one["blob"]) for one in large["attachments"][:2]] == [_attachment(size) for size in sizes[:2]]
    assert base64.b64decode(large["attachments"][2]["content"]) == _attachment(100)
    assert (large["text"], large["defects"]) == ("see the plans", [])
    assert base64.b64decode(small["raw"]["content"]) == _SMALL


def test_a_store_that_is_gone_keeps_large_mail_in_the_inbox_and_small_mail_passes(site: Site, store: Path) -> None:
    """Nothing is published without its bytes; it goes by itself once the store is back."""
    store.rmdir()
    mail = _mail(5_000_000)
    site.sandbox.deliver(ADDRESS, mail)
    site.sandbox.deliver(ADDRESS, _SMALL)

    with site.worker("ingest", BLOBS__URL=f"file://{store}", INGEST__KEEP_SECONDS="0.5") as worker:
        until(lambda: site.count() == 1, "the small mail to leave")
        until(lambda: "blob_store_missing" in str(worker.health()), "health to say why")
        assert not worker.ready()
        assert [base64.b64decode(one["raw"]["content"]) for one in _payloads(site)] == [_SMALL]
        store.mkdir()
        until(lambda: site.count() == 0, "the large mail to leave")
        until(worker.ready, "the worker to be ready")
        worker.stop()

    [large] = _payloads(site)
    assert _read(large["raw"]["blob"]) == mail


def test_a_worker_killed_between_blob_and_publish_publishes_the_mail_once_with_the_same_blobs(
    site: Site, store: Path
) -> None:
    mail = _mail(5_000_000)
    site.sandbox.deliver(ADDRESS, mail)
    settings = {"BLOBS__URL": f"file://{store}"}

    def blobs() -> list[Path]:
        return [path for path in store.rglob("*") if path.is_file() and not path.name.startswith(".")]

    worker = site.worker("ingest", **settings)
    with worker:
        until(lambda: bool(blobs()), "a blob")
        worker.kill()
        first = set(blobs())
        worker.start()
        until(lambda: site.count() == 0, "the mail to leave")
        worker.stop()

    payloads = _payloads(site)
    assert len({one["message_id"] for one in payloads}) == 1
    assert first <= set(blobs())
    assert len(blobs()) == 2
    assert _read(payloads[-1]["raw"]["blob"]) == mail
