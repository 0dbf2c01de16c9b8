"""Every step of egress, cut before it, after it took effect and before its answer, and after the answer."""

from __future__ import annotations

import hashlib
from contextlib import closing
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

import pika
import pytest

from bridge.wire.topology import OUTBOUND
from tests.matrix.cells import DISCARDING, EGRESS, ENDING, FAILING, FOLDER, IN_PARTS, TAKING_OVER, WAITING, Cell
from tests.matrix.requests import all_members, assert_sent, assert_sent_once, assert_told, cut, ids, request
from tests.support.workers import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.matrix.site import Site

_ATTACHED_BYTES = 60_000
_ONE_CALL_BYTES = 600_000
"""Half a megabyte is set aside for what is beside attachments."""


@pytest.mark.timeout(180)
@pytest.mark.parametrize("at", EGRESS.cells(), ids=str)
def test_request_is_sent_once_whatever_is_cut_wherever(site: Site, at: Cell) -> None:
    request_ids = ids(site)
    request(site, *request_ids)

    told = cut(site, at, request_ids)

    assert_sent_once(site, told, request_ids)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("at", FOLDER.cells(), ids=str)
def test_first_request_is_sent_once_whatever_is_cut_wherever(site: Site, at: Cell) -> None:
    """Whoever comes next finds the folder, or makes it, and trusts it."""
    request_ids = ids(site)
    request(site, *request_ids)

    told = cut(site, at, request_ids)

    assert_sent_once(site, told, request_ids)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("at", DISCARDING.cells(), ids=str)
def test_repeated_request_is_not_sent_again_whatever_is_cut_wherever(site: Site, at: Cell) -> None:
    """It was sent and told; then the same id came again, as a new request for all that its delivery tells."""
    request_ids = ids(site)
    request(site, *request_ids)
    before = site.start("egress")
    told = all_members(site, request_ids)
    assert before.stop() == 0
    request(site, *request_ids)

    told += cut(site, at, request_ids)

    assert_sent_once(site, told, request_ids)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("at", ENDING.cells(), ids=str)
def test_expired_request_is_ended_whatever_is_cut_wherever(site: Site, at: Cell) -> None:
    request_ids = ids(site)
    request(site, *request_ids, expires_at="2026-01-01T00:00:00Z")

    told = cut(site, at, request_ids)

    assert_told(told, "outbound.expired", request_ids)
    assert_sent(site, request_ids, 0)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("at", FAILING.cells(), ids=str)
def test_bad_request_is_kept_whatever_is_cut_wherever(site: Site, at: Cell) -> None:
    """It is in mail.dead before its event is told, at least once."""
    request_ids = ids(site)
    request(site, *request_ids, to=[])

    told = cut(site, at, request_ids)

    assert_told(told, "outbound.failed", request_ids)
    assert {one["request_id"] for one in site.taken("mail.dead")} == set(request_ids)
    assert_sent(site, request_ids, 0)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("at", WAITING.cells(), ids=str)
def test_request_that_waits_is_sent_once_whatever_is_cut_wherever(site: Site, at: Cell) -> None:
    """
    Exchange asks for six seconds, once; the queue in which the request waits holds it for a moment only.

    One request: a second one would be held back by the same wait, and go round by another queue.
    """
    request_ids = ids(site)[:1]
    _hurry(site, at.step.removeprefix("publish "))
    busy = {"kind": "server_busy", "back_off_milliseconds": 6000}
    match = {"operation": "CreateItem", "folder": "drafts", "mailbox": site.address}
    site.sandbox.add_fault({"name": site.address, "match": match, "fault": busy, "times": 1})
    request(site, *request_ids)

    told = cut(site, at, request_ids)

    assert_sent_once(site, told, request_ids)


def _hurry(site: Site, queue: str) -> None:
    """Make a retry queue anew, with half a second in the place of its own time."""
    arguments = {
        "x-queue-type": "quorum",
        "x-message-ttl": 500,
        "x-dead-letter-exchange": OUTBOUND,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    with closing(pika.BlockingConnection(pika.URLParameters(site.amqp_url))) as connection:
        channel = connection.channel()
        channel.queue_delete(queue)
        channel.queue_declare(queue, durable=True, arguments=arguments)
        channel.queue_bind(queue, queue)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("at", TAKING_OVER.cells(), ids=str)
def test_begun_request_is_sent_once_whatever_is_cut_wherever(site: Site, at: Cell) -> None:
    """The worker before this one was killed with its draft unsent, or with the mail sent and nothing noted of that."""
    request_ids = ids(site)
    request(site, *request_ids)
    before = site.start("egress", point="CreateItem drafts after" if at.step == "UpdateItem" else "SendItem after")
    site.await_point()
    before.kill()
    until(lambda: site.folder("outbox") == [], "the mail that was sent to leave")

    told = cut(site, at, request_ids)

    assert_sent_once(site, told, request_ids)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("at", IN_PARTS.cells(), ids=str)
def test_draft_in_parts_is_sent_once_and_whole_whatever_is_cut_wherever(site: Site, at: Cell) -> None:
    """What another worker left of such a draft bears no stamp, or is void: it is not what is sent."""
    store = site.directory / "blobs"
    store.mkdir()
    site.settings |= {"BRIDGE_BLOBS__URL": f"file://{store}", "MATRIX_ONE_CALL_BYTES": str(_ONE_CALL_BYTES)}
    contents = [bytes([number]) * _ATTACHED_BYTES for number in range(2)]
    request_ids = ids(site)
    request(site, *request_ids, attachments=[_stored(store, content) for content in contents])

    told = cut(site, at, request_ids)

    assert_sent_once(site, told, request_ids)
    sent = [site.sandbox.mime(site.address, mail["item_id"], "sentitems") for mail in site.folder("sentitems")]
    assert [_attached(mime) for mime in sent] == [contents] * len(request_ids)


def _stored(store: Path, content: bytes) -> dict[str, Any]:
    """Put an attachment into the store, as a CAD system does, and return what a request says of it."""
    digest = hashlib.sha256(content).hexdigest()
    (store / digest).write_bytes(content)
    blob = {"url": f"file://{store / digest}", "size": len(content), "sha256": digest}
    return {"name": "plan.bin", "content_type": "application/octet-stream", "blob": blob}


def _attached(mime: bytes) -> list[object]:
    return [part.get_content() for part in message_from_bytes(mime, policy=policy.default).iter_attachments()]
