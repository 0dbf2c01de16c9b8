"""
Reads the grammar's language into automata.

    Type Attribute!=Kind Attribute=Kind : First Second=Type? (This | That)* $Group
    $Group = A | B

A type has attributes (`!` where required) and a content model after the colon: element names, each with its type
unless the type has the element's name, with `?`, `*`, `+`, choices and groups. `Text Kind` is text of a kind, `Any` is
content that is not looked at. An element of a type whose name ends in `~` may be nil instead (`xsi:nil`). A line that
begins with a space goes on with the line before. An element stands in the namespace of the type that holds it, one
written `t:Name` in `types`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from sys import intern
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
_ANY = "Any"


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
    nillable: bool = False
    steps: list[dict[str, tuple[int, str]]] = field(default_factory=lambda: [{}])
    accepting: set[int] = field(default_factory=lambda: {_START})


@dataclass(frozen=True, slots=True)
class _Model:
    """A part of a content model: whether it may be empty, where it begins and ends, what can follow what."""

    empty: bool
    first: frozenset[int]
    last: frozenset[int]


class Shapes(dict[str, Shape]):
    """All types by name; each is read when it is first asked for, so that those nobody asks for take no memory."""

    def __init__(self, lines: Mapping[str, tuple[str, str]], groups: Mapping[str, str]) -> None:
        """Hold the lines of the types by name, each with its namespace, and the groups that they use."""
        super().__init__()
        self._lines = lines
        self._groups = groups

    @property
    def names(self) -> frozenset[str]:
        """The names of all types."""
        return frozenset(self._lines) | frozenset(SIMPLE) | {_ANY}

    def __missing__(self, name: str) -> Shape:
        """Read a type; two threads that do so at once read the same."""
        if name in self._lines:
            shape = _shape(self._lines[name][1], self._lines[name][0], self._groups)
        elif name == _ANY:
            shape = Shape(name, {}, (), anything=True)
        else:
            # An attribute's kind and an element's type live apart (Bitmask is both): elements find shapes first.
            shape = Shape(name, {}, (), text=(name, SIMPLE[name]))
        self[name] = shape
        return shape


@cache
def grammar() -> tuple[Shapes, Mapping[str, str]]:
    """Return all types by name, and the request elements (by tag) with their types."""
    groups: dict[str, str] = {}
    lines: dict[str, tuple[str, str]] = {}
    requests: dict[str, str] = {}
    for namespace, text in ((TYPES_NAMESPACE, TYPES), (MESSAGES_NAMESPACE, PARTS), (MESSAGES_NAMESPACE, MESSAGES)):
        for line in _lines(text):
            if line.startswith("$"):
                name, _, content = line.partition(" = ")
                groups[name.strip()] = content
                continue
            name = line.partition(" :")[0].split()[0].rstrip("~")
            lines[name] = namespace, line
            if text is MESSAGES:
                requests[f"{{{namespace}}}{name}"] = name
    return Shapes(lines, groups), requests


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
    shape = Shape(name.rstrip("~"), kinds, tuple(required), nillable=name.endswith("~"))
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
        # One tuple for each place, whatever number of places lead there.
        steps = [(to, kind) for to, (_, kind) in enumerate(self._elements)]
        self._shape.steps = [{self._elements[to][0]: steps[to] for to in follow} for follow in self._follow]

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
        self._elements.append((intern(f"{{{namespace}}}{name}"), intern(kind or name)))
        self._follow.append(set())
        place = frozenset({len(self._elements) - 1})
        return _Model(empty=False, first=place, last=place)
