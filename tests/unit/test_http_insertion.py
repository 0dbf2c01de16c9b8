"""Content goes into a request on its way out, byte for byte, and is in memory piece by piece only."""

from __future__ import annotations

import base64
import tracemalloc
from typing import TYPE_CHECKING

import pytest
import requests

from bridge.adapters.http_insertion import Insertion, inserting, with_insertion
from bridge.domain.blobs import BytesInMemory

if TYPE_CHECKING:
    from collections.abc import Iterator


def _request(text: str) -> requests.PreparedRequest:
    return requests.Request("POST", "https://exchange.example/", data=text.encode()).prepare()


def _sent(request: requests.PreparedRequest) -> bytes:
    return b"".join(request.body)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 1_000, 1_048_575, 1_048_576, 1_048_577, 3_000_000])
def test_content_stands_in_the_place_of_its_mark_as_one_base64_text_of_the_stated_length(size: int) -> None:
    data = bytes(number % 251 for number in range(size))
    insertion = Insertion(size, BytesInMemory(data).pieces)
    request = _request(f"<a>{insertion.mark}</a>")

    with inserting(insertion):
        whole = with_insertion(request)

    assert _sent(whole) == b"<a>" + base64.b64encode(data) + b"</a>"
    assert int(whole.headers["Content-Length"]) == len(_sent(whole)), "and as often as it is sent"
    assert request.body == f"<a>{insertion.mark}</a>".encode()


def test_a_request_without_the_mark_is_sent_as_it_is() -> None:
    """Such as one of a login."""
    request = _request("<a/>")

    with inserting(Insertion(3, BytesInMemory(b"abc").pieces)):
        assert with_insertion(request) is request
    assert with_insertion(request) is request


def test_no_more_than_a_few_pieces_are_in_memory() -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield bytes(1 << 20)

    insertion = Insertion(100 << 20, pieces)
    with inserting(insertion):
        whole = with_insertion(_request(insertion.mark))
    tracemalloc.start()
    sent = sum(map(len, whole.body))  # type: ignore[arg-type]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert sent == int(whole.headers["Content-Length"])
    assert most < 10 << 20
