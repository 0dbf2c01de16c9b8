"""A mail that is decoded as its answer arrives is the same mail, and what is no answer is told as strictly as ever."""

from __future__ import annotations

import base64
import hashlib
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.adapters.ews.soap import M, MalformedAnswer, T, parse_answer
from bridge.adapters.ews.streamed import StreamedAnswer, StreamedMime
from bridge.errors import BlobStoreUnusable, MailboxThrottled, MailboxUnavailable

if TYPE_CHECKING:
    from bridge.adapters.ews.soap import ResponseMessage

_HEAD = (
    b'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
    b'xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages" '
    b'xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"><s:Body>'
)
_TAIL = b"</s:Body></s:Envelope>"


def an_answer(content: bytes, *, beside: bytes = b"") -> bytes:
    return (
        _HEAD + b'<m:GetItemResponse><m:ResponseMessages><m:GetItemResponseMessage ResponseClass="Success">'
        b'<m:ResponseCode>NoError</m:ResponseCode><m:Items><t:Message><t:MimeContent CharacterSet="UTF-8">'
        + content
        + b"</t:MimeContent>"
        + beside
        + b"</t:Message></m:Items></m:GetItemResponseMessage></m:ResponseMessages></m:GetItemResponse>"
        + _TAIL
    )


def taken(answer: bytes, *, piece_bytes: int = 1 << 18) -> tuple[list[ResponseMessage], StreamedMime, bytes]:
    kept: list[bytes] = []
    mime = StreamedMime(kept.append)
    stream = StreamedAnswer(mime)
    for start in range(0, len(answer), piece_bytes):
        stream.feed(answer[start : start + piece_bytes])
    return stream.close("GetItem"), mime, b"".join(kept)


@given(data=st.binary(max_size=300), piece_bytes=st.integers(1, 400), width=st.sampled_from([0, 1, 4, 60, 76]))
def test_a_mail_comes_through_byte_for_byte_however_it_is_cut(data: bytes, piece_bytes: int, width: int) -> None:
    content = base64.b64encode(data)
    if width:
        content = b"\r\n".join(content[start : start + width] for start in range(0, len(content), width))

    [message], mime, kept = taken(an_answer(content), piece_bytes=piece_bytes)

    assert (kept, mime.size, mime.broken) == (data, len(data), False)
    assert mime.sha256 == hashlib.sha256(data).hexdigest()
    assert message.error is None


def test_a_large_mail_comes_through() -> None:
    data = random.Random(1).randbytes(3_000_001)

    _, mime, kept = taken(an_answer(base64.b64encode(data)))

    assert kept == data
    assert mime.seen


@pytest.mark.parametrize(
    "content", [b"QQ==QQ==", b"QQ=Q", b"QQQ", b"Q", b"Q===", b"QU%B", "QUFBü".encode(), b"Q\x01QQ"[:1] + b"*" * 9]
)
def test_what_is_no_base64_is_no_mail(content: bytes) -> None:
    for piece_bytes in (1, 7, 1 << 18):
        _, mime, _ = taken(an_answer(content), piece_bytes=piece_bytes)

        assert mime.broken


def test_everything_beside_the_mail_is_in_the_message_as_ever() -> None:
    answer = an_answer(b"QUJD", beside=b"<t:Subject>a &amp; b</t:Subject><!-- c --><t:MimeContent>QUJD</t:MimeContent>")

    [message], mime, kept = taken(answer, piece_bytes=5)
    [whole] = parse_answer(answer, "GetItem")

    assert kept == b"ABC"
    assert mime.size == 3
    found, expected = (list(one.element.iter(f"{M}*", f"{T}*")) for one in (message, whole))
    assert [node.tag for node in found] == [node.tag for node in expected]
    assert message.element.findtext(f".//{T}Subject") == "a & b"


def test_a_mail_that_failed_has_its_error_and_no_mime() -> None:
    answer = (
        _HEAD + b'<m:GetItemResponse><m:ResponseMessages><m:GetItemResponseMessage ResponseClass="Error">'
        b"<m:ResponseCode>ErrorItemNotFound</m:ResponseCode></m:GetItemResponseMessage></m:ResponseMessages>"
        b"</m:GetItemResponse>" + _TAIL
    )

    [message], mime, _ = taken(answer)

    assert message.code == "ErrorItemNotFound"
    assert not mime.seen


def test_a_fault_has_its_meaning() -> None:
    fault = (
        _HEAD + b"<s:Fault><faultcode>x</faultcode><faultstring>busy</faultstring><detail>"
        b'<e:ResponseCode xmlns:e="http://schemas.microsoft.com/exchange/services/2006/errors">ErrorServerBusy'
        b"</e:ResponseCode></detail></s:Fault>" + _TAIL
    )

    with pytest.raises(MailboxThrottled):
        taken(fault)


@pytest.mark.parametrize("cut", [1, 10, 200, 400, 4_000])
def test_an_answer_that_is_cut_off_is_no_answer(cut: int) -> None:
    answer = an_answer(base64.b64encode(bytes(6_000)))

    with pytest.raises(MailboxUnavailable) as caught:
        taken(answer[:-cut])

    assert not isinstance(caught.value, MalformedAnswer)


@pytest.mark.parametrize(
    "beside", [b"<t:Subject>\x01</t:Subject>", b"<t:Subject>&nothing;</t:Subject>", b"<t:Subject>", b"\xff\xfe"]
)
def test_an_answer_that_is_whole_and_no_xml_is_malformed(beside: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        taken(an_answer(b"QUJD", beside=beside))


def test_the_answer_to_something_else_is_no_answer() -> None:
    with pytest.raises(MailboxUnavailable):
        taken(an_answer(b"QUJD").replace(b"GetItemResponse", b"FindItemResponse"))


def test_an_answer_with_a_document_type_is_refused_before_any_entity_is_resolved() -> None:
    laughs = b'<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]>'
    answer = an_answer(b"QUJD", beside=b"<t:Subject>x&b;&c;</t:Subject>").replace(b"?>", b"?>" + laughs, 1)

    for piece_bytes in (1, 1 << 18):
        with pytest.raises(MalformedAnswer):
            taken(answer, piece_bytes=piece_bytes)


@pytest.mark.parametrize("size", [1, 60_000, 3_000_000])
@pytest.mark.parametrize("error", [BlobStoreUnusable(code="spool_unusable"), MemoryError()])
def test_a_mail_that_cannot_be_kept_is_not_taken_for_a_garbled_answer(size: int, error: Exception) -> None:
    """Which after a few times would be published without its bytes, and removed."""

    def keep(_: bytes) -> None:
        raise error

    stream = StreamedAnswer(StreamedMime(keep))
    answer = an_answer(base64.b64encode(bytes(size)))

    def feed() -> None:
        for at in range(0, len(answer), 10_000):
            stream.feed(answer[at : at + 10_000])

    with pytest.raises(type(error)):
        feed()
