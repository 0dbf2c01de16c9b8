"""
What searches ask of mails beside their bags: text of bodies and headers, as functions that SQLite calls.

They take a mail's bytes and its bag as its row has them, so that a search reads one mail at a time and keeps none.
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.store import mime
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.compose import compose
from bridge.sandbox.store.structure import decode_words, header_block, parse, xml_safe

if TYPE_CHECKING:
    import sqlite3

SCHEMA: Final = f"""
ALTER TABLE items ADD COLUMN created INTEGER
  GENERATED ALWAYS AS (json_extract(props, '$."{p.CREATION_TIME}"')) VIRTUAL;
CREATE INDEX items_by_created ON items (folder, created, id);
"""

DATA: Final = "(SELECT data FROM contents WHERE contents.id = items.content)"
"""The SQL expression of a mail's bytes, NULL for an item that was made of properties."""


def install(db: sqlite3.Connection) -> None:
    """Give a connection the functions."""
    db.create_function("contains", 4, contains, deterministic=True)
    db.create_function("folded", 1, folded, deterministic=True)
    db.create_function("body_of", 2, body_of, deterministic=True)
    db.create_function("header_of", 3, header_of, deterministic=True)
    db.create_function("headers_of", 2, headers_of, deterministic=True)
    db.create_function("attachment_names", 1, attachment_names, deterministic=True)


def folded(value: Any) -> Any:  # noqa: ANN401 - an SQL value
    """Return a text without regard to case, any other value as it is."""
    return value.casefold() if isinstance(value, str) else value


def contains(haystack: Any, needle: str, mode: str, comparison: str) -> int:  # noqa: ANN401 - an SQL value
    """Answer the restriction t:Contains for one value; see ContainmentModeType and ContainmentComparisonType."""
    if not isinstance(haystack, str):
        return 0
    haystack, needle = _compared(haystack, comparison), _needle(needle, comparison)
    if mode == "FullString":
        return int(haystack == needle)
    if mode == "Prefixed":
        return int(haystack.startswith(needle))
    if mode == "Substring":
        return int(needle in haystack)
    return int(_words(needle, whole=mode == "ExactPhrase").search(haystack) is not None)


def body_of(data: bytes | None, props: str) -> str:
    """Return the text of a mail's body, of the HTML one where it has no other."""
    if data is None:
        bag = json.loads(props)
        text, html = bag.get(p.BODY_TEXT), bag.get(p.BODY_HTML)
    else:
        text, html = mime.bodies(data)
    if text is None and html:
        # Where a tag was there is a space; words that stand side by side are to be found as they are read.
        return " ".join(mime.text_from_html(html).split())
    return text or ""


def header_of(data: bytes | None, props: str, name: str) -> str | None:
    """Return a header of a mail, all its occurrences on lines of their own, None where it has none."""
    wanted = name.lower()
    found = [value for known, value in parse(_head(data, props)).headers if known.lower() == wanted]
    return xml_safe("\n".join(map(decode_words, found))) if found else None


def headers_of(data: bytes | None, props: str) -> str:
    """Return a mail's headers as they stand in it."""
    return xml_safe(_head(data, props).decode("utf-8", "replace"))


def attachment_names(data: bytes | None) -> str:
    """Return the names of the attachments in a mail's bytes, each on a line."""
    if data is None:
        return ""
    return "\n".join(part.filename for part, _ in mime.attachment_parts(parse(data)) if part.filename)


def _head(data: bytes | None, props: str) -> bytes:
    return header_block(compose(json.loads(props), ()) if data is None else data)


@lru_cache(maxsize=256)
def _needle(needle: str, comparison: str) -> str:
    return _compared(needle, comparison)


@lru_cache(maxsize=256)
def _words(needle: str, *, whole: bool) -> re.Pattern[str]:
    # Where a needle begins or ends with no letter itself, as in `@example.org`, a word may go on there.
    start = r"(?<!\w)" if re.match(r"\w", needle) else ""
    end = r"(?!\w)" if whole and re.search(r"\w\Z", needle) else ""
    return re.compile(start + re.escape(needle) + end)


def _compared(text: str, comparison: str) -> str:
    """Return a text without what a comparison does not mind; a loose one minds neither case nor accents."""
    if "Loose" in comparison or "NonSpac" in comparison:
        text = "".join(one for one in unicodedata.normalize("NFD", text) if not unicodedata.combining(one))
    if "Loose" in comparison or "IgnoreCase" in comparison:
        text = text.casefold()
    return text
