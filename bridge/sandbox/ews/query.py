"""
QueryString: what a mailbox is searched by in words, in the useful part of AQS, as a condition in SQL.

    subject:report from:"Dean Halstead" received:>=2026-11-01 (hasattachment:true OR size:>1MB) NOT kind:meetings

Words are found where a word begins, whatever their case; a quoted phrase is found whole, one with `*` behind it as the
beginning of words. Several terms must all be met. What is not understood is refused rather than left out; a colon
behind what is no property is part of a word.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bridge.sandbox.clock import EXCHANGE
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.queryterms import PROPERTIES, Term, TermError, anywhere
from bridge.sandbox.ews.restrictions import Restriction, joined

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from lxml import etree

_MOST_LETTERS: Final = 10_000
_MOST_TERMS: Final = 200
_MOST_DEPTH: Final = 50
_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<mark>[()])
    | (?P<property>PROPERTY):\s*
    | "(?P<phrase>[^"]*)"(?P<open>\*?)
    | (?P<word>(?<=:)(?:last|this)\s+(?:week|month|year)\b|[^\s()"]+)
    )""".replace("PROPERTY", "|".join(sorted(PROPERTIES))),
    re.VERBOSE | re.IGNORECASE,
)


def read_query(node: etree._Element | None, *, now: datetime | None = None) -> Restriction | None:
    """
    Return the condition that a QueryString says, None without one.

    Raises:
        EwsError: ErrorUnsupportedQueryFilter, ErrorQueryFilterTooLong, ErrorSearchQueryHasTooManyKeywords.
    """
    if node is None:
        return None
    text = node.text or ""
    if len(text) > _MOST_LETTERS:
        raise EwsError("ErrorQueryFilterTooLong", "The query string is too long.")
    if not text.strip():
        return Restriction()
    reader = _Reader(text, now or EXCHANGE.now())
    try:
        sql = reader.read()
    except TermError as error:
        raise EwsError("ErrorUnsupportedQueryFilter", f"The query string is not supported: {error}.") from error
    return Restriction(sql, reader.parameters)


class _Reader:
    """Reads one query by descent: OR holds ANDs, they hold terms and what is in parentheses."""

    def __init__(self, text: str, now: datetime) -> None:
        self.parameters: list[object] = []
        self._now = now
        self._tokens = _tokens(text)
        self._at = 0

    def read(self) -> str:
        sql = self._any(anywhere, 0)
        if self._at < len(self._tokens):
            raise TermError("a parenthesis is not opened")
        return sql

    def _next(self) -> re.Match[str] | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _taken(self, *, word: str | None = None, mark: str | None = None) -> bool:
        token = self._next()
        wanted = token is not None and (
            (word is not None and token["word"] == word) or (mark is not None and token["mark"] == mark)
        )
        self._at += wanted
        return wanted

    def _any(self, about: Callable[[Term], str], depth: int) -> str:
        parts = [self._all(about, depth)]
        while self._taken(word="OR"):
            parts.append(self._all(about, depth))
        return joined(parts, "OR")

    def _all(self, about: Callable[[Term], str], depth: int) -> str:
        parts = [self._one(about, depth)]
        while (token := self._next()) is not None and token["word"] != "OR" and token["mark"] != ")":
            self._taken(word="AND")
            parts.append(self._one(about, depth))
        return joined(parts, "AND")

    def _one(self, about: Callable[[Term], str], depth: int) -> str:
        if depth > _MOST_DEPTH:
            raise TermError("its parentheses are too deep")
        if self._taken(word="NOT"):
            return f"(NOT coalesce({self._one(about, depth + 1)}, 0))"
        if self._taken(mark="("):
            sql = self._any(about, depth + 1)
            if not self._taken(mark=")"):
                raise TermError("a parenthesis is not closed")
            return sql
        token = self._next()
        if token is None or token["mark"] or token["word"] in ("AND", "OR"):
            raise TermError("a term is missing")
        self._at += 1
        if token["property"]:
            return self._of_property(token["property"], depth)
        return about(_term(token, self._now, self.parameters))

    def _of_property(self, name: str, depth: int) -> str:
        if self._next() is None:
            raise TermError(f"{name} has no value")
        return self._one(PROPERTIES[name.lower()], depth + 1)


def _term(token: re.Match[str], now: datetime, parameters: list[object]) -> Term:
    if token["word"]:
        text = token["word"].rstrip("*")
        if not text:
            raise TermError("a word is missing")
        return Term(text, "PrefixOnWords", now, parameters)
    return Term(token["phrase"], "PrefixOnWords" if token["open"] else "ExactPhrase", now, parameters)


def _tokens(text: str) -> list[re.Match[str]]:
    found: list[re.Match[str]] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        token = _TOKEN.match(text, at)
        if token is None:
            raise EwsError("ErrorUnsupportedQueryFilter", "The query string is not supported: a quote is not closed.")
        found.append(token)
        at = token.end()
    if len(found) > _MOST_TERMS:
        raise EwsError("ErrorSearchQueryHasTooManyKeywords", "The query string has too many keywords.")
    return found
