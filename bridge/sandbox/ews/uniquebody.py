"""
What a mail says and no earlier mail of its conversation: its body without the quotation that Outlook put below it.

A quotation is what stands below a block of lines like `From: ...`, `Sent: ...`, `To: ...` and begins as an earlier mail
of the conversation does that is in the mailbox. Mails of clients that quote in another way are unique as a whole, as
users of Exchange Online report of Gmail's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.sandbox.store import conversations, items, mime
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lxml import etree

    from bridge.sandbox.ews.htmlbody import Document
    from bridge.sandbox.ews.view import View

    Element = etree._Element  # noqa: SLF001 - the only name that it has

_HEADING: Final = re.compile(r"\s*[^\W\d_][^:\r\n]{0,30}:(?:\s|$)")
_SEPARATOR: Final = re.compile(r"\s*(?:_{5,}|-{2,}.{0,60}-{2,})?\s*")
_LEAST_HEADING: Final = 3
_COMPARED: Final = 200
_MOST_EARLIER: Final = 20
_LARGEST_EARLIER: Final = 1 << 20
_BREAKS: Final = frozenset((
    "address", "article", "aside", "blockquote", "br", "center", "dd", "div", "dl", "dt", "fieldset", "figure",
    "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre",
    "section", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
))  # fmt: skip


@dataclass(slots=True)
class _WaitQueue:
    """A line of a document as it is shown, and where its first letter stands."""

    parts: list[str]
    element: Element
    in_tail: bool


def unique_text(view: View, text: str) -> str:
    """Return the part of a text body that is the mail's own."""
    lines = text.splitlines(keepends=True)
    cut = _cut(lines, view)
    return text if cut is None else "".join(lines[:cut])


def unique_html(view: View, document: Document) -> str:
    """Return the part of an HTML body that is the mail's own, as a fragment in an html and a body of its own."""
    lines = _lines_of(document.body)
    cut = _cut(["".join(line.parts) for line in lines], view)
    if cut is not None:
        _cut_off(document.body, lines[cut])
        _tidy_end(document.body)
    inner = document.inner().strip("\r\n")
    return f"<html><body><div>\r\n{inner}</div>\r\n</body></html>" if inner else "<html><body></body></html>"


def _cut(lines: Sequence[str], view: View) -> int | None:
    """Return the number of the line that a quotation begins with, separator and heading included."""
    headings = _headings(lines)
    if not headings:
        return None
    earlier = _earlier(view)
    for begin, end in headings:
        quoted = ""
        for line in lines[end:]:
            quoted += _letters(line)
            if len(quoted) >= _COMPARED:
                break
        if any(quoted.startswith(one) for one in earlier):
            while begin and _SEPARATOR.fullmatch(lines[begin - 1]):
                begin -= 1  # noqa: PLW2901 - up to where the mail's own words end
            return begin
    return None


def _headings(lines: Sequence[str]) -> list[tuple[int, int]]:
    """Return where blocks of lines that look like headers begin and end; blank lines between them count for nothing."""
    found: list[tuple[int, int]] = []
    begin, named, last = 0, 0, 0
    for number, line in enumerate([*lines, "end"]):
        if _HEADING.match(line):
            begin = number if not named else begin
            named, last = named + 1, number + 1
        elif line.strip():
            if named >= _LEAST_HEADING:
                found.append((begin, last))
            named = 0
    return found


def _earlier(view: View) -> list[str]:
    """Return how the earlier mails of the conversation begin, those that say anything."""
    bag = view.item.bag
    if view.raw is not None:
        return []
    topic = str(bag.get(p.CONVERSATION_TOPIC, "")).lower()
    rows = [
        row
        for folder in conversations.folders_of(view.db, view.mailbox.id, topic)
        for row in conversations.members(
            view.db, view.mailbox.id, topic, folder, items.COLUMNS,
            condition="id <> ? AND coalesce(received, 0) <= ?",
            parameters=(view.item.id, int(bag.get(p.DELIVERY_TIME) or items.now_micros())),
        )
    ]  # fmt: skip
    mails = [one for one in map(items.item_of, rows) if int(one.bag.get(p.MESSAGE_SIZE, 0)) <= _LARGEST_EARLIER]
    mails.sort(key=lambda one: int(one.bag.get(p.DELIVERY_TIME, 0)), reverse=True)
    texts: list[str] = []
    for one in mails[:_MOST_EARLIER]:
        text, html = type(view)(view.db, view.mailbox, one).bodies()
        texts.extend(_letters(found)[:_COMPARED] for found in (text, mime.text_from_html(html or "")) if found)
    return [text for text in texts if text]


def _letters(text: str) -> str:
    return "".join(text.split())


def _lines_of(body: Element) -> list[_WaitQueue]:
    lines: list[_WaitQueue] = []
    fresh = True

    def add(text: str | None, element: Element, *, in_tail: bool) -> None:
        nonlocal fresh
        if text and (text.strip() or not fresh):
            if fresh:
                lines.append(_WaitQueue([text], element, in_tail))
                fresh = False
            else:
                lines[-1].parts.append(text)

    # Not by recursion: a hostile mail nests as deep as the parser allows.
    stack: list[tuple[Element, bool]] = [(body, False)]
    while stack:
        element, left = stack.pop()
        fresh = fresh or element.tag in _BREAKS
        if left:
            add(element.tail, element, in_tail=True)
            continue
        if element is not body:
            stack.append((element, True))
        if element.tag not in {"style", "script"}:
            add(element.text, element, in_tail=False)
            stack.extend((child, False) for child in reversed(element))
    return lines


def _cut_off(body: Element, line: _WaitQueue) -> None:
    """Take away all that stands in a document from the beginning of a line on."""
    element = line.element
    if not line.in_tail:
        element.text = None
        del element[:]
    while element is not body and (parent := element.getparent()) is not None:
        element.tail = None
        del parent[parent.index(element) + 1 :]
        element = parent


def _tidy_end(body: Element) -> None:
    """Take away what divided the quotation from the mail's own words: rules, and elements that are empty now."""
    while len(body):
        last = body[-1]
        while len(last) and not (last.tail or "").strip():
            last = last[-1]
        if (last.tail or "").strip() or (last.text or "").strip() or last.tag in {"img", "input", "td", "th"}:
            return
        parent = last.getparent()
        if parent is None:
            return
        del parent[-1]
