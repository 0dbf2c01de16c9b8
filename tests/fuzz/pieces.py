"""What the classes of hostile mail are made with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    Make = Callable[[random.Random, int], bytes]

HEAD = b"From: a@example.org\r\nTo: b@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
CLASSES: dict[str, Make] = {}


def hostile(make: Make) -> Make:
    """Make a function one of the classes."""
    CLASSES[make.__name__] = make
    return make


def fill(piece: bytes, size: int) -> bytes:
    """Return the piece so often that it has about that size, once at the least."""
    return piece * max(1, size // len(piece))


def count(size: int, each: int, most: int) -> int:
    """Return how many of `each` bytes fit, one at the least."""
    return max(1, min(most, size // each))


def mail(content_type: bytes, body: bytes, encoding: bytes = b"") -> bytes:
    """Return a mail with this body."""
    encoded = b"Content-Transfer-Encoding: " + encoding + b"\r\n" if encoding else b""
    return HEAD + b"Content-Type: " + content_type + b"\r\n" + encoded + b"\r\n" + body


def field(name: bytes, value: bytes) -> bytes:
    """Return a mail with this header field."""
    return HEAD + name + b": " + value + b"\r\n\r\ntext\r\n"
