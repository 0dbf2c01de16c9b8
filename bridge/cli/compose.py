"""From the options of `bridge send` to a request, checked as the egress worker checks it."""

from __future__ import annotations

import base64
import json
import mimetypes
import sys
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parseaddr
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.errors import RequestInvalid
from bridge.wire import outbound_v1

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.wire.outbound_v1 import OutboundRequest

STANDARD_INPUT = Path("-")


@dataclass(frozen=True)
class Draft:
    """What the command line said."""

    to: Sequence[str] = ()
    cc: Sequence[str] = ()
    bcc: Sequence[str] = ()
    reply_to: Sequence[str] = ()
    subject: str = ""
    text: str | None = None
    text_file: Path | None = None
    html_file: Path | None = None
    attach: Sequence[Path] = ()
    importance: str = "normal"
    expires_in_seconds: float | None = None
    request_id: str | None = None
    correlation_id: str | None = None
    request_file: Path | None = None
    """A whole `mail.outbound.v1` instead of all the others."""
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


def compose(draft: Draft) -> tuple[bytes, OutboundRequest]:
    """
    Return the payload and the request that it holds.

    Raises:
        RequestInvalid: The worker would refuse it, or a file cannot be read.
    """
    body = _read(draft.request_file, "request") if draft.request_file is not None else _body(draft)
    request = outbound_v1.parse(
        body, message_id=None, content_type=outbound_v1.CONTENT_TYPE, limits=outbound_v1.OutboundLimits()
    )
    return body, request


def _body(draft: Draft) -> bytes:
    content: dict[str, object] = {"request_id": draft.request_id or str(uuid.uuid4()), "subject": draft.subject}
    for name in ("to", "cc", "bcc", "reply_to"):
        given: Sequence[str] = getattr(draft, name)
        if given:
            content[name] = [_address(name, one) for one in given]
    if draft.text is not None:
        content["text"] = draft.text
    elif draft.text_file is not None:
        content["text"] = _read_text(draft.text_file, "text")
    if draft.html_file is not None:
        content["html"] = _read_text(draft.html_file, "html")
    if draft.attach:
        content["attachments"] = [_attachment(path) for path in draft.attach]
    if draft.importance != "normal":
        content["importance"] = draft.importance
    if draft.correlation_id is not None:
        content["correlation_id"] = draft.correlation_id
    if draft.expires_in_seconds is not None:
        content["expires_at"] = (draft.now + timedelta(seconds=draft.expires_in_seconds)).isoformat()
    return json.dumps(content, ensure_ascii=False).encode()


def _address(field_name: str, text: str) -> dict[str, str]:
    """Return `Name <address>` or a bare address in its parts."""
    name, address = parseaddr(text)
    if not address:
        raise RequestInvalid(field_name, 'is no address: write name@example.org or "Name <name@example.org>"')
    return {"address": address} | ({"name": name} if name else {})


def _attachment(path: Path) -> dict[str, str]:
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if kind.startswith(("multipart/", "message/")):
        kind = "application/octet-stream"
    content = base64.b64encode(_read(path, "attachments")).decode("ascii")
    return {"name": path.name, "content_type": kind, "content": content}


def _read_text(path: Path, field_name: str) -> str:
    try:
        return _read(path, field_name).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RequestInvalid(field_name, "is not UTF-8 text") from None


def _read(path: Path, field_name: str) -> bytes:
    if path == STANDARD_INPUT:
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as error:
        raise RequestInvalid(field_name, f"the file cannot be read ({error.strerror})") from error
