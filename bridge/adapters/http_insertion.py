"""Content that goes into the body of a request while that is sent: it is in memory piece by piece only."""

from __future__ import annotations

import base64
import contextlib
import secrets
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import requests


@dataclass(frozen=True, slots=True)
class Insertion:
    """Content of a known size, which stands in a request as base64 in the place of a mark."""

    size: int
    pieces: Callable[[], Iterator[bytes]]
    """Gives it from its beginning, as often as the request is sent."""
    mark: str = field(default_factory=lambda: secrets.token_hex(16))

    def into(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return the request with the content in the place of the mark; itself where it has none."""
        body = request.body
        if not isinstance(body, bytes) or (mark := self.mark.encode("ascii")) not in body:
            return request
        before, _, after = body.partition(mark)
        whole = request.copy()
        whole.body = _Body(before, self, after)  # type: ignore[assignment]  # requests takes what can be iterated
        whole.headers["Content-Length"] = str(len(before) + 4 * -(-self.size // 3) + len(after))
        return whole


class _Body:
    def __init__(self, before: bytes, insertion: Insertion, after: bytes) -> None:
        self._before, self._insertion, self._after = before, insertion, after

    def __iter__(self) -> Iterator[bytes]:
        yield self._before
        yield from _as_base64(self._insertion.pieces())
        yield self._after


def _as_base64(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        rest += piece
        whole = len(rest) - len(rest) % 3
        yield base64.b64encode(rest[:whole])
        rest = rest[whole:]
    yield base64.b64encode(rest)


_insertion: ContextVar[Insertion | None] = ContextVar("http_insertion", default=None)


@contextlib.contextmanager
def inserting(insertion: Insertion) -> Iterator[None]:
    """Have requests of this thread that bear its mark sent with the content in its place."""
    kept = _insertion.set(insertion)
    try:
        yield
    finally:
        _insertion.reset(kept)


def with_insertion(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Return the request as it is to be sent."""
    insertion = _insertion.get()
    return request if insertion is None else insertion.into(request)
