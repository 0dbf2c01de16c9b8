"""Mail that can be neither fetched nor carried: announced, parked unchanged, listed, and put back."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

from tests.scenario.conftest import ADDRESS
from tests.support.sandbox import as_given
from tests.support.workers import bridge, take, until

if TYPE_CHECKING:
    from tests.scenario.conftest import Site

_FOLDER = "Bridge Parked"


def _mail(number: int, size: int = 1_000) -> bytes:
    body = (f"request {number} " * (size // 10 + 1))[:size]
    return f"From: cad@example.com\r\nTo: {ADDRESS}\r\nSubject: Request {number}\r\n\r\n{body}\r\n".encode()


def _parked(site: Site) -> list[dict[str, Any]]:
    """Return the mails in the folder, as Exchange shows them."""
    folders = site.sandbox.admin(f"/mailboxes/{ADDRESS}/folders")
    found = [folder for folder in folders if folder["name"] == _FOLDER]
    if not found:
        return []
    mails: list[dict[str, Any]] = site.sandbox.admin(f"/mailboxes/{ADDRESS}/folders/{found[0]['id']}/mails")["mails"]
    return mails


def _listed(site: Site) -> list[dict[str, Any]]:
    """Return what `bridge parked list` says."""
    done = bridge("parked", "list", "--json", environment=site.environment)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def _arrived(site: Site) -> dict[str, bytes]:
    return {
        message_id: as_given(base64.b64decode(json.loads(body)["raw"]["content"]))
        for message_id, body in take(site.amqp_url)
    }


def _events(site: Site) -> list[dict[str, Any]]:
    return [json.loads(body) for _, body in take(site.amqp_url, "mail.events")]


def test_a_mail_too_big_for_the_broker_is_parked_and_put_back_once_there_is_room(site: Site) -> None:
    """Unchanged, byte for byte, under the same message_id; the others pass it."""
    big, small = _mail(1, 1_500_000), _mail(2)
    site.sandbox.deliver(ADDRESS, big)
    site.sandbox.deliver(ADDRESS, small)

    with site.worker("ingest", RABBITMQ__LARGEST_BODY_BYTES="1000000") as worker:
        until(lambda: len(_parked(site)) == 1 and site.count() == 0, "the mail to be parked")
        until(worker.ready, "the worker to be ready")
        code = {"code": "too_large_for_broker"}
        until(lambda: worker.metric("bridge_ingest_parked_mails_total", **code) == 1, "it to be counted")
        worker.stop()

    [parked] = _parked(site)
    lies = site.sandbox.mime(ADDRESS, parked["item_id"], "inbox")
    assert as_given(lies) == big
    assert parked["sha256"] == hashlib.sha256(lies).hexdigest()
    assert list(_arrived(site).values()) == [small]
    [event] = _events(site)
    [listed] = _listed(site)
    assert (event["event"], event["code"]) == ("inbound.parked", "too_large_for_broker")
    assert (listed["message_id"], listed["code"]) == (event["message_id"], "too_large_for_broker")
    file = site.directory / "parked.eml"
    exported = bridge("parked", "export", listed["message_id"], str(file), environment=site.environment)
    assert (exported.returncode, file.read_bytes()) == (0, lies)

    assert bridge("parked", "retry", listed["message_id"], environment=site.environment).returncode == 0
    assert (site.count(), _parked(site)) == (1, [])
    with site.worker("ingest") as worker:
        until(lambda: site.count() == 0, "the mail to leave")
        worker.stop()
    assert _arrived(site) == {listed["message_id"]: big}


def test_a_corrupt_mail_is_parked_with_its_reason_and_mail_behind_it_passes(site: Site) -> None:
    """Neither its MIME nor its properties can be had; nothing else of the mailbox is touched."""
    site.sandbox.deliver(ADDRESS, _mail(1))
    corrupt = {"kind": "item_error", "code": "ErrorItemCorrupt"}
    site.sandbox.faults({"match": {"operation": "GetItem", "item": 1}, "fault": corrupt})

    with site.worker("ingest", INGEST__KEEP_SECONDS="0.5") as worker:
        until(lambda: len(_parked(site)) == 1, "the mail to be parked")
        site.sandbox.faults()
        site.sandbox.deliver(ADDRESS, _mail(2))
        until(lambda: site.count() == 0, "the other to leave")
        worker.stop()

    assert list(_arrived(site).values()) == [_mail(2)]
    [listed] = _listed(site)
    assert listed["code"] == "mail_unreadable"
    assert [event["code"] for event in _events(site)] == ["mail_unreadable"]


def test_a_worker_killed_between_announcement_and_move_parks_the_mail_once(site: Site) -> None:
    """The event is repeated under its event id."""
    site.sandbox.deliver(ADDRESS, _mail(1, 1_500_000))
    site.sandbox.faults({"match": {"operation": "MoveItem"}, "fault": {"kind": "stall_before", "seconds": 60}})
    worker = site.worker("ingest", RABBITMQ__LARGEST_BODY_BYTES="1000000")
    with worker:
        until(lambda: site.sandbox.admin("/faults")[0]["fired"] >= 1, "the move to begin")
        worker.kill()
        site.sandbox.faults()
        worker.start()
        until(lambda: len(_parked(site)) == 1, "the mail to be parked")
        worker.stop()

    events = _events(site)
    assert len(events) == 2
    assert len({event["event_id"] for event in events}) == 1
    assert site.count() == 0


def test_what_is_not_parked_cannot_be_put_back(site: Site) -> None:
    done = bridge("parked", "retry", "0" * 40, environment=site.environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert bridge("parked", "retry", environment=site.environment).returncode == 2
    assert _listed(site) == []


def _retry(site: Site, *arguments: str, **variables: str) -> tuple[int, list[dict[str, str]]]:
    """Return the exit code of `bridge parked retry`, and what it says of each mail."""
    environment = site.environment | {f"BRIDGE_{name}": value for name, value in variables.items()}
    done = bridge("parked", "retry", "--json", *arguments, environment=environment)
    return done.returncode, json.loads(done.stdout)


def test_what_would_stop_a_mail_again_is_said_before_it_is_put_back(site: Site) -> None:
    """It stays parked, unless somebody insists; the others are put back."""
    site.sandbox.deliver(ADDRESS, _mail(1, 1_500_000))
    with site.worker("ingest", RABBITMQ__LARGEST_BODY_BYTES="1000000") as worker:
        until(lambda: len(_parked(site)) == 1, "the mail to be parked")
        worker.stop()
    [large] = [one["message_id"] for one in _listed(site)]
    corrupt = {"match": {"operation": "GetItem"}, "fault": {"kind": "item_error", "code": "ErrorItemCorrupt"}}

    small = _retry(site, large, RABBITMQ__LARGEST_BODY_BYTES="1000000")
    site.sandbox.faults(corrupt)
    unreadable = _retry(site, "--all")
    site.sandbox.faults()
    away = _retry(site, "--all", BLOBS__URL="file:///nowhere/blobs")
    still_there = len(_parked(site))

    told = {"mailbox": "dispatch", "message_id": large, "outcome": "refused"}
    assert small == (1, [told | {"code": "too_large_for_broker"}])
    assert unreadable == (1, [told | {"code": "mail_unreadable"}])
    assert away == (1, [told | {"code": "blob_store_missing"}])
    assert (still_there, site.count()) == (1, 0)
    insisting = _retry(site, "--all", "--force", RABBITMQ__LARGEST_BODY_BYTES="1000000")
    assert insisting == (0, [told | {"outcome": "put_back", "code": "ok"}])
    assert (_parked(site), site.count()) == ([], 1)


def test_what_became_of_a_mail_that_was_put_back_is_said_afterwards(site: Site) -> None:
    """Parked again, and why; still in the inbox; published."""
    site.sandbox.deliver(ADDRESS, _mail(1, 1_500_000))
    with site.worker("ingest", RABBITMQ__LARGEST_BODY_BYTES="1000000") as worker:
        until(lambda: len(_parked(site)) == 1, "the mail to be parked")
        again = _retry(site, "--all", "--force", "--wait")
        worker.stop()
    waiting = _retry(site, "--all", "--wait", "--timeout", "0.5")
    with site.worker("ingest", RABBITMQ__LARGEST_BODY_BYTES="1000000") as worker:
        until(lambda: len(_parked(site)) == 1, "the mail to be parked")
        worker.stop()
    with site.worker("ingest") as worker:
        published = _retry(site, "--all", "--wait")
        worker.stop()

    [message_id] = _arrived(site)
    told = {"mailbox": "dispatch", "message_id": message_id}
    assert again == (1, [told | {"outcome": "parked_again", "code": "too_large_for_broker"}])
    assert waiting == (4, [told | {"outcome": "waiting", "code": "ok"}])
    assert published == (0, [told | {"outcome": "published", "code": "ok"}])
