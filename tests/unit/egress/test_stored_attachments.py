"""Attachments out of the blob store: sent as they lie there, or the request fails and says why."""

from __future__ import annotations

import base64
import email
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bridge.adapters.blobs.files import FileBlobs
from bridge.egress.draft import BlobReader
from bridge.flow.byte_budget import ByteBudget
from bridge.wire.outbound_v1 import OutboundLimits
from tests.unit.egress.harness import PLENTY, Bench, eventually
from tests.unit.egress.test_sender import SENT

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = b"the plan " * 1_000


class Place(Bench):
    """A bench with a store."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = FileBlobs(root, timeout_seconds=30)
        self.budget = ByteBudget(10_000_000)
        limits = OutboundLimits(blob_store_url=self.store.url, attachment_bytes=1 << 40)
        super().__init__(options=replace(PLENTY, limits=limits, blobs=BlobReader(self.store, self.budget)))

    def attachment(self, name: str = "out/plan.pdf", data: bytes = DATA, **changes: Any) -> dict[str, Any]:
        """Write a blob as CAD does, and return the attachment that names it."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        blob = {"url": f"{self.store.url}/{name}", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        return {"name": Path(name).name, "content_type": "application/pdf", "blob": {**blob, **changes}}


@pytest.fixture
def bench(tmp_path: Path) -> Place:
    (tmp_path / "blobs").mkdir()
    return Place(tmp_path / "blobs")


def _attached(bench: Place) -> list[bytes]:
    [item] = bench.mailbox.items.values()
    parts = email.message_from_bytes(item.mime).walk()
    return [bytes(part.get_payload(decode=True)) for part in parts if part.get_filename()]


async def test_a_stored_attachment_is_sent_as_it_lies_there(bench: Place) -> None:
    inline = {"name": "b.txt", "content": base64.b64encode(b"inline").decode()}
    bench.request(attachments=[bench.attachment(), inline])

    async with bench.running():
        await eventually(lambda: bool(bench.events()))

    assert bench.told() == [SENT]
    assert _attached(bench) == [DATA, b"inline"]
    assert bench.budget.taken_bytes == 0


def _gone(bench: Place) -> None:
    (bench.root / "out" / "plan.pdf").unlink()


def _changed(bench: Place) -> None:
    (bench.root / "out" / "plan.pdf").write_bytes(DATA.upper())


def _shorter(bench: Place) -> None:
    (bench.root / "out" / "plan.pdf").write_bytes(DATA[:-1])


def _link(bench: Place) -> None:
    path = bench.root / "out" / "plan.pdf"
    (bench.root.parent / "secret").write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(bench.root.parent / "secret")


@pytest.mark.parametrize(
    ("do", "code"),
    [(_gone, "blob_missing"), (_changed, "blob_changed"), (_shorter, "blob_changed"), (_link, "blob_refused")],
)
async def test_a_blob_that_is_not_what_the_request_says_fails_the_request(
    bench: Place, do: Callable[[Place], None], code: str
) -> None:
    bench.request(attachments=[bench.attachment()])
    do(bench)

    async with bench.running():
        await eventually(lambda: bool(bench.events()))
        bench.request("r-2")
        await eventually(lambda: len(bench.events()) == 2)

    assert bench.told() == [("outbound.failed", code), SENT]
    assert [message.message_id for message in bench.dead()] == ["r-1"]
    assert bench.budget.taken_bytes == 0


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "{}/../secret",
        "{}/out/../../secret",
        "{}x/secret",
        "{}/out/%2e%2e/x",
        "{}/.hidden",
        "s3://b/x",
    ],
)
async def test_a_url_that_leads_elsewhere_fails_before_anything_is_read(bench: Place, url: str) -> None:
    bench.request(attachments=[bench.attachment(url=url.format(bench.store.url))])

    async with bench.running():
        await eventually(lambda: bool(bench.events()))

    assert bench.told() == [("outbound.failed", "invalid_request")]
    assert "attachments" in bench.events()[0].detail
    assert "secret" not in bench.events()[0].detail


async def test_a_store_that_is_gone_lets_the_request_wait_and_others_pass(bench: Place) -> None:
    bench.request(attachments=[bench.attachment()])
    away = bench.root.rename(bench.root.with_name("away"))

    async with bench.running():
        bench.request("r-2")
        await eventually(lambda: bool(bench.events()))
        assert bench.told() == [SENT]
        assert bench.events()[0].request_id == "r-2"
        await eventually(lambda: bool(bench.waiting()))
        away.rename(bench.root)
        bench.come_back()
        await eventually(lambda: len(bench.events()) == 2)

    assert bench.told() == [SENT, SENT]


async def test_attachments_that_fit_in_no_call_together_go_one_by_one(bench: Place) -> None:
    bench.mailbox.largest_mime_bytes = 2_000_000
    bench.mailbox.largest_attachment_bytes = 2_000_000
    parts = [bytes([number]) * 1_000_000 for number in range(3)]
    bench.request(attachments=[bench.attachment(f"out/{number}.bin", part) for number, part in enumerate(parts)])

    async with bench.running():
        await eventually(lambda: bool(bench.events()))

    assert bench.told() == [SENT]
    [item] = bench.mailbox.items.values()
    assert item.mime.endswith(b"".join(parts))
    assert bench.budget.taken_bytes == 0


@pytest.mark.parametrize(("attachment", "mail"), [(999_999, 1 << 40), (1 << 40, 4_000_000)])
async def test_what_exchange_takes_in_no_number_of_calls_fails_before_it_is_read(
    bench: Place, attachment: int, mail: int
) -> None:
    bench.mailbox.largest_mime_bytes = 2_000_000
    bench.mailbox.largest_attachment_bytes = attachment
    bench.mailbox.largest_mail_bytes = mail
    bench.request(attachments=[bench.attachment(f"out/{number}.bin", bytes(1_000_000)) for number in range(3)])
    for path in bench.root.rglob("*.bin"):
        path.unlink()

    async with bench.running():
        await eventually(lambda: bool(bench.events()))

    assert bench.told() == [("outbound.failed", "too_large_for_transport")]


@pytest.mark.parametrize("largest", range(3))
async def test_one_attachment_that_fits_in_no_call_fails_the_request_wherever_it_stands(
    bench: Place, largest: int
) -> None:
    bench.mailbox.largest_attachment_bytes = 1_999
    sizes = [2_000 if number == largest else 1_000 for number in range(3)]
    bench.request(attachments=[bench.attachment(f"out/{number}.bin", bytes(size)) for number, size in enumerate(sizes)])

    async with bench.running():
        await eventually(lambda: bool(bench.events()))

    assert bench.told() == [("outbound.failed", "too_large_for_transport")]


async def test_stored_attachments_of_some_megabytes_go_one_by_one_whatever_one_call_takes(bench: Place) -> None:
    """In one call they are in memory several times over."""
    parts = [bytes([number]) * 4_000_000 for number in range(2)]
    bench.request(attachments=[bench.attachment(f"out/{number}.bin", part) for number, part in enumerate(parts)])

    async with bench.running():
        await eventually(lambda: bool(bench.events()))

    assert bench.told() == [SENT]
    [item] = bench.mailbox.items.values()
    assert item.mime.endswith(b"".join(parts))


@pytest.mark.parametrize(("do", "code"), [(_gone, "blob_missing"), (_changed, "blob_changed"), (_link, "blob_refused")])
async def test_a_blob_of_a_mail_in_parts_that_is_not_what_the_request_says_is_never_attached(
    bench: Place, do: Callable[[Place], None], code: str
) -> None:
    bench.mailbox.largest_mime_bytes = 600_000
    bench.request(attachments=[bench.attachment(data=DATA * 100)])
    do(bench)

    async with bench.running():
        await eventually(lambda: bool(bench.events()))

    assert bench.told() == [("outbound.failed", code)]
    assert not bench.mailbox.items
