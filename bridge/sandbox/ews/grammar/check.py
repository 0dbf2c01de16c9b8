"""Checks a request against the grammar and says what is wrong with it as Exchange says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

from bridge.sandbox.ews.grammar.language import MESSAGES_NAMESPACE, TYPES_NAMESPACE, grammar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.sandbox.ews.grammar.language import Shape

_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
_NIL = _XSI + "nil"
_XSI_ALLOWED = frozenset({_XSI + "schemaLocation", _XSI + "noNamespaceSchemaLocation", _XSI + "type"})


class ViolationError(Exception):
    """A request is not as the grammar wants it. `text` is Exchange's wording."""

    def __init__(self, text: str, line: int = 0) -> None:
        """Hold the wording and the line of the element."""
        super().__init__(text)
        self.text = text
        self.line = line


def is_known(request: etree._Element) -> bool:
    """Return whether the grammar knows a request element of this name."""
    return request.tag in grammar()[1]


def check_request(request: etree._Element) -> None:
    """
    Check a request element, the child of the SOAP body.

    Raises:
        ViolationError: It is not as the grammar wants it.
        KeyError: The grammar knows no such request.
    """
    shapes, requests = grammar()
    _check(request, shapes[requests[str(request.tag)]])


def check_header(element: etree._Element) -> None:
    """
    Check a SOAP header block that the grammar knows by name; others pass.

    Raises:
        ViolationError: It is not as the grammar wants it.
    """
    name = etree.QName(element)
    if name.namespace == TYPES_NAMESPACE and name.localname in ("RequestServerVersion", "ExchangeImpersonation"):
        _check(element, grammar()[0][name.localname])


def _check(root: etree._Element, shape: Shape) -> None:
    shapes = grammar()[0]
    waiting = [(root, shape)]
    while waiting:
        element, shape = waiting.pop()
        if shape.anything:
            continue
        if element.attrib or shape.required:
            _check_attributes(element, shape)
        if shape.nillable and element.get(_NIL, "").strip() in ("true", "1"):
            _check_empty(element)
            continue
        if shape.text is not None:
            _check_text(element, shape.text[0], shape)
            continue
        waiting.extend((child, shapes[kind]) for child, kind in reversed(_children(element, shape)))


def _check_attributes(element: etree._Element, shape: Shape) -> None:
    if len(element.attrib) > len(shape.attributes) + len(_XSI_ALLOWED):
        # Too many to be all declared. The parser looks for each value from the first attribute on: 200,000 of them
        # would take minutes, their names alone do not.
        undeclared = next(str(one) for one in element.attrib if one not in shape.attributes and one not in _XSI_ALLOWED)
        raise ViolationError(f"The '{etree.QName(undeclared).localname}' attribute is not declared.", _line(element))
    for raw_name, raw_value in element.attrib.items():
        name, value = str(raw_name), str(raw_value)
        if name in _XSI_ALLOWED:
            continue
        if name == _NIL and shape.nillable and value.strip() in ("true", "false", "1", "0"):
            continue
        if name not in shape.attributes:
            raise ViolationError(f"The '{etree.QName(name).localname}' attribute is not declared.", _line(element))
        kind, check = shape.attributes[name]
        reason = check(value)
        if reason is not None:
            raise ViolationError(
                f"The '{name}' attribute is invalid - The value '{value}' is invalid according to its datatype "
                f"'{_datatype(kind)}' - {reason}",
                _line(element),
            )
    for name in shape.required:
        if name not in element.attrib:
            raise ViolationError(f"The required attribute '{name}' is missing.", _line(element))


def _check_empty(element: etree._Element) -> None:
    if len(element) or element.text:
        raise ViolationError(
            f"Element '{etree.QName(element).localname}' must have no character or element children.", _line(element)
        )


def _check_text(element: etree._Element, kind: str, shape: Shape) -> None:
    for child in element:
        if isinstance(child.tag, str):
            raise ViolationError(
                f"The element {_shown(str(element.tag))} cannot contain child element {_shown(child.tag)} because "
                "the parent element's content model is text only.",
                _line(child),
            )
    text = element.text or ""
    if len(element):
        text += "".join(child.tail or "" for child in element)
    reason = shape.text[1](text) if shape.text else None
    if reason is not None:
        name = etree.QName(element)
        raise ViolationError(
            f"The '{name.namespace}:{name.localname}' element is invalid - The value '{text[:200]}' is invalid "
            f"according to its datatype '{_datatype(kind)}' - {reason}",
            _line(element),
        )


def _children(element: etree._Element, shape: Shape) -> list[tuple[etree._Element, str]]:
    found: list[tuple[etree._Element, str]] = []
    state = 0
    _check_no_text(element, element.text, shape, state)
    for child in element:
        if isinstance(child.tag, str):
            step = shape.steps[state].get(child.tag)
            if step is None:
                raise ViolationError(
                    f"The element {_shown(str(element.tag))} has invalid child element {_shown(child.tag)}."
                    + _expected(shape.steps[state]),
                    _line(child),
                )
            state, kind = step
            found.append((child, kind))
        _check_no_text(element, child.tail, shape, state)
    if state not in shape.accepting:
        raise ViolationError(
            f"The element {_shown(str(element.tag))} has incomplete content." + _expected(shape.steps[state]),
            _line(element),
        )
    return found


def _check_no_text(element: etree._Element, text: str | None, shape: Shape, state: int) -> None:
    if text and text.strip(" \t\r\n"):
        raise ViolationError(
            f"The element {_shown(str(element.tag))} cannot contain text." + _expected(shape.steps[state]),
            _line(element),
        )


def _line(element: etree._Element) -> int:
    return int(getattr(element, "sourceline", None) or 0)


def _shown(tag: str) -> str:
    name = etree.QName(tag)
    return f"'{name.localname}' in namespace '{name.namespace}'" if name.namespace else f"'{name.localname}'"


def _expected(tags: Iterable[str]) -> str:
    by_namespace: dict[str, list[str]] = {}
    for tag in sorted(tags):
        name = etree.QName(tag)
        by_namespace.setdefault(name.namespace or "", []).append(name.localname)
    if not by_namespace:
        return ""
    listed = " as well as ".join(
        f"'{', '.join(names)}' in namespace '{space}'" for space, names in by_namespace.items()
    )
    return f" List of possible elements expected: {listed}."


def _datatype(kind: str) -> str:
    if kind[0].islower():
        return f"http://www.w3.org/2001/XMLSchema:{kind}"
    suffix = "Attribute" if kind == "Bitmask" else ""
    return f"{TYPES_NAMESPACE}:{'Excludes' if suffix else kind}{suffix}Type"


__all__ = ["MESSAGES_NAMESPACE", "TYPES_NAMESPACE", "ViolationError", "check_header", "check_request", "is_known"]
