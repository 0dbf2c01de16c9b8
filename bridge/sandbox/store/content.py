"""What a mail says, whatever bytes say it: equal before and after its MIME was made anew."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.store import mime as mimes
from bridge.sandbox.store.structure import parse, xml_safe

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_OF_AN_ID: Final = 2000
"""What Exchange keeps of a Message-ID, and the MIME that it makes has of it."""
_LINE_END: Final = re.compile(r"\r*\n|\r")


def content_of(mime: bytes) -> dict[str, Any]:
    """Return subject, people, Message-ID, text, HTML and attachments; never raises, whatever the bytes are."""
    root = parse(mime)
    text, html = mimes.bodies(mime)
    return content(
        subject=root.decoded("Subject"),
        people={name: mimes.addresses(root, name) for name in ("From", "To", "Cc", "Reply-To")},
        message_id=root.decoded("Message-ID"),
        text=text,
        html=html,
        attachments=[
            (one.content_type, one.content_id, hashlib.sha256(one.content).hexdigest())
            for one in mimes.attachments(mime)
        ],
    )


def content(
    *,
    subject: str,
    people: dict[str, list[list[str]]],
    message_id: str,
    text: str | None,
    html: str | None,
    attachments: Iterable[tuple[str, str, str]],
) -> dict[str, Any]:
    """Return what is compared, in one form: neither line ends nor blanks at ends of lines and words are content."""
    return {
        "subject": _words(subject),
        "people": {
            name: [[_words(shown), _words(address)] for shown, address in pairs] for name, pairs in people.items()
        },
        "message_id": _words(message_id)[:_MOST_OF_AN_ID],
        "text": None if text is None else _lines(text),
        "html": None if html is None else _lines(html),
        "attachments": [list(one) for one in attachments],
    }


def digest_of(said: dict[str, Any]) -> str:
    """Return the hash of what a mail says."""
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _words(text: str) -> str:
    return " ".join(xml_safe(text).split())


def _lines(text: str) -> str:
    lines = _LINE_END.split(xml_safe(text).removeprefix("\ufeff"))
    return "\n".join(line.rstrip() for line in lines).strip()
