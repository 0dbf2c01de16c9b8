"""What must hold of every mail, whatever is in it, and what reading it may cost."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

import jsonschema_rs

from bridge.domain.mail import FetchedMail, MailRef
from bridge.mime import parse
from bridge.wire import inbound_v1, schemas
from bridge.wire.inbound_messages import composed

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 0.1
SECONDS_PER_BYTE = 2e-6
"""CPU time to read a mail and make its message: five times what the worst known mail takes."""
MEMORY_BYTES = 64 * 1024 * 1024
MEMORY_PER_BYTE = 40
"""Memory for the same, beside the mail; the worst known, bytes that become escapes in JSON, takes 33 times its size."""

_CEILING_SECONDS = 60.0
"""Out of the way: what takes long is to be seen, not cut off."""
_MEASURED_AGAIN = 4
"""What else a machine does can only add, to CPU time too; the least is what the mail takes."""


@cache
def _valid() -> Callable[[object], bool]:
    return jsonschema_rs.validator_for(schemas.schema(inbound_v1.NAME), validate_formats=True).is_valid


def made(raw: bytes) -> bytes:
    """Return the body of the message that the bridge makes of a mail."""
    ref = MailRef("m" * 40, "item", datetime(2026, 1, 1, tzinfo=UTC), len(raw), "IPM.Note")
    found = composed(FetchedMail(ref, raw), "dispatch", seconds=_CEILING_SECONDS)
    assert found.unread is None, found.unread
    return found.messages[-1].body


def _timed(raw: bytes) -> tuple[bytes, float]:
    started = time.thread_time()
    body = made(raw)
    return body, time.thread_time() - started


def check(raw: bytes) -> float:
    """
    Read a mail as the bridge does, and return the CPU seconds.

    Raises:
        AssertionError: A promise was broken.
        Exception: The parser raised.
    """
    defects = parse(raw).defects
    allowed = SECONDS + SECONDS_PER_BYTE * len(raw)
    body, seconds = _timed(raw)
    for _ in range(_MEASURED_AGAIN):
        if seconds < allowed:
            break
        seconds = min(seconds, _timed(raw)[1])
    told = json.loads(body)
    assert _valid()(told), "the payload does not fit its schema"
    payload = inbound_v1.from_json(body)
    assert payload.raw is not None
    assert payload.raw.data() == raw, "the raw bytes are not those of the mail"
    assert payload.raw.size == len(raw)
    assert payload.defects == defects, "the same bytes have other defects the second time"
    assert b"\\u0000" not in body, "consumers' databases do not take NUL"
    assert seconds < allowed, f"{seconds:.2f} s for {len(raw)} bytes"
    return seconds
