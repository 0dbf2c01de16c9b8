"""What a request must look like, and what is said of a bad one."""

from __future__ import annotations

import base64
import copy
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.domain.outbound import Mailbox
from bridge.errors import RequestInvalid
from bridge.mime.compose import compose
from bridge.wire.outbound_v1 import OutboundLimits, OutboundRequest, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "top-secret-value"
LIMITS = OutboundLimits(recipients=5, text_bytes=1000, attachments=2, attachment_bytes=1000, headers=2)


def a_request(**fields: Any) -> dict[str, Any]:
    return {"request_id": "r-1", "to": [{"address": "crew@example.org"}], **fields}


def parsed(
    message_id: str | None = "r-1", content_type: str | None = "application/json", **fields: Any
) -> OutboundRequest:
    return parse(
        json.dumps(a_request(**fields)).encode(), message_id=message_id, content_type=content_type, limits=LIMITS
    )


def refusal(**fields: Any) -> tuple[str, str]:
    with pytest.raises(RequestInvalid) as caught:
        parsed(**fields)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value.field, caught.value.reason


def an_attachment(**fields: Any) -> dict[str, Any]:
    return {"name": "a.txt", "content": base64.b64encode(b"abc").decode(), **fields}


_EVERYTHING = a_request(
    correlation_id="c-1",
    to=[{"address": "crew@example.org", "name": "Crew"}],
    cc=[{"address": "cc@example.org", "name": "Copy"}],
    bcc=[{"address": "hidden@example.org", "name": "Hidden"}],
    reply_to=[{"address": "desk@example.org", "name": "Desk"}],
    subject="subject",
    text="text",
    html="<p>html</p>",
    attachments=[
        {"name": "a.txt", "content_type": "text/plain", "content": "YWJj", "content_id": "x@y"},
        {"name": "b", "blob": {"url": "s3://store/x", "size": 1, "sha256": "0" * 64}},
    ],
    in_reply_to="<a@b>",
    references=["<c@d>"],
    importance="high",
    expires_at="2026-11-24T08:30:00+01:00",
    headers=[{"name": "X-Flight", "value": "N1"}],
)


def _texts(value: object, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where texts stand in a request."""
    if isinstance(value, str):
        yield place
    elif isinstance(value, dict | list):
        for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(inner, (*place, step))


def test_the_request_of_the_test_below_holds_every_text_that_there_is() -> None:
    in_lists = {name for name in _EVERYTHING if isinstance(_EVERYTHING[name], list)}

    assert OutboundRequest.model_fields.keys() - _EVERYTHING.keys() == {"receipts", "auto_generated"}
    assert in_lists == {"to", "cc", "bcc", "reply_to", "attachments", "references", "headers"}


@pytest.mark.parametrize("line_end", ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\0"])
@pytest.mark.parametrize("place", list(_texts(_EVERYTHING)), ids=lambda place: ".".join(map(str, place)))
def test_no_text_of_a_request_can_become_a_header_of_its_own(place: tuple[str | int, ...], line_end: str) -> None:
    """Only the bodies take ends of lines, and they come after the header."""
    request = copy.deepcopy(_EVERYTHING)
    inner: Any = request
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] += f"{line_end}Bcc: thief@example.com{line_end}{line_end}"
    limits = OutboundLimits(blob_store_url="s3://store/")

    try:
        taken = parse(json.dumps(request).encode(), message_id=None, content_type=None, limits=limits)
    except RequestInvalid:
        return

    assert place[-1] in {"text", "html"}
    mail = taken.model_copy(update={"attachments": ()}).to_mail(
        sender=Mailbox("dispatch@example.org"), date=datetime(2026, 11, 24, tzinfo=UTC)
    )
    assert b"thief" not in compose(mail).partition(b"\r\n\r\n")[0]


def test_smallest_request_is_taken_with_safe_defaults() -> None:
    request = parsed()

    assert request.auto_generated
    assert request.importance == "normal"
    assert request.recipients == 1


def test_everything_a_request_can_hold_reaches_the_mail() -> None:
    request = parsed(
        correlation_id="c-1",
        to=[{"address": "crew@example.org", "name": "Crew Ä"}],
        cc=[{"address": "jürgen@bücher.example"}],
        bcc=[{"address": '"odd one"@example.org', "name": None}],
        reply_to=[{"address": "desk@example.org"}],
        subject="Überführung",
        text="text",
        html="<p>html</p>",
        attachments=[an_attachment(content_type='text/calendar; method=REQUEST; charset="utf-8"', content_id="x@y")],
        in_reply_to="a@b",
        references=["<c@d>", "e@f"],
        importance="high",
        expires_at="2026-11-24T08:30:00+01:00",
        receipts={"delivery": True, "read": True},
        auto_generated=False,
        headers=[{"name": "X-Flight", "value": "N1"}],
    )

    mail = request.to_mail(sender=Mailbox("dispatch@example.org"), date=request.expires_at or pytest.fail("no time"))

    assert mail.cc == (Mailbox("jürgen@xn--bcher-kva.example"),)
    assert mail.bcc == (Mailbox('"odd one"@example.org'),)
    assert mail.attachments[0].content == b"abc"
    assert (mail.in_reply_to, mail.references) == ("<a@b>", ("<c@d>", "<e@f>"))
    assert (mail.delivery_receipt, mail.read_receipt, mail.auto_generated) == (True, True, False)
    assert mail.headers == (("X-Flight", "N1"),)
    assert mail.recipients == 3


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"subjekt": SECRET}, "subjekt"),
        ({f"{SECRET} x": 1}, "(unknown)"),
        ({"to": []}, "body"),
        ({"to": [{"address": "crew@example.org"}] * 6}, "body"),
        ({"to": [{"address": "crew@example.org", "phone": SECRET}]}, "to.0.phone"),
        ({"to": [{"address": SECRET}]}, "to.0.address"),
        ({"to": [{"address": f"{SECRET}@localhost"}]}, "to.0.address"),
        ({"to": [{"address": f"{SECRET}@example.org\r\nBcc: x@example.org"}]}, "to.0.address"),
        ({"to": [{"address": f"{SECRET}@[127.0.0.1]"}]}, "to.0.address"),
        ({"to": [{"address": f"{SECRET}..x@example.org"}]}, "to.0.address"),
        ({"to": [{"address": "a" * 65 + "@example.org"}]}, "to.0.address"),
        ({"to": [{"address": "a@" + "\u00e4" * 70 + ".example"}]}, "to.0.address"),
        ({"to": [{"address": "a\u200b@example.org"}]}, "to.0.address"),
        ({"to": [{"address": "a@example.org, b@example.org"}]}, "to.0.address"),
        ({"to": [{"address": "crew@example.org", "name": f"{SECRET}\n"}]}, "to.0.name"),
        ({"to": f"{SECRET}@example.org"}, "to"),
        ({"subject": f"{SECRET}\r\nBcc: x@example.org"}, "subject"),
        ({"subject": f"{SECRET}\u2028"}, "subject"),
        ({"subject": f"{SECRET}\x85"}, "subject"),
        ({"subject": 5}, "subject"),
        ({"text": SECRET + "x" * 1000}, "text"),
        ({"text": SECRET + "ä" * 500}, "text"),
        ({"text": f"{SECRET}\0"}, "text"),
        ({"in_reply_to": f"{SECRET}\r\nX: y"}, "in_reply_to"),
        ({"references": ["<>"]}, "references"),
        ({"importance": SECRET}, "importance"),
        ({"expires_at": SECRET}, "expires_at"),
        ({"expires_at": "1"}, "expires_at"),
        ({"expires_at": 1}, "expires_at"),
        ({"expires_at": "2026-13-24T08:30:00Z"}, "expires_at"),
        ({"expires_at": "0001-01-01T00:00:00+23:00"}, "expires_at"),
        ({"expires_at": "2026-11-24T08:30:00"}, "expires_at"),
        ({"auto_generated": "yes"}, "auto_generated"),
        ({"receipts": {"delivery": 1}}, "receipts.delivery"),
        ({"headers": [{"name": "Bcc", "value": SECRET}]}, "headers.0.name"),
        ({"headers": [{"name": "X-Bridge-Request-Id", "value": SECRET}]}, "headers.0.name"),
        ({"headers": [{"name": "X-A: b\r\nBcc", "value": SECRET}]}, "headers.0.name"),
        ({"headers": [{"name": "X-A", "value": f"{SECRET}\nBcc: x@example.org"}]}, "headers.0.value"),
        ({"headers": [{"name": "X-A", "value": "1"}] * 3}, "headers"),
        ({"attachments": [an_attachment()] * 3}, "attachments"),
        ({"attachments": [an_attachment(content="YWJj\n")]}, "attachments.0.content"),
        ({"attachments": [an_attachment(content="YWJ")]}, "attachments.0.content"),
        ({"attachments": [an_attachment(content=SECRET)]}, "attachments.0.content"),
        ({"attachments": [an_attachment(content="ä")]}, "attachments.0.content"),
        ({"attachments": [an_attachment(content="A" * 1400)]}, "attachments"),
        ({"attachments": [an_attachment(content=None)]}, "attachments.0"),
        ({"attachments": [an_attachment(name="a\r\n.txt")]}, "attachments.0.name"),
        ({"attachments": [an_attachment(name="")]}, "attachments.0.name"),
        ({"attachments": [an_attachment(name=" ")]}, "attachments.0.name"),
        ({"attachments": [an_attachment(content_type="text/plain\r\nX: y")]}, "attachments.0.content_type"),
        ({"attachments": [an_attachment(content_type="multipart/mixed")]}, "attachments.0.content_type"),
        ({"attachments": [an_attachment(content_type="message/partial")]}, "attachments.0.content_type"),
        ({"attachments": [an_attachment(content_id="a>b")]}, "attachments.0.content_id"),
        ({"attachments": [an_attachment(content_id="a"), an_attachment(content_id="a")]}, "attachments"),
        ({"request_id": "with space"}, "request_id"),
        ({"request_id": "x" * 201}, "request_id"),
        ({"request_id": "r-1\n"}, "request_id"),
        ({"request_id": "other"}, "request_id"),
        ({"message_id": "other"}, "request_id"),
        ({"content_type": "text/plain"}, "content_type"),
    ],
)
def test_bad_request_is_refused_with_its_field_and_without_its_value(fields: dict[str, Any], field: str) -> None:
    assert refusal(**fields)[0] == field


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff\xfe", b"null", b"1", b"[" * 100_000, b'{"request_id":"\\ud800"}', b"{}"]
)
def test_body_that_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(RequestInvalid):
        parse(body, message_id="r-1", content_type=None, limits=LIMITS)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_body_makes_the_parser_raise_anything_else(body: bytes) -> None:
    with pytest.raises(RequestInvalid):
        parse(body, message_id=None, content_type=None, limits=LIMITS)


@given(st.text(max_size=80))
def test_address_that_is_taken_cannot_end_its_header(text: str) -> None:
    try:
        request = parsed(to=[{"address": text}])
    except RequestInvalid:
        return

    assert not any(c in request.to[0].address for c in "\r\n\0,;<>")


def test_message_without_message_id_property_counts_by_its_body() -> None:
    assert parsed(message_id=None, content_type=None).request_id == "r-1"


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", 'application/json;charset="UTF-8"']
)
def test_content_type_may_name_the_charset(content_type: str) -> None:
    assert parsed(content_type=content_type).request_id == "r-1"


def test_blob_is_refused_without_a_store_and_outside_the_store() -> None:
    blob = {"url": "https://elsewhere.example/x", "size": 1, "sha256": "0" * 64}
    body = json.dumps(a_request(attachments=[{"name": "a", "blob": blob}])).encode()
    inside = json.dumps(a_request(attachments=[{"name": "a", "blob": {**blob, "url": "s3://store/x"}}])).encode()
    upwards = json.dumps(a_request(attachments=[{"name": "a", "blob": {**blob, "url": "s3://store/../x"}}])).encode()
    with_store = OutboundLimits(blob_store_url="s3://store/")

    for bad, limits in ((body, LIMITS), (inside, LIMITS), (body, with_store), (upwards, with_store)):
        with pytest.raises(RequestInvalid) as caught:
            parse(bad, message_id=None, content_type=None, limits=limits)
        assert "elsewhere" not in str(caught.value)

    assert parse(inside, message_id=None, content_type=None, limits=with_store).attachments[0].blob is not None


def test_digest_follows_what_recipients_see_and_nothing_else() -> None:
    first = parsed(subject="a", attachments=[an_attachment()])

    assert (
        parsed(
            subject="a", attachments=[an_attachment()], correlation_id="c", expires_at="2026-11-24T08:30:00Z"
        ).digest()
        == first.digest()
    )
    assert parsed(subject="a", attachments=[an_attachment()], importance="normal").digest() == first.digest()
    assert parsed(subject="b", attachments=[an_attachment()]).digest() != first.digest()
    assert parsed(subject="a", attachments=[an_attachment(content="YWJk")]).digest() != first.digest()
    assert parsed(subject="a", attachments=[an_attachment(name="b.txt")]).digest() != first.digest()
    assert parsed(subject="a").digest() != first.digest()


_ANOTHER_MAIL: list[dict[str, Any]] = [
    {"to": [{"address": "crew@example.org", "name": "Crew"}]},
    {"to": [{"address": "crew@example.org"}, {"address": "second@example.org"}]},
    {"cc": [{"address": "cc@example.org"}]},
    {"bcc": [{"address": "hidden@example.org"}]},
    {"reply_to": [{"address": "desk@example.org"}]},
    {"subject": "subject"},
    {"text": "text"},
    {"html": "<p>text</p>"},
    {"attachments": [an_attachment()]},
    {"attachments": [an_attachment(name="b.txt")]},
    {"attachments": [an_attachment(content_type="text/plain")]},
    {"attachments": [an_attachment(content_id="logo@example.org")]},
    {"attachments": [an_attachment(), an_attachment()]},
    {"attachments": [an_attachment(), an_attachment(content="YWJk")]},
    {"in_reply_to": "<a@example.org>"},
    {"references": ["<a@example.org>"]},
    {"references": ["<a@example.org>", "<b@example.org>"]},
    {"importance": "low"},
    {"importance": "high"},
    {"receipts": {"delivery": True}},
    {"receipts": {"read": True}},
    {"auto_generated": False},
    {"headers": [{"name": "X-Flight", "value": "N1"}]},
    {"headers": [{"name": "X-Flight", "value": "N2"}]},
    {"headers": [{"name": "X-Flight", "value": "N1"}, {"name": "X-Gate", "value": "4"}]},
]
"""Requests under one id, each for another mail than every other one."""


@pytest.mark.parametrize("fields", _ANOTHER_MAIL, ids="+".join)
def test_another_mail_in_any_field_has_another_digest(fields: dict[str, Any]) -> None:
    """Under the id of a mail that was sent it would be told as sent."""
    others = [parsed(), *(parsed(**one) for one in _ANOTHER_MAIL if one is not fields)]

    assert parsed(**fields).digest() not in {other.digest() for other in others}


def test_every_field_of_a_request_was_considered_for_the_digest() -> None:
    of_the_request = {"request_id", "correlation_id", "expires_at"}

    assert {name for fields in _ANOTHER_MAIL for name in fields} == set(OutboundRequest.model_fields) - of_the_request


def test_digest_is_the_same_in_every_release() -> None:
    assert parsed(subject="Überführung").digest() == "7827e06c979d53dbe402cd2a4c8041da5e1dc6b2d240fae3d9727b6bf4d0f203"


@pytest.mark.parametrize(
    "body",
    [
        b'{"request_id":"r-1","to":[' + b"1," * 100_000 + b"1]}",
        b'{"request_id":"r-1",' + b'"a":1,' * 100_000 + b'"a":1}',
        b'{"text":"' + b'\\",' * 100_000 + b'",' + b"1," * 100_000,
    ],
)
def test_flood_of_values_is_refused_as_one(body: bytes) -> None:
    with pytest.raises(RequestInvalid) as caught:
        parse(body, message_id=None, content_type=None, limits=LIMITS)

    assert str(caught.value) == "body: has more than 20000 values"


def test_text_may_hold_any_number_of_commas() -> None:
    text = '",\\' * 100_000
    body = json.dumps(a_request(text=text)).encode()

    assert parse(body, message_id=None, content_type=None, limits=OutboundLimits()).text == text
