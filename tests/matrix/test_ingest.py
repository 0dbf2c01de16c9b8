"""Every step of ingest, cut before it, after it took effect and before its answer, and after the answer."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bridge.domain.batches import LARGE_FROM_BYTES
from tests.matrix.cells import BOUNCES, INGEST, LARGE, MOVING, PARKING, PROPERTIES, Cell, may_repeat
from tests.support.mails import sample
from tests.support.soap import EwsClient as RawEws

if TYPE_CHECKING:
    from tests.matrix.site import Site

_MAILS = 3
_ATTACHED = b"plan" * (LARGE_FROM_BYTES // 5)
"""In base64, more than a large mail begins with."""
_DONE = (
    '<m:CreateFolder><m:ParentFolderId><t:DistinguishedFolderId Id="msgfolderroot"/></m:ParentFolderId>'
    "<m:Folders><t:Folder><t:DisplayName>Done</t:DisplayName></t:Folder></m:Folders></m:CreateFolder>"
)


def _mail(number: int, size: int = 500) -> bytes:
    return f"From: cad@example.com\r\nSubject: {number}\r\n\r\n{'x' * size}\r\n".encode()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("at", INGEST.cells(), ids=str)
def test_mail_arrives_whatever_is_cut_wherever(site: Site, at: Cell) -> None:
    """Each is in the queue under one message_id, and out of the inbox; twice only where that cannot be helped."""
    assert_arrives(site, at, "deleteditems")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("at", MOVING.cells(), ids=str)
def test_mail_is_moved_whatever_is_cut_wherever(site: Site, at: Cell) -> None:
    """As where it is deleted; then each is in the folder, once."""
    RawEws(site.sandbox, site.address).call(_DONE)
    site.mailbox["after_publish"] = "move:Done"
    [folder] = [one["id"] for one in site.sandbox.folders(site.address) if one["name"] == "Done"]

    assert_arrives(site, at, folder)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("at", PROPERTIES.cells(), ids=str)
def test_mail_without_mime_arrives_whatever_is_cut_wherever(site: Site, at: Cell) -> None:
    """Exchange refuses the MIME of one, once; whoever fetches it later may get it."""
    delivered = [_mail(number) for number in range(2)]
    site.deliver(*delivered)
    refused = {"kind": "item_error", "code": "ErrorMimeContentConversionFailed"}
    match = {"operation": "GetItem", "mailbox": site.address, "item": 1}
    site.sandbox.add_fault({"name": site.address, "match": match, "fault": refused, "times": 1})
    arrived = _arrived_though_cut(site, at)
    assert len(arrived) == len({one["message_id"] for one in arrived}) == 2
    assert {one["subject"] for one in arrived} == {"0", "1"}
    assert len(site.folder("deleteditems")) == 2


@pytest.mark.timeout(120)
@pytest.mark.parametrize("at", LARGE.cells(), ids=str)
def test_large_mail_arrives_whatever_is_cut_wherever(site: Site, at: Cell) -> None:
    """Its payload is in the queue only with its bytes in the store, whole; the mails behind it arrive as well."""
    store = site.directory / "blobs"
    store.mkdir()
    site.settings["BRIDGE_BLOBS__URL"] = f"file://{store}"
    large, small = _mail_with_attachment(_ATTACHED), _mail(1)
    site.deliver(large, small)
    arrived = _arrived_though_cut(site, at)
    assert Counter(site.came(_bytes_of(one["raw"])) for one in arrived) == Counter(map(site.said, [large, small]))
    assert [_bytes_of(part) for one in arrived for part in one["attachments"]] == [_ATTACHED]
    assert len(site.folder("deleteditems")) == 2


def _arrived_though_cut(site: Site, at: Cell) -> list[dict[str, Any]]:
    """Return what is in the queue once the inbox is empty, of a reader that was cut there."""
    worker = site.start("ingest", point=f"{at.step} {at.moment}")
    site.await_point()
    site.happen(at.cut, worker, "ingest", lambda: not site.folder())
    site.end()
    return site.taken("mail.inbound")


def _mail_with_attachment(content: bytes) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "cad@example.com", "0"
    mail.set_content("see the plan")
    mail.add_attachment(content, maintype="application", subtype="octet-stream", filename="plan.bin")
    return mail.as_bytes(policy=policy.SMTP)


def _bytes_of(carried: dict[str, Any]) -> bytes:
    """Return what a payload carries, or what the blob holds that it names, which is what it says of it."""
    if carried["blob"] is None:
        return base64.b64decode(carried["content"])
    content = Path(carried["blob"]["url"].removeprefix("file://")).read_bytes()
    assert (len(content), hashlib.sha256(content).hexdigest()) == (carried["blob"]["size"], carried["blob"]["sha256"])
    return content


def assert_arrives(site: Site, at: Cell, removed_to: str) -> None:
    """Each once, and out of the inbox; twice only where that cannot be helped."""
    delivered = [_mail(number) for number in range(_MAILS)]
    site.deliver(*delivered)
    arrived = _arrived_though_cut(site, at)
    by_id = {one["message_id"]: base64.b64decode(one["raw"]["content"]) for one in arrived}
    assert Counter(map(site.came, by_id.values())) == Counter(map(site.said, delivered))
    assert len(site.folder(removed_to)) == _MAILS
    repeats = len(arrived) - len(by_id)
    assert repeats <= (_MAILS if may_repeat(at) else 0)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("at", PARKING.cells(), ids=str)
def test_mail_is_parked_whatever_is_cut_wherever(site: Site, at: Cell) -> None:
    """It is announced under one event id, lies in Bridge Parked once, and the mail behind it arrives."""
    big, small = _mail(0, 400_000), _mail(1)
    site.deliver(big, small)
    site.settings = {"BRIDGE_RABBITMQ__LARGEST_BODY_BYTES": "300000"}
    worker = site.start("ingest", point=f"{at.step} {at.moment}")
    site.await_point()

    site.happen(at.cut, worker, "ingest", lambda: not site.folder())

    site.end()
    [folder] = [one for one in site.sandbox.folders(site.address) if one["name"] == "Bridge Parked"]
    [parked] = site.folder(folder["id"])
    assert site.came(site.sandbox.mime(site.address, parked["item_id"], folder["id"])) == site.said(big)
    assert {site.came(base64.b64decode(one["raw"]["content"])) for one in site.taken("mail.inbound")} == {
        site.said(small)
    }
    events = site.taken("mail.events")
    assert len({event["event_id"] for event in events}) == 1
    assert {event["event"] for event in events} == {"inbound.parked"}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("at", BOUNCES.cells(), ids=str)
def test_bounce_is_announced_whatever_is_cut_wherever(site: Site, at: Cell) -> None:
    """Each recipient is told of under one event id, and the bounce itself is in the queue under one message_id."""
    bounce = sample("09-bounce-delivery-status")
    site.deliver(bounce)
    worker = site.start("ingest", point=f"{at.step} {at.moment}")
    site.await_point()

    site.happen(at.cut, worker, "ingest", lambda: not site.folder())

    site.end()
    events = site.taken("mail.events")
    assert Counter(event["event"] for event in events).keys() == {"outbound.bounced"}
    assert {event["request_id"] for event in events} == {"notice-816"}
    assert len({event["event_id"] for event in events}) == 2
    arrived = site.taken("mail.inbound")
    assert {(one["message_id"], one["kind"]) for one in arrived} == {(arrived[0]["message_id"], "bounce")}
