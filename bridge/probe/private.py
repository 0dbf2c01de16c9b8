"""What came from the other side, made fit for a report that leaves the house."""

from __future__ import annotations

import re
from typing import Final

_CODE = re.compile(r"[A-Za-z]{1,80}[0-9]{0,4}\Z")
_GUARDED: Final = re.compile(
    r"\S*@\S*"  # addresses
    r"|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F-]{4,}"  # ids of tenants, apps and requests
    r"|(?=\S*[0-9])[A-Za-z0-9+/=_\-.]{24,}"  # ids of items, tokens
    r"|(?<![A-Za-z])eyJ\S+"
)
_SENTENCE = re.compile(r"[A-Za-z ,.'()\-]{1,300}\Z")


def code(text: str | None) -> str:
    """Return a response code as it is; what has not the form of one is not shown."""
    text = (text or "").strip()
    return text if _CODE.match(text) else "(no code)"


def number(text: str | None) -> str:
    """Return digits as they are."""
    text = (text or "").strip()
    return text if text.isascii() and text.isdecimal() and len(text) <= 12 else "(no number)"


def sentence(text: str | None) -> str:
    """Return an error's text where it is plain words: one that quotes anything is not shown."""
    text = " ".join((text or "").split())
    return text if _SENTENCE.match(text) else "(a text that is not shown)"


def guarded(text: str) -> str:
    """Return a text without anything of the form of an address, an id or a token. The last look before it is told."""
    return _GUARDED.sub("(not shown)", text)
