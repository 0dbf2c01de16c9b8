"""Where two EWS answers differ in form: elements, their order, attributes, and what is said about success."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lxml import etree

if TYPE_CHECKING:
    from collections.abc import Iterator

# Texts that are part of the protocol; all others are somebody's data.
_PROTOCOL: Final = frozenset({
    "ResponseCode", "MessageText", "Message", "faultcode", "faultstring", "DescriptiveLinkKey", "RoutingType",
    "FolderClass", "ItemClass",
})  # fmt: skip
_LONGEST: Final = 60
_PROTOCOL_ATTRIBUTES: Final = frozenset({"ResponseClass", "BodyType", "Format"})


def differences(recorded: etree._Element, given: etree._Element) -> list[str]:
    """Return what `given` has otherwise than `recorded`, each difference once, by the names on the way to it."""
    name = _name(recorded)
    boring = f"{name}/ResponseMessages/{name}Message"
    return list(dict.fromkeys(one.replace(boring, name) for one in _differences(recorded, given, name)))


def _differences(recorded: etree._Element, given: etree._Element, path: str) -> Iterator[str]:
    yield from _attributes(recorded, given, path)
    if _name(recorded) in _PROTOCOL and _text(recorded) != _text(given):
        yield f"{path}: “{_cut(_text(given))}”, not “{_cut(_text(recorded))}”"
    ours, theirs = _children(given), _children(recorded)
    names = list(dict.fromkeys([*theirs, *ours]))
    for name in names:
        if name not in ours:
            yield f"{path} has no {name}"
        elif name not in theirs:
            yield f"{path} has {name} too"
        else:
            for one, other in zip(theirs[name], ours[name], strict=False):
                yield from _differences(one, other, f"{path}/{name}")
    both = [name for name in theirs if name in ours]
    if both != [name for name in ours if name in theirs]:
        yield f"{path}: other order of {' '.join(both)}"


def _attributes(recorded: etree._Element, given: etree._Element, path: str) -> Iterator[str]:
    theirs, ours = _attribute_names(recorded), _attribute_names(given)
    for name in sorted(theirs - ours):
        yield f"{path} has no attribute {name}"
    for name in sorted(ours - theirs):
        yield f"{path} has the attribute {name} too"
    for name in sorted(theirs & ours & _PROTOCOL_ATTRIBUTES):
        if recorded.get(name) != given.get(name):
            yield f"{path}: {name} is {given.get(name)}, not {recorded.get(name)}"


def _children(node: etree._Element) -> dict[str, list[etree._Element]]:
    found: dict[str, list[etree._Element]] = {}
    for child in node:
        if isinstance(child.tag, str):
            found.setdefault(_name(child), []).append(child)
    return found


def _attribute_names(node: etree._Element) -> set[str]:
    return {str(name) for name in node.attrib if not str(name).startswith("{")}


def _name(node: etree._Element) -> str:
    return etree.QName(node).localname


def _text(node: etree._Element) -> str:
    text = " ".join((node.text or "").split())
    # The prefix of a fault's code is anybody's choice.
    return text.rpartition(":")[2] if _name(node) == "faultcode" else text


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
