"""
Headers that pika cannot read must not end the connection: the message would come again, and end the next one as well.

pika 1.4 raises while it decodes a frame for a timestamp beyond the year 9999 (one in milliseconds is) and for tables
or arrays in one another by the hundred; RabbitMQ takes both from any publisher. There is no hook for it, so two
functions of `pika.data` are put in other words here.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import Any

import pika.data

_decode_table = pika.data.decode_table
_decode_value = pika.data.decode_value


def _tolerant_value(encoded: bytes, offset: int) -> tuple[Any, int]:
    """Return a value and where it ends; a timestamp that is no time stays a number."""
    if encoded[offset : offset + 1] != b"T":
        value: tuple[Any, int] = _decode_value(encoded, offset)
        return value
    seconds: int = struct.unpack_from(">Q", encoded, offset + 1)[0]
    try:
        return datetime.fromtimestamp(seconds, UTC), offset + 9
    except (ValueError, OverflowError, OSError):
        return seconds, offset + 9


def _tolerant_table(encoded: bytes, offset: int) -> tuple[dict[Any, Any], int]:
    """Return a table and where it ends; one that cannot be read is empty."""
    try:
        table: tuple[dict[Any, Any], int] = _decode_table(encoded, offset)
    except Exception:  # noqa: BLE001 - whatever a publisher managed to make it stumble over
        return {}, offset + 4 + int(struct.unpack_from(">I", encoded, offset)[0])
    return table


def bear_odd_headers() -> None:
    """Let pika, in all of the process, read past headers that it cannot decode."""
    pika.data.decode_table = _tolerant_table
    pika.data.decode_value = _tolerant_value
