"""Reading the body of an HTTP answer within a time and a size."""

from __future__ import annotations

import contextlib
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING

import urllib3
from requests.exceptions import ConnectionError as BrokenOffError
from requests.exceptions import RequestException

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests

_PIECE_BYTES = 1 << 18


class AnswerTooLargeError(RequestException):
    """More bytes came than are allowed."""


class AnswerTooLateError(RequestException):
    """The whole answer was not there in time, though each piece may have been."""


_into: ContextVar[Callable[[bytes], None] | None] = ContextVar("http_body_into", default=None)


@contextlib.contextmanager
def bodies_into(feed: Callable[[bytes], None]) -> Iterator[None]:
    """Have the bodies of good answers that this thread reads given to `feed`, piece by piece, and not kept."""
    kept = _into.set(feed)
    try:
        yield
    finally:
        _into.reset(kept)


def read_body(response: requests.Response, *, deadline: float, largest_bytes: int) -> None:
    """
    Read an answer that was asked for with `stream=True`, and hand it its body, empty where that went elsewhere.

    Each piece is taken as it comes: a reader that waits for a full piece, as requests' own does, never looks at the
    clock while an answer trickles. A connection whose answer was read to its end is used again, any other is closed.

    Raises:
        AnswerTooLateError: By `deadline` (of `time.monotonic`) the end had not come.
        AnswerTooLargeError: There are more than `largest_bytes`, unpacked.
        BrokenOffError: The answer broke off, or cannot be unpacked.
    """
    pieces: list[bytes] = []
    size, into = 0, _into.get() if response.ok else None
    feed = pieces.append if into is None else into
    try:
        while piece := response.raw.read1(_PIECE_BYTES, decode_content=True):
            feed(piece)
            size += len(piece)
            if size > largest_bytes:
                raise AnswerTooLargeError
            if time.monotonic() > deadline:
                raise AnswerTooLateError
    except urllib3.exceptions.HTTPError as error:
        raise BrokenOffError(type(error).__name__) from error
    finally:
        response.close()
    response._content = b"".join(pieces)  # noqa: SLF001 - requests has no other way to hand over a body
    response._content_consumed = True  # type: ignore[attr-defined]  # noqa: SLF001
