"""Large mail: its parts are in the store before its payload is in the queue, whatever the store does meanwhile."""

from __future__ import annotations

import base64
import email
import hashlib
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pika
import pytest

from tests.scenario.conftest import ADDRESS
from tests.support.sandbox import as_given
from tests.support.workers import bridge, take, until

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
    assert as_given(_read(large["raw"]["blob"])) == mail
    assert [_read(one["blob"]) for one in large["attachments"][:2]] == [_attachment(size) for size in sizes[:2]]
    assert base64.b64decode(large["attachments"][2]["content"]) == _attachment(100)
    assert (large["text"], large["defects"]) == ("see the plans", [])
    assert as_given(base64.b64decode(small["raw"]["content"])) == _SMALL


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
        assert [as_given(base64.b64decode(one["raw"]["content"])) for one in _payloads(site)] == [_SMALL]
        store.mkdir()
        until(lambda: site.count() == 0, "the large mail to leave")
        until(worker.ready, "the worker to be ready")
        worker.stop()

    [large] = _payloads(site)
    assert as_given(_read(large["raw"]["blob"])) == mail


def test_a_large_mail_that_was_parked_without_a_store_is_exported_whole_and_goes_once_there_is_one(
    site: Site, store: Path
) -> None:
    mail = _mail(14_000_000)
    site.sandbox.deliver(ADDRESS, mail)
    with site.worker("ingest") as worker:
        parked = {"code": "too_large_for_broker"}
        until(lambda: worker.metric("bridge_ingest_parked_mails_total", **parked) == 1, "the mail to be parked")
        assert site.count() == 0
        worker.stop()
    [listed] = json.loads(bridge("parked", "list", "--json", environment=site.environment).stdout)
    file = site.directory / "parked.eml"
    exported = bridge("parked", "export", listed["message_id"], str(file), environment=site.environment)
    assert (exported.returncode, as_given(file.read_bytes())) == (0, mail)

    retry = ("parked", "retry", listed["message_id"])
    assert bridge(*retry, environment=site.environment).returncode == 1  # it would be parked again
    with_store = {**site.environment, "BRIDGE_BLOBS__URL": f"file://{store}"}
    assert bridge(*retry, environment=with_store).returncode == 0
    with site.worker("ingest", BLOBS__URL=f"file://{store}") as worker:
        until(lambda: site.count() == 0, "the mail to leave")
        worker.stop()

    [payload] = _payloads(site)
    assert payload["message_id"] == listed["message_id"]
    assert as_given(_read(payload["raw"]["blob"])) == mail


def test_a_worker_killed_between_blob_and_publish_publishes_the_mail_once_with_the_same_blobs(
    site: Site, store: Path
) -> None:
    mail = _mail(5_000_000)
    site.sandbox.deliver(ADDRESS, mail)

    first = _publish_after_a_kill_behind_the_first_blob(site, store)

    payloads = _payloads(site)
    assert len({one["message_id"] for one in payloads}) == 1
    assert first <= set(_blobs(store))
    assert len(_blobs(store)) == 2
    assert as_given(_read(payloads[-1]["raw"]["blob"])) == mail


def test_a_mail_that_has_other_bytes_after_a_kill_is_published_under_its_id_with_blobs_of_its_own(
    site: Site, store: Path
) -> None:
    """Exchange makes MIME at each reading: what was stored of the first stays whole, beside that of the second."""
    site.sandbox.admin("/settings", method="PUT", body={"mime_made_anew": "on_reading"})
    site.sandbox.deliver(ADDRESS, _mail(5_000_000))

    first = _publish_after_a_kill_behind_the_first_blob(site, store)

    payloads = _payloads(site)
    assert len({one["message_id"] for one in payloads}) == 1
    blobs = {str(path): path.read_bytes() for path in _blobs(store)}
    assert first <= {Path(path) for path in blobs}
    assert len({hashlib.sha256(content).digest() for content in blobs.values()}) == len(blobs)
    raw, [attachment] = payloads[-1]["raw"], payloads[-1]["attachments"]
    assert _read(attachment["blob"]) == _attachment(5_000_000)
    parts = list(email.message_from_bytes(_read(raw["blob"])).walk())
    assert parts[-1].get_payload(decode=True) == _attachment(5_000_000)


def _blobs(store: Path) -> list[Path]:
    files = [path for path in store.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return [path for path in files if "bridge-probe" not in path.parts]  # with which workers try the store


def _publish_after_a_kill_behind_the_first_blob(site: Site, store: Path) -> set[Path]:
    """Return the blobs that there were when the worker was killed."""
    worker = site.worker("ingest", BLOBS__URL=f"file://{store}")
    with worker:
        until(lambda: bool(_blobs(store)), "a blob")
        worker.kill()
        first = set(_blobs(store))
        worker.start()
        until(lambda: site.count() == 0, "the mail to leave")
        worker.stop()
    return first


def _request(site: Site, request_id: str, attachments: list[dict[str, Any]]) -> None:
    fields = {"to": [{"address": ADDRESS}], "subject": request_id, "text": "plans", "attachments": attachments}
    body = json.dumps({"request_id": request_id, **fields}).encode()
    connection = pika.BlockingConnection(pika.URLParameters(site.amqp_url))
    channel = connection.channel()
    channel.confirm_delivery()
    properties = pika.BasicProperties(message_id=request_id, delivery_mode=2)
    channel.basic_publish("mail.outbound", "dispatch", body, properties)
    connection.close()


def _stored(store: Path, name: str, data: bytes) -> dict[str, Any]:
    (store / "out").mkdir(exist_ok=True)
    (store / "out" / name).write_bytes(data)
    blob = {"url": f"file://{store}/out/{name}", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return {"name": name, "content_type": "application/pdf", "blob": blob}


def _ends(site: Site, number: int) -> dict[str, tuple[str, str | None]]:
    events: list[dict[str, Any]] = []

    def arrived() -> bool:
        events.extend(json.loads(body) for _, body in take(site.amqp_url, "mail.events"))
        return len(events) >= number

    until(arrived, f"{number} events", seconds=100)
    return {one["request_id"]: (one["event"], one["code"]) for one in events}


def test_stored_attachments_too_large_for_one_call_are_sent_one_by_one(site: Site, store: Path) -> None:
    """Each byte for byte; a blob that is missing or another one fails its request alone."""
    size = 20_000_000
    site.sandbox.admin("/settings", method="PUT", body={"send_bytes": 157_286_400, "receive_bytes": 157_286_400})
    parts = [_attachment(size + number) for number in range(2)]
    plans = [_stored(store, f"{number}.pdf", part) for number, part in enumerate(parts)]
    gone, changed = _stored(store, "gone.pdf", b"gone"), _stored(store, "changed.pdf", b"as it was")
    (store / "out" / "gone.pdf").unlink()
    (store / "out" / "changed.pdf").write_bytes(b"AS IT WAS")

    with site.worker("egress", BLOBS__URL=f"file://{store}") as worker:
        _request(site, "plans", plans)
        _request(site, "gone", [gone])
        _request(site, "changed", [changed])
        elsewhere = {"url": "file:///etc/passwd", "size": 1, "sha256": "0" * 64}
        _request(site, "elsewhere", [{"name": "x", "blob": elsewhere}])
        ends = _ends(site, 4)
        worker.stop()

    assert ends == {
        "plans": ("outbound.sent", None),
        "gone": ("outbound.failed", "blob_missing"),
        "changed": ("outbound.failed", "blob_changed"),
        "elsewhere": ("outbound.failed", "invalid_request"),
    }
    assert [one["request_id"] for one in site.sandbox.admin("/sends")] == ["plans"]
    until(lambda: site.count() == 1, "the mail to arrive")
    [mail] = site.sandbox.admin(f"/mailboxes/{ADDRESS}/folders/inbox/mails")["mails"]
    mime = site.sandbox.admin_bytes(f"/mailboxes/{ADDRESS}/folders/inbox/mails/{mail['item_id']}/mime")
    found = [part for part in email.message_from_bytes(mime).walk() if part.get_filename()]
    assert [part.get_payload(decode=True) for part in found] == parts
    assert site.count("drafts") == 0
