"""A mail as people look at it: headers, text, HTML, attachments. For any bytes, and never more than a page can bear."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from bridge.sandbox.store.mime import attachments, bodies
from bridge.sandbox.store.structure import decode_words, parse
from bridge.sandbox.tenant import is_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.sandbox.store.mime import Attachment

_MAX_TEXT: Final = 500_000
_MAX_HTML: Final = 2_000_000
_MAX_SOURCE_BYTES: Final = 500_000
_MAX_HEADER: Final = 10_000
_MAX_ATTACHMENTS: Final = 500
_MAX_INLINE_BYTES: Final = 10_000_000
_MAX_REFERENCES: Final = 20
_MAX_SUBJECT: Final = 500
_BARE: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}")
_IN_BRACKETS: Final = re.compile(rf"<({_BARE.pattern})>")
_ID: Final = re.compile(r"<[!-;=?-~]{1,900}>")
_PICTURES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_CID: Final = re.compile(r"cid:([^\"'\s<>()]{1,200})", re.IGNORECASE)


def view_of(mime: bytes) -> dict[str, Any]:
    """Return what the page shows of a mail; texts that are too long are cut, which `cut` tells."""
    root = parse(mime)
    text, html = bodies(mime)
    found = attachments(mime)
    return {
        "headers": [[name, decode_words(value)[:_MAX_HEADER]] for name, value in root.headers],
        "reply": _reply_to(root.headers),
        "size": len(mime),
        "text": None if text is None else text[:_MAX_TEXT],
        "cut": text is not None and len(text) > _MAX_TEXT,
        "has_html": html is not None,
        "attachments": [
            {
                "number": number,
                "name": one.name,
                "content_type": one.content_type,
                "size": len(one.content),
                "inline": one.inline,
            }
            for number, one in enumerate(found[:_MAX_ATTACHMENTS], 1)
        ],
        "more_attachments": max(0, len(found) - _MAX_ATTACHMENTS),
    }


def _reply_to(headers: Sequence[tuple[str, str]]) -> dict[str, str] | None:
    """Return what an answer to the mail would hold; None where it has no Message-ID, or nobody to answer to."""
    first: dict[str, str] = {}
    for name, value in headers:
        first.setdefault(name.lower(), value[:_MAX_HEADER])
    author = _address(first.get("from", ""))
    ids = _ID.findall(first.get("message-id", ""))
    if not ids or not author:
        return None
    before = _ID.findall(first.get("references", "") or first.get("in-reply-to", ""))[-_MAX_REFERENCES:]
    subject = "".join(one for one in decode_words(first.get("subject", "")) if one.isprintable())[:_MAX_SUBJECT]
    return {
        "from": author,
        "to": _address(first.get("reply-to", "")) or author,
        "recipient": _address(first.get("to", "")),
        "subject": subject if subject.lower().startswith("re:") else f"Re: {subject}".rstrip(),
        "in_reply_to": ids[0],
        "references": " ".join([*(one for one in before if one != ids[0]), ids[0]]),
    }


def _address(field: str) -> str:
    """Return the first address of a field, empty where there is none that a mail can be from."""
    found = (*_IN_BRACKETS.findall(field), *_BARE.findall(field))
    return next((address for address in found if is_address(address)), "")


def html_of(mime: bytes) -> bytes | None:
    """
    Return the mail's HTML in UTF-8, as it is but for its pictures, which stand in it; None when there is none.

    It is as hostile as it came: only an answer with the policy for mails may carry it.
    """
    html = bodies(mime)[1]
    if html is None:
        return None
    html = html[:_MAX_HTML]
    if _CID.search(html):
        html = _with_pictures(html, attachments(mime))
    return html.encode("utf-8", "replace")


def source_of(mime: bytes) -> dict[str, Any]:
    """Return the mail's bytes as text, a byte that is no UTF-8 as a replacement character."""
    return {"source": mime[:_MAX_SOURCE_BYTES].decode("utf-8", "replace"), "cut": len(mime) > _MAX_SOURCE_BYTES}


def attachment_of(mime: bytes, number: int) -> Attachment | None:
    """Return an attachment by its number, from 1."""
    found = attachments(mime)
    return found[number - 1] if 1 <= number <= len(found) else None


def disposition(name: str) -> str:
    """Return the Content-Disposition by which a browser saves a file under (nearly) this name, and never shows it."""
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", name)[:100].strip(" .") or "attachment"
    # Letters that turn the order of writing around make `exe.txt` of `txt.exe`; none of them is a name's.
    harmless = re.sub(r"[\x00-\x1f\x7f/\\\u200e\u200f\u202a-\u202e\u2066-\u2069]", "_", name)[:200]
    coded = quote(harmless.encode("utf-8", "replace"), safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{coded}"


def _with_pictures(html: str, found: list[Attachment]) -> str:
    pictures = {one.content_id: one for one in found if one.content_id and one.content_type.lower() in _PICTURES}
    left = _MAX_INLINE_BYTES

    def picture(match: re.Match[str]) -> str:
        nonlocal left
        one = pictures.get(unquote(match[1])) or pictures.get(match[1])
        if one is None or len(one.content) > left:
            return match[0]
        left -= len(one.content)
        return f"data:{one.content_type.lower()};base64,{b64encode(one.content).decode()}"

    return _CID.sub(picture, html)
