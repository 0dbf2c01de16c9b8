"""What a single term of a QueryString asks of a mail, by the property before its colon."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.ews.operands import item_operand, of_uri, persons_name
from bridge.sandbox.ews.restrictions import any_of
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.searching import DATA

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class TermError(ValueError):
    """A query is not understood; the message says why, in words that hold nothing of a mail."""


@dataclass(frozen=True, slots=True)
class Term:
    """One term: its text, how it is to be found, the moment of the search, and where parameters of the SQL go."""

    text: str
    mode: str
    now: datetime
    parameters: list[Any]


def anywhere(term: Term) -> str:
    """Return the condition that a word stands in any of the properties that are searched by words."""
    return "(" + " OR ".join(about(term) for about in _SEARCHED) + ")"


def _words(*expressions: str) -> Callable[[Term], str]:
    def condition(term: Term) -> str:
        parts = []
        for expression in expressions:
            parts.append(f"contains({expression}, ?, ?, 'IgnoreCase')")
            term.parameters.extend([term.text, term.mode])
        return "(" + " OR ".join(parts) + ")"

    return condition


def _people(*keys: str) -> Callable[[Term], str]:
    def condition(term: Term) -> str:
        parts = []
        for key in keys:
            sides = (f"contains(json_extract(value, '$[{at}]'), ?, ?, 'IgnoreCase')" for at in (0, 1))
            parts.append(any_of(key, " OR ".join(sides)))
            term.parameters.extend([term.text, term.mode] * 2)
        return "(" + " OR ".join(parts) + ")"

    return condition


def _category(term: Term) -> str:
    term.parameters.extend([term.text, term.mode])
    return any_of(p.KEYWORDS, "contains(value, ?, ?, 'IgnoreCase')")


def _truth(expression: str) -> Callable[[Term], str]:
    def condition(term: Term) -> str:
        wanted = {"true": 1, "yes": 1, "false": 0, "no": 0}.get(term.text.lower())
        if wanted is None:
            raise TermError("neither true nor false")
        term.parameters.append(wanted)
        return f"(({expression}) = ?)"

    return condition


def _importance(term: Term) -> str:
    wanted = {"low": 0, "normal": 1, "high": 2}.get(term.text.lower())
    if wanted is None:
        raise TermError("no importance")
    term.parameters.append(wanted)
    return f"({item_operand(of_uri('item:Importance'))} = ?)"


_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "email": ("ipm.note", "report.ipm.note"),
    "meetings": ("ipm.schedule.meeting", "ipm.appointment"),
    "tasks": ("ipm.task",),
    "notes": ("ipm.stickynote",),
    "docs": ("ipm.document",),
    "journals": ("ipm.activity",),
    "contacts": ("ipm.contact", "ipm.distlist"),
    "voicemail": ("ipm.note.microsoft.voicemail", "ipm.note.microsoft.missed.voice"),
    "faxes": ("ipm.note.microsoft.fax",),
    "posts": ("ipm.post",),
    "rssfeeds": ("ipm.post.rss",),
    "im": ("ipm.note.microsoft.conversation",),
}


def _kind(term: Term) -> str:
    name = term.text.lower()
    starts = _KINDS.get(name) or _KINDS.get(name + "s") or {"mail": _KINDS["email"]}.get(name)
    if starts is None:
        raise TermError("no kind of item")
    item_class = f"lower({item_operand(of_uri('item:ItemClass'))})"
    parts = []
    for start in starts:
        parts.append(f"({item_class} = ? OR {item_class} GLOB ?)")
        term.parameters.extend([start, start + ".*"])
    return "(" + " OR ".join(parts) + ")"


_NUMBER: Final = re.compile(r"(\d{1,9})(b|kb|mb|gb)?", re.IGNORECASE)
_UNITS: Final = {"": 1, "b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}


def _size(term: Term) -> str:
    def bounds(text: str) -> tuple[int, int]:
        found = _NUMBER.fullmatch(text)
        if found is None:
            raise TermError("no size")
        value = int(found[1]) * _UNITS[(found[2] or "").lower()]
        return value, value + 1

    return _range(item_operand(of_uri("item:Size")), bounds, term)


def _time(expression: str) -> Callable[[Term], str]:
    def condition(term: Term) -> str:
        def bounds(text: str) -> tuple[int, int]:
            first, last = _period(text, term.now)
            return p.to_micros(first), p.to_micros(last)

        return _range(expression, bounds, term)

    return condition


def _range(expression: str, bounds: Callable[[str], tuple[int, int]], term: Term) -> str:
    """Return the condition that a value lies where `>=x`, `x..y` and their like say; a bound spans from, up to."""
    first, dots, last = term.text.partition("..")
    if dots:
        term.parameters.extend([bounds(first)[0], bounds(last)[1]])
        return f"({expression} >= ? AND {expression} < ?)"
    found = re.match(r"(>=|<=|>|<|=)?\s*(.*)", term.text, re.DOTALL)
    sign, start_end = (found[1] or "=", bounds(found[2])) if found else ("=", bounds(term.text))
    if sign == "=":
        term.parameters.extend(start_end)
        return f"({expression} >= ? AND {expression} < ?)"
    at = {">=": start_end[0], "<": start_end[0], ">": start_end[1], "<=": start_end[1]}[sign]
    term.parameters.append(at)
    return f"({expression} {'>=' if sign[0] == '>' else '<'} ?)"


def _period(text: str, now: datetime) -> tuple[datetime, datetime]:
    """Return when a date, a moment or a named period begins, and when it is over; days are those of UTC."""
    lowered = " ".join(text.lower().split())
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    named = _named_period(lowered, today)
    if named is not None:
        return named
    try:
        if found := re.fullmatch(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})", lowered):
            day = datetime(int(found[1]), int(found[2]), int(found[3]), tzinfo=UTC)
        elif found := re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})", lowered):
            day = datetime(int(found[3]), int(found[1]), int(found[2]), tzinfo=UTC)
        elif "t" in lowered:
            moment = datetime.fromisoformat(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return moment, moment + timedelta(seconds=1)
        else:
            raise TermError("no date")
        return day, day + timedelta(days=1)
    except (ValueError, OverflowError) as error:
        raise TermError("no date") from error


def _named_period(name: str, today: datetime) -> tuple[datetime, datetime] | None:
    day, week = timedelta(days=1), today - timedelta(days=(today.weekday() + 1) % 7)
    month, year = today.replace(day=1), today.replace(month=1, day=1)
    last_month = (month - day).replace(day=1)
    return {
        "today": (today, today + day),
        "yesterday": (today - day, today),
        "this week": (week, week + 7 * day),
        "last week": (week - 7 * day, week),
        "this month": (month, (month + 31 * day).replace(day=1)),
        "last month": (last_month, month),
        "this year": (year, year.replace(year=year.year + 1)),
        "last year": (year.replace(year=year.year - 1), year),
    }.get(name)


def _of(uri: str) -> str:
    return item_operand(of_uri(uri))


_SENDER: Final = of_uri("message:From")
_from: Final = _words(str(persons_name(_SENDER)), item_operand(_SENDER))
_subject: Final = _words(_of("item:Subject"))
_body: Final = _words(_of("item:Body"))
_attachment: Final = _words(
    f"attachment_names({DATA})",
    "(SELECT group_concat(json_extract(a.props, '$.name'), char(10)) FROM attachments AS a WHERE a.item = items.id)",
)
_to, _cc, _bcc = (_people(key) for key in (p.RECIPIENTS_TO, p.RECIPIENTS_CC, p.RECIPIENTS_BCC))
# What has to be read from the mail itself comes last.
_SEARCHED: Final = (
    _subject,
    _from,
    _people(p.RECIPIENTS_TO, p.RECIPIENTS_CC, p.RECIPIENTS_BCC),
    _category,
    _body,
    _attachment,
)

PROPERTIES: Final[Mapping[str, Callable[[Term], str]]] = {
    "subject": _subject,
    "body": _body,
    "content": _body,
    "attachment": _attachment,
    "attachments": _attachment,
    "from": _from,
    "to": _to,
    "cc": _cc,
    "bcc": _bcc,
    "participants": _people(p.RECIPIENTS_TO, p.RECIPIENTS_CC, p.RECIPIENTS_BCC),
    "category": _category,
    "importance": _importance,
    "kind": _kind,
    "received": _time("received"),
    "sent": _time(_of("item:DateTimeSent")),
    "size": _size,
    "hasattachment": _truth(_of("item:HasAttachments")),
    "hasattachments": _truth(_of("item:HasAttachments")),
    "isread": _truth("1 - unread"),
    "isflagged": _truth(f"coalesce({_of('item:Flag')}, 0) = 2"),
}
"""What each property asks, by its name in small letters."""
