"""The sandbox's grammar refuses what the official schema refuses, and nothing else."""

from __future__ import annotations

import random
from copy import deepcopy
from typing import TYPE_CHECKING

import pytest
from lxml import etree

from bridge.sandbox.ews.grammar.check import ViolationError, check_request, is_known
from bridge.sandbox.ews.grammar.language import grammar
from tests.schema.official import bodies_of, is_valid, reason, shared
from tests.schema.requests import REQUESTS

if TYPE_CHECKING:
    from collections.abc import Callable

_MUTATIONS_OF_EACH = 250
_VALUES = (
    "",
    "x",
    "true",
    "0",
    "-1",
    "99999999999",
    "2026-13-01T00:00:00Z",
    " inbox",
    "IdOnly",
    "Zg",
    "0x10000",
    "AAA=",
    "1.5",
    "SMTP",
)
_BASE64 = frozenset({"Content", "Data", "XmlData", "BinaryData", "SyncState"})
_NAMES = ("Subject", "ItemId", "Body", "Message", "Mailbox", "FieldURI", "Constant", "Unheard", "Value", "BaseShape")


def _grammar_takes(request: etree._Element) -> tuple[bool, str]:
    try:
        check_request(request)
    except ViolationError as violation:
        return False, violation.text
    return True, ""


def _elements(root: etree._Element) -> list[etree._Element]:
    return [node for node in root.iter() if isinstance(node.tag, str)]


def _below_root(root: etree._Element, chance: random.Random) -> etree._Element | None:
    below = _elements(root)[1:]
    return chance.choice(below) if below else None


def _delete(root: etree._Element, chance: random.Random) -> None:
    node = _below_root(root, chance)
    if node is not None:
        node.getparent().remove(node)  # type: ignore[union-attr]  # below the root


def _duplicate(root: etree._Element, chance: random.Random) -> None:
    node = _below_root(root, chance)
    if node is not None:
        node.addnext(deepcopy(node))


def _reorder(root: etree._Element, chance: random.Random) -> None:
    parents = [node for node in _elements(root) if len(node) > 1]
    if parents:
        parent = chance.choice(parents)
        child = parent[chance.randrange(len(parent))]
        parent.remove(child)
        parent.insert(chance.randrange(len(parent) + 1), child)


def _rename(root: etree._Element, chance: random.Random) -> None:
    node = _below_root(root, chance)
    if node is not None:
        namespace = etree.QName(node).namespace
        node.tag = f"{{{namespace}}}{chance.choice(_NAMES)}"


def _other_namespace(root: etree._Element, chance: random.Random) -> None:
    node = _below_root(root, chance)
    if node is not None:
        name = etree.QName(node)
        namespaces = [uri for uri in root.nsmap.values() if uri != name.namespace]
        node.tag = f"{{{chance.choice([*namespaces, 'urn:x'])}}}{name.localname}"


def _attribute(root: etree._Element, chance: random.Random) -> None:
    holders = [node for node in _elements(root) if node.attrib]
    if holders:
        node = chance.choice(holders)
        name = chance.choice(sorted(map(str, node.attrib)))
        if chance.random() < 0.4:
            del node.attrib[name]
        else:
            node.set(name, chance.choice(_VALUES))


def _new_attribute(root: etree._Element, chance: random.Random) -> None:
    chance.choice(_elements(root)).set(
        chance.choice(("Id", "ChangeKey", "Version", "Unheard", "Order", "BodyType")), "x"
    )


def _text(root: etree._Element, chance: random.Random) -> None:
    node, value = chance.choice(_elements(root)), chance.choice(_VALUES)
    # libxml2 passes over letters that are none of base64's; the standard, and .NET, refuse them.
    node.text = "A" if etree.QName(node).localname in _BASE64 and ":" in value else value


def _transplant(root: etree._Element, chance: random.Random) -> None:
    node, target = _below_root(root, chance), chance.choice(_elements(root))
    if node is not None:
        target.insert(chance.randrange(len(target) + 1), deepcopy(node))


_MUTATIONS: tuple[Callable[[etree._Element, random.Random], None], ...] = (
    _delete, _duplicate, _reorder, _rename, _other_namespace, _attribute, _attribute, _new_attribute, _text, _text,
    _transplant,
)  # fmt: skip


@pytest.mark.parametrize("source", REQUESTS, ids=lambda source: source[3 : source.index(" ")])
def test_requests_are_taken_by_both(source: str) -> None:
    """What mutation starts from is in order."""
    request = etree.fromstring(source)

    assert is_valid(request), reason()
    assert _grammar_takes(request) == (True, "")


@pytest.mark.parametrize("number", range(len(REQUESTS)))
def test_mutated_requests_are_refused_by_both_or_by_none(number: int) -> None:
    """Seeded: the same mutations each time."""
    chance = random.Random(f"mutations of {number}")
    refused = 0

    for _ in range(_MUTATIONS_OF_EACH):
        request = etree.fromstring(REQUESTS[number])
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            chance.choice(_MUTATIONS)(request, chance)
        request = etree.fromstring(etree.tostring(request))
        official = is_valid(request)
        ours, why = _grammar_takes(request)

        assert ours == official, f"{why or reason()}\n{etree.tostring(request).decode()}"
        refused += not official

    assert _MUTATIONS_OF_EACH * 0.3 < refused < _MUTATIONS_OF_EACH


def test_recorded_requests_are_judged_alike() -> None:
    """Requests that real clients sent, and those of the documentation with their mistakes."""
    judged = 0

    for path in sorted((shared() / "ews-recordings").rglob("*.request.xml")):
        try:
            envelope = etree.parse(path).getroot()
        except etree.XMLSyntaxError:
            continue
        for request in filter(is_known, bodies_of(envelope)):
            assert _grammar_takes(request)[0] == is_valid(request), path.name
            judged += 1

    assert judged >= 80


def test_every_type_of_the_grammar_can_be_read_and_leads_to_types_that_are_there() -> None:
    """Types are read when they are first asked for, which must not be when a mistake in one is found."""
    shapes, requests = grammar()

    read = {name: shapes[name] for name in shapes.names}

    assert set(requests.values()) <= set(read)
    assert {kind for shape in read.values() for step in shape.steps for _, kind in step.values()} <= set(read)
