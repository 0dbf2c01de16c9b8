"""
Reads the grammar's language into automata.

    Type Attribute!=Kind Attribute=Kind : First Second=Type? (This | That)* $Group
    $Group = A | B

A type has attributes (`!` where required) and a content model after the colon: element names, each with its type
unless the type has the element's name, with `?`, `*`, `+`, choices and groups. `Text Kind` is text of a kind, `Any` is
content that is not looked at. A line that begins with a space goes on with the line before. An element stands in the
namespace of the type that holds it, one written `t:Name` in `types`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews.grammar.messages import MESSAGES, PARTS
from bridge.sandbox.ews.grammar.simple import SIMPLE
from bridge.sandbox.ews.grammar.types import TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.sandbox.ews.grammar.simple import Simple

MESSAGES_NAMESPACE: Final = "http://schemas.microsoft.com/exchange/services/2006/messages"
TYPES_NAMESPACE: Final = "http://schemas.microsoft.com/exchange/services/2006/types"

_TOKEN = re.compile(r"(?:t:)?[A-Za-z]\w*(?:=\w+)?|\$\w+|[()|?*+]")
_START = 0


@dataclass(slots=True)
class Shape:
    """
    One type, ready to check with.

    The states of the automaton are the places in the content model where an element may stand, 0 before the first;
    `steps[state]` says which element leads where, and what its type is.
    """

    name: str
    attributes: dict[str, tuple[str, Simple]]
    required: tuple[str, ...]
    text: tuple[str, Simple] | None = None
    anything: bool = False
    steps: list[dict[str, tuple[int, str]]] = field(default_factory=lambda: [{}])
    accepting: set[int] = field(default_factory=lambda: {_START})


@dataclass(frozen=True, slots=True)
class _Model:
    """A part of a content model: whether it may be empty, where it begins and ends, what can follow what."""

    empty: bool
    first: frozenset[int]
    last: frozenset[int]


@cache
def grammar() -> tuple[Mapping[str, Shape], Mapping[str, str]]:
    """Return all types by name, and the request elements (by tag) with their types."""
    groups: dict[str, str] = {}
    shapes: dict[str, Shape] = {}
    requests: dict[str, str] = {}
    for line in (*_lines(TYPES), *_lines(MESSAGES)):
        if line.startswith("$"):
            name, _, content = line.partition(" = ")
            groups[name.strip()] = content
    for namespace, text in ((TYPES_NAMESPACE, TYPES), (MESSAGES_NAMESPACE, PARTS), (MESSAGES_NAMESPACE, MESSAGES)):
        for line in _lines(text):
            if not line.startswith("$"):
                shape = _shape(line, namespace, groups)
                shapes[shape.name] = shape
                if text is MESSAGES:
                    requests[f"{{{namespace}}}{shape.name}"] = shape.name
    shapes["Any"] = Shape("Any", {}, (), anything=True)
    for kind, check in SIMPLE.items():
        # An attribute's kind and an element's type live apart (Bitmask is both): elements find shapes first.
        shapes.setdefault(kind, Shape(kind, {}, (), text=(kind, check)))
    return shapes, requests


def _lines(text: str) -> list[str]:
    return [line for line in text.replace("\n ", " ").splitlines() if line.strip()]


def _shape(line: str, namespace: str, groups: Mapping[str, str]) -> Shape:
    head, _, content = line.partition(" :")
    name, *attributes = head.split()
    kinds: dict[str, tuple[str, Simple]] = {}
    required: list[str] = []
    for attribute in attributes:
        left, _, kind = attribute.partition("=")
        if left.endswith("!"):
            required.append(left[:-1])
        kinds[left.rstrip("!")] = (kind, SIMPLE[kind])
    shape = Shape(name, kinds, tuple(required))
    content = content.strip()
    if content.startswith("Text "):
        kind = content.removeprefix("Text ").strip()
        shape.text = (kind, SIMPLE[kind])
    elif content:
        _Automaton(shape, namespace, groups).build(content)
    return shape


class _Automaton:
    """Builds one content model's automaton from its text (Glushkov's construction)."""

    def __init__(self, shape: Shape, namespace: str, groups: Mapping[str, str]) -> None:
        self._shape = shape
        self._namespace = namespace
        self._groups = groups
        self._elements: list[tuple[str, str]] = [("", "")]
        self._follow: list[set[int]] = [set()]
        self._tokens: list[str] = []

    def build(self, content: str) -> None:
        self._tokens = list(reversed(self._expanded(content)))
        model = self._choice()
        self._follow[_START] = set(model.first)
        self._shape.accepting = set(model.last) | ({_START} if model.empty else set())
        self._shape.steps = [
            {self._elements[to][0]: (to, self._elements[to][1]) for to in follow} for follow in self._follow
        ]

    def _expanded(self, content: str) -> list[str]:
        tokens: list[str] = []
        for token in _TOKEN.findall(content):
            if token.startswith("$"):
                tokens.extend(self._expanded(self._groups[token]))
            else:
                tokens.append(token)
        return tokens

    def _choice(self) -> _Model:
        model = self._sequence()
        while self._tokens and self._tokens[-1] == "|":
            self._tokens.pop()
            other = self._sequence()
            model = _Model(model.empty or other.empty, model.first | other.first, model.last | other.last)
        return model

    def _sequence(self) -> _Model:
        model = _Model(empty=True, first=frozenset(), last=frozenset())
        while self._tokens and self._tokens[-1] not in ")|":
            following = self._repeated()
            for end in model.last:
                self._follow[end] |= following.first
            model = _Model(
                model.empty and following.empty,
                model.first | following.first if model.empty else model.first,
                model.last | following.last if following.empty else following.last,
            )
        return model

    def _repeated(self) -> _Model:
        model = self._one()
        sign = self._tokens.pop() if self._tokens and self._tokens[-1] in "?*+" else ""
        if sign in ("*", "+"):
            for end in model.last:
                self._follow[end] |= model.first
        return _Model(model.empty or sign in ("?", "*"), model.first, model.last)

    def _one(self) -> _Model:
        taken = self._tokens.pop()
        if taken == "(":
            model = self._choice()
            self._tokens.pop()
            return model
        name, _, kind = taken.partition("=")
        namespace = TYPES_NAMESPACE if name.startswith("t:") else self._namespace
        name = name.removeprefix("t:")
        self._elements.append((f"{{{namespace}}}{name}", kind or name))
        self._follow.append(set())
        place = frozenset({len(self._elements) - 1})
        return _Model(empty=False, first=place, last=place)
