"""Values in an outbound request, each with the form that it must have; what is wrong is said without the value."""

from __future__ import annotations

import binascii
import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator, PlainSerializer, StringConstraints, WithJsonSchema

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:?\d\d)")


def without_controls(value: str) -> str:
    """Return a text without control character, line or paragraph separator: a header injection needs one."""
    if any(c < " " or c in "\x7f\u2028\u2029" or "\x80" <= c <= "\x9f" for c in value):
        raise ValueError("has a line break or another control character")
    return value


def without_nul(value: str) -> str:
    """Return a text that has none."""
    if "\0" in value:
        raise ValueError("has a NUL character")
    return value


def _decode_base64(value: object) -> bytes:
    if isinstance(value, bytes):
        return value  # a request made in Python; JSON has no bytes
    if not isinstance(value, str):
        raise ValueError("is not a string in base64")  # noqa: TRY004 - pydantic takes only a ValueError
    try:
        return binascii.a2b_base64(value.encode("ascii"), strict_mode=True)
    except ValueError as error:  # UnicodeEncodeError and binascii.Error are ones
        raise ValueError("is not base64 (RFC 4648, padded, no line breaks)") from error


def _read_time(value: object) -> object:
    if not isinstance(value, str):
        return value  # refused by its type
    try:
        if _RFC3339.fullmatch(value):
            return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # right in form, but no time; its text would repeat the value
    raise ValueError("is not a time of RFC 3339 with its offset, such as 2026-11-24T08:30:00Z")


def check_message_id(value: str) -> str:
    """Return it in angle brackets."""
    bare = value.strip()
    bare = bare[1:-1] if bare.startswith("<") and bare.endswith(">") else bare
    if not bare or not re.fullmatch(r"[!-;=?-~]+(?: [!-;=?-~]+)*", bare):
        raise ValueError("is not a message id")
    return f"<{bare}>"


Identifier = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,200}$")]
"""Visible ASCII without spaces."""
Base64Bytes = Annotated[
    bytes,
    BeforeValidator(_decode_base64),
    PlainSerializer(lambda v: binascii.b2a_base64(v, newline=False).decode("ascii"), return_type=str),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]
MessageId = Annotated[str, StringConstraints(min_length=1, max_length=900)]
"""A Message-ID as a mail shows it, with or without angle brackets."""
Time = Annotated[AwareDatetime, BeforeValidator(_read_time)]
"""RFC 3339 with its offset; in UTC once it is read."""
