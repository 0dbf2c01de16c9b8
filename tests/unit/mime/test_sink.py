"""A mail whose large attachments went to a file as they were decoded says the same as one that was held as a whole."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.mime import parse
from bridge.mime.defects import Defects
from bridge.mime.pieces import NotCleanError, decoded_pieces
from bridge.mime.sink import Sink
from bridge.mime.transfer import decode_transfer
from tests.support.mails import samples

if TYPE_CHECKING:
    from bridge.mime import ParsedMail
    from bridge.mime.mapped import RawMail


def with_sink(raw: RawMail, from_bytes: int = 0) -> ParsedMail:
    """Parse with a sink, and put what went there back where it would be."""
    file = io.BytesIO(b"what an earlier reading left" * 100)
    found = parse(raw, sink=Sink(file, from_bytes=from_bytes))
    whole = file.getvalue()

    def content(start: int, size: int) -> bytes:
        return whole[start : start + size]

    return replace(
        found,
        attachments=tuple(
            one if one.extent is None else replace(one, content=content(one.extent.start, one.extent.size), extent=None)
            for one in found.attachments
        ),
    )


@pytest.mark.parametrize("name", sorted(samples()))
def test_a_mail_says_the_same_with_a_sink(name: str) -> None:
    raw = samples()[name]

    assert with_sink(raw) == parse(raw)


_SYMBOLS = st.lists(
    st.sampled_from([b"QUJD", b"QQ==", b"QUI=", b"Q", b"=", b"\r\n", b" ", b"\x0b", b"-", b"QUJDREVG" * 10]),
    max_size=30,
)


@given(symbols=_SYMBOLS, encoding=st.sampled_from(["base64", "7bit", "", "8bit"]))
def test_pieces_are_what_the_whole_is_or_are_told_to_be_unclean(symbols: list[bytes], encoding: str) -> None:
    raw = b"head" + b"".join(symbols) + b"tail"
    start, end = 4, len(raw) - 4
    defects = Defects()
    whole = decode_transfer(raw[start:end], encoding, defects)

    pieces = decoded_pieces(raw, start, end, encoding)
    assert pieces is not None
    try:
        found = b"".join(pieces)
    except NotCleanError:
        assert encoding == "base64"
        return

    assert found == whole
    assert defects.codes() == ()


@pytest.mark.parametrize("size", [0, 1, 2, 3, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_000_000])
@pytest.mark.parametrize("end", [b"", b"\r\n"])
def test_clean_base64_of_any_size_is_decoded_in_pieces(size: int, end: bytes) -> None:
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    encoded = base64.encodebytes(data).replace(b"\n", b"\r\n").removesuffix(b"\r\n") + end

    pieces = decoded_pieces(encoded, 0, len(encoded), "base64")

    assert pieces is not None
    assert b"".join(pieces) == data


def test_what_is_not_decoded_in_pieces_goes_to_the_sink_as_a_whole() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/x\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\na=3Db=\r\nc\r\n--b\r\nContent-Type: application/y\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\nQUJD-QUJD\r\n--b--\r\n"
    )

    assert [one.content for one in with_sink(raw).attachments] == [b"a=bc", b"ABCABC"]
    assert with_sink(raw) == parse(raw)


def test_small_attachments_stay_where_they_were() -> None:
    raw = samples()[min(samples())]

    assert all(one.extent is None for one in parse(raw, sink=Sink(io.BytesIO(), from_bytes=1 << 30)).attachments)
