"""Answers of any form are taken apart without falling over them."""

from __future__ import annotations

from typing import cast

import pytest
import requests
from lxml import etree

from bridge.adapters.ews.soap import ERRORS, MESSAGES, SOAP
from bridge.probe import wire
from bridge.probe.errors import NotCheckable
from bridge.probe.wire import Answer


def answer(content: bytes, status: int = 200) -> Answer:
    return Answer(status, {}, (), content, wire._tree(content))


class _Raw:
    def __init__(self, content: bytes, size: int) -> None:
        self._pieces = [content[start : start + size] for start in range(0, len(content), size)]

    def read1(self, _: int, *, decode_content: bool) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


class _Response:
    def __init__(self, content: bytes, size: int) -> None:
        self.raw = _Raw(content, size)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_stream_is_cut_at_the_end_of_each_envelope_however_its_bytes_come(size: int) -> None:
    whole = '<?xml version="1.0"?><s:Envelope xmlns:s="{}"><s:Body><a>{}</a></s:Body></s:Envelope >'
    content = "\r\n".join([whole.format(SOAP, 1), whole.format(SOAP, 2), whole.format(SOAP, 3)[:60]]).encode()

    found = list(wire._envelopes(cast("requests.Response", _Response(content, size))))

    assert [tree.findtext(".//a") for tree in found] == ["1", "2"]


def test_a_fault_tells_its_code_alone() -> None:
    fault = (
        f'<s:Envelope xmlns:s="{SOAP}"><s:Body><s:Fault><faultcode>a:ErrorServerBusy</faultcode>'
        f'<faultstring>crew@x</faultstring><detail><e:ResponseCode xmlns:e="{ERRORS}">ErrorServerBusy</e:ResponseCode>'
        "</detail></s:Fault></s:Body></s:Envelope>"
    )

    assert answer(fault.encode(), 500).codes == ["ErrorServerBusy"]


@pytest.mark.parametrize("content", [b"", b"<html>crew@x</html", b"\x00", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'])
def test_what_is_no_answer_is_told_by_its_status(content: bytes) -> None:
    found = answer(content, 502)

    assert found.codes == ["HTTP 502"]
    with pytest.raises(NotCheckable):
        found.first("ItemId")


def test_a_response_code_that_holds_something_else_is_not_shown() -> None:
    content = f'<a xmlns:m="{MESSAGES}"><m:ResponseCode>crew@example.org</m:ResponseCode></a>'

    assert answer(content.encode()).codes == ["(no code)"]


def test_external_entities_are_not_followed() -> None:
    tree = wire._tree(b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>')

    assert tree is None or b"root:" not in etree.tostring(tree)
