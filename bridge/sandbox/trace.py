"""What a server puts before a mail that it takes: one `Received` field (RFC 5321 4.4), as Exchange writes it."""

from __future__ import annotations

import re
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

_PRODUCT: Final = "Microsoft SMTP Server id 15.20.8813.17"
_HOST: Final = "127.0.0.1"
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9.:_\[\]-]")
_MOST_OF_A_NAME: Final = 255
_RECEIVED: Final = re.compile(
    rb"Received: from [^\r\n]+(?:\r\n)? by [^\r\n]+(?:\r\n)? with Microsoft SMTP Server [^\r\n]+\r\n"
)
"""As it was written, and on one line, where the mail's MIME was made anew."""


def received(*, client: str, address: str, server: str, at: datetime) -> bytes:
    """Return the field, its line end included; `client` is what the other side calls itself."""
    name = _NO_NAME.sub("", client)[:_MOST_OF_A_NAME] or "unknown"
    date = format_datetime(at.replace(microsecond=0))
    lines = (f"Received: from {name} ({address})", f" by {server} ({_HOST})", f" with {_PRODUCT}; {date}")
    return "".join(line + "\r\n" for line in lines).encode("ascii", "replace")


def within(server: str, at: datetime) -> bytes:
    """Return the field of a mail that did not come from outside: it went from the server to itself."""
    return received(client=server, address=_HOST, server=server, at=at)


def as_given(mime: bytes) -> bytes:
    """
    Return a mail of the sandbox as it was handed in: without the field that the server put before it.

    Raises:
        ValueError: There is no such field, so it did not come this way.
    """
    found = _RECEIVED.match(mime)
    if found is None:
        raise ValueError("the mail has no Received field of the sandbox")
    return mime[found.end() :]
