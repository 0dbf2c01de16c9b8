"""
A mail's MIME made anew, as Exchange does: of the properties that it keeps of a mail, not of the bytes that came.

Header order, boundaries, folding and encodings are its own. Text is UTF-8 with CRLF, without NUL and other controls;
header fields are ASCII; what came with bare CR or LF, or with raw 8-bit letters, has none left. Attachments keep their
bytes. What Exchange stores whole stays whole below its headers: S/MIME, reports, meetings.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from bridge.sandbox.store import mime as mimes
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.compose import compose, with_headers
from bridge.sandbox.store.structure import MAX_HEADERS, parse, xml_safe

if TYPE_CHECKING:
    from datetime import datetime

    from bridge.sandbox.store.structure import Part

_OF_THE_WAY: Final = frozenset({"received", "return-path"})
_OF_THE_BODY: Final = ("MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-Disposition", "Content-ID")
_MOST_OF_AN_ID: Final = 2000
_OWN_FIELDS: Final = 100
_LINE_END: Final = re.compile(r"\r*\n|\r")
_ENDED: Final = b"\r\n\r\n"


def remade(mime: bytes, *, at: datetime, salt: bytes = b"") -> bytes:
    """
    Return the mail as Exchange makes it of its properties; never raises, whatever the bytes are.

    Boundaries differ for another `salt` and are the same for the same one. `at` is the date of a mail that has none.
    """
    root = parse(mime)
    bag = mimes.bag_of(mime, at)
    bag[p.SEARCH_KEY] = hashlib.sha256(mime + salt).hexdigest()
    bag[p.INTERNET_MESSAGE_ID] = xml_safe(root.decoded("Message-ID"))[:_MOST_OF_AN_ID]
    # Its own fields, Content-Type among them, stand behind these, and have to be read as well.
    extra = mimes.extra_headers(mime)[: MAX_HEADERS - _OWN_FIELDS]
    bag[p.EXTRA_HEADERS] = [pair for pair in extra if pair[0].lower() not in _OF_THE_WAY]
    way = [(name, value) for name, value in extra if name.lower() in _OF_THE_WAY]
    if bag[p.MESSAGE_CLASS] != "IPM.Note":
        return with_headers(_whole(mime, root, bag), way)
    text, html = mimes.bodies(mime)
    for key, body in ((p.BODY_TEXT, text), (p.BODY_HTML, html)):
        if body is not None:
            bag[key] = _LINE_END.sub("\r\n", body)
    return with_headers(compose(bag, mimes.attachments(mime)), way)


def _whole(mime: bytes, root: Part, bag: p.Bag) -> bytes:
    """Return the mail with new headers, and below them what came."""
    made = compose(bag, ())
    head = made[: made.index(_ENDED)].split(b"\r\n")
    kept = [line for line in head if not line.lower().startswith((b"content-", b"mime-version:"))]
    fields = [(name, value) for name in _OF_THE_BODY if (value := root.header(name)) is not None]
    below = with_headers(b"", fields)
    return b"\r\n".join(kept) + b"\r\n" + below + b"\r\n" + mime[root.start :]
