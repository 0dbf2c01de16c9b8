"""Requests that break every rule, and floods of them: each is told with its field, and the good ones go out at once."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import pika
import pika.exceptions
import pytest

from tests.integration.egress.conftest import Site, until

if TYPE_CHECKING:
    from collections.abc import Mapping

_GOOD: dict[str, Any] = {"to": [{"address": "crew@example.org"}], "subject": "Crew", "text": "x"}
_INJECTION = "x\r\nBcc: thief@example.com"
_MARK = "Zqprivateqz"


def _body(fields: Mapping[str, Any]) -> bytes:
    return json.dumps({"request_id": "bad", **_GOOD, **fields}).encode()


_BAD: dict[str, tuple[bytes, dict[str, Any], str]] = {
    "not JSON": (b"{", {}, ""),
    "no object": (b"[]", {}, ""),
    "not UTF-8": (b'{"text": "\xff"}', {}, ""),
    "wrong types": (_body({"to": "crew@example.org"}), {}, "to"),
    "unknown field": (_body({"too": []}), {}, "too"),
    "no recipient": (_body({"to": []}), {}, ""),
    "ten thousand recipients": (
        _body({"to": [{"address": f"c{number}@example.org"} for number in range(10_000)]}),
        {},
        "to",
    ),
    "injection in the subject": (_body({"subject": _INJECTION}), {}, "subject"),
    "injection in a name": (_body({"to": [{"address": "crew@example.org", "name": _INJECTION}]}), {}, "to.0.name"),
    "injection in an address": (_body({"to": [{"address": f"crew@example.org{_INJECTION}"}]}), {}, "to.0.address"),
    "injection in a copy's name": (_body({"cc": [{"address": "a@example.org", "name": _INJECTION}]}), {}, "cc.0.name"),
    "injection in a hidden address": (_body({"bcc": [{"address": f"a@example.org{_INJECTION}"}]}), {}, "bcc.0.address"),
    "injection in a content id": (
        _body({"attachments": [{"name": "a", "content": "eA==", "content_id": _INJECTION}]}),
        {},
        "attachments.0.content_id",
    ),
    "injection in correlation_id": (_body({"correlation_id": _INJECTION}), {}, "correlation_id"),
    "injection in request_id": (_body({"request_id": f"bad{_INJECTION}"}), {}, "request_id"),
    "injection in reply_to": (_body({"reply_to": [{"address": _INJECTION}]}), {}, "reply_to.0.address"),
    "injection in in_reply_to": (_body({"in_reply_to": f"<a@b>{_INJECTION}"}), {}, "in_reply_to"),
    "injection in references": (_body({"references": [f"<a@b>{_INJECTION}"]}), {}, "references"),
    "injection in a header's name": (_body({"headers": [{"name": f"X-{_INJECTION}", "value": "1"}]}), {}, "headers"),
    "injection in a header's value": (_body({"headers": [{"name": "X-A", "value": _INJECTION}]}), {}, "headers"),
    "injection in a file's name": (
        _body({"attachments": [{"name": _INJECTION, "content_type": "text/plain", "content": "eA=="}]}),
        {},
        "attachments.0.name",
    ),
    "injection in a file's type": (
        _body({"attachments": [{"name": "a", "content_type": f"text/plain{_INJECTION}", "content": "eA=="}]}),
        {},
        "attachments.0.content_type",
    ),
    "no address": (_body({"to": [{"address": _MARK}]}), {}, "to.0.address"),
    "no base64": (
        _body({"attachments": [{"name": "a", "content_type": "text/plain", "content": f"{_MARK}!"}]}),
        {},
        "attachments.0.content",
    ),
    "wrong content type": (_body({}), {"content_type": "text/plain"}, "content_type"),
    "another message_id": (_body({}), {"message_id": "other"}, ""),
}


def _publish(site: Site, requests: list[tuple[bytes, dict[str, Any]]], *, key: str = "dispatch") -> None:
    with site.channel() as channel:
        for body, properties in requests:
            made = pika.BasicProperties(
                **{"message_id": "bad", "content_type": "application/json", "delivery_mode": 2, **properties}
            )
            channel.basic_publish("mail.outbound", key, body, made, mandatory=True)


def _dead(site: Site) -> list[tuple[dict[str, Any], bytes]]:
    taken: list[tuple[dict[str, Any], bytes]] = []
    with site.channel() as channel:
        while True:
            method, properties, body = channel.basic_get("mail.dead", auto_ack=True)
            if method is None or properties is None or body is None:
                return taken
            taken.append((dict(properties.headers or {}), body))


@pytest.mark.timeout(200)
def test_each_bad_request_is_told_with_its_field_and_kept_as_it_came(site: Site) -> None:
    """`failed`, `invalid_request`; nothing of its content is told; the request itself is in mail.dead."""
    worker = site.start()
    for body, properties, _ in _BAD.values():
        _publish(site, [(body, properties)])
    events: list[dict[str, Any]] = []

    def all_members() -> bool:
        events.extend(site.events())
        return len(events) >= len(_BAD)

    until(all_members, "an event for each")

    assert {(event["event"], event["code"]) for event in events} == {("outbound.failed", "invalid_request")}
    details = [event["detail"] for event in events]
    for name, (_, _, field) in _BAD.items():
        assert any(detail.startswith(field) for detail in details), (name, details)
    assert _MARK not in json.dumps(events)
    assert "thief" not in json.dumps(events)
    dead = _dead(site)
    assert sorted(body for _, body in dead) == sorted(body for body, _, _ in _BAD.values())
    assert {headers["x-bridge-reason"] for headers, _ in dead} == {"invalid_request"}
    assert site.sandbox.sends() == []
    assert site.stop(worker) == 0


@pytest.mark.timeout(500)
def test_good_requests_behind_a_flood_of_bad_ones_go_out_at_once(site: Site) -> None:
    bad = [(_body({"to": [{"address": f"n{number}"}]}), {"message_id": f"b-{number}"}) for number in range(3_000)]
    _publish(site, bad)
    site.request(["good-1"])
    worker = site.start()
    begun = time.monotonic()
    site.request(["urgent-1"], key="dispatch.urgent")

    until(lambda: site.sent()["urgent-1"] == 1, "the urgent one", seconds=60)
    until(lambda: site.sent()["good-1"] == 1, "the one behind the flood", seconds=300)
    assert [send["request_id"] for send in site.sandbox.sends()] == ["urgent-1", "good-1"]

    print(f"behind 3,000 bad ones after {time.monotonic() - begun:.1f} s")
    assert site.stop(worker) == 0
    assert site.sent() == {"good-1": 1, "urgent-1": 1}


@pytest.mark.timeout(200)
def test_large_requests_go_out_or_fail_by_their_size_and_hold_up_nobody(site: Site) -> None:
    """12 MB of attachment fit into a message of 16 MiB; Exchange takes 35 MB of mail."""
    content = base64.b64encode(b"x" * (11 << 20)).decode()
    attachment = {"name": "chart.pdf", "content_type": "application/pdf", "content": content}
    large = json.dumps({"request_id": "large", **_GOOD, "attachments": [attachment]}).encode()
    _publish(site, [(large, {"message_id": "large"})])
    site.request(["small"])
    worker = site.start()

    until(lambda: set(site.sent()) == {"large", "small"}, "both to be sent")

    assert site.stop(worker) == 0
    assert site.sent() == {"large": 1, "small": 1}


_MOST_THAT_THE_BROKER_TAKES = 16 << 20


@pytest.mark.timeout(200)
@pytest.mark.parametrize("rest", [b"", b'"}'], ids=["no JSON", "a text over the limit"])
def test_a_body_as_large_as_the_broker_takes_fails_with_its_event_and_holds_up_nobody(site: Site, rest: bytes) -> None:
    start = b'{"request_id": "bad", "to": [{"address": "crew@example.org"}], "text": "'
    body = start + b"x" * (_MOST_THAT_THE_BROKER_TAKES - len(start) - len(rest)) + rest
    _publish(site, [(body, {})])
    site.request(["small"])
    worker = site.start()
    events: list[dict[str, Any]] = []

    def both_told() -> bool:
        events.extend(site.events())
        return len(events) >= 2

    until(both_told, "both to be told")

    assert sorted((event["request_id"], event["event"], event["code"]) for event in events) == [
        ("bad", "outbound.failed", "invalid_request"),
        ("small", "outbound.sent", None),
    ]
    assert [dead for _, dead in _dead(site)] == [body]
    assert site.stop(worker) == 0


@pytest.mark.timeout(200)
def test_an_attachment_of_30_mb_is_refused_to_its_publisher_and_harms_nobody(site: Site) -> None:
    """RabbitMQ closes the channel of who publishes more than it takes: the request never was one."""
    content = base64.b64encode(b"x" * 30_000_000).decode()
    body = _body({"attachments": [{"name": "a", "content_type": "application/pdf", "content": content}]})
    worker = site.start()

    with pytest.raises(pika.exceptions.AMQPError):
        _publish(site, [(body, {})])

    site.request(["small"])
    until(lambda: site.sent() == {"small": 1}, "the good one")
    assert site.stop(worker) == 0


@pytest.mark.timeout(200)
def test_a_request_without_message_id_is_known_by_its_body(site: Site) -> None:
    worker = site.start()
    _publish(site, [(_body({"request_id": "known"}), {"message_id": None}), (b"{", {"message_id": None})])
    events: list[dict[str, Any]] = []

    def both_told() -> bool:
        events.extend(site.events())
        return len(events) >= 2

    until(both_told, "both to be told")

    assert {(event["request_id"], event["event"]) for event in events} == {
        ("known", "outbound.sent"),
        (None, "outbound.failed"),
    }
    assert site.stop(worker) == 0
