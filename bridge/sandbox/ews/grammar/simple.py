"""Kinds of text in attributes and elements: each tells why a text is not of its kind, in the words of .NET's reader."""

from __future__ import annotations

import binascii
import contextlib
import re
from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews.grammar.fields import field_uris
from bridge.sandbox.ews.grammar.words import ENUMERATIONS, LISTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Simple = Callable[[str], str | None]
    """Returns None for a text of the kind, else the reason why it is none."""

_SPACES = " \t\r\n"
_YEAR = r"-?(?!0000)(?:[1-9][0-9]{3,}|0[0-9]{3})"
_DATE_TIME: Final = re.compile(
    _YEAR + r"-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12][0-9]|3[01])T"
    r"(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?|24:00:00(?:\.0+)?)"
    r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))?"
)
_OFFSET = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))?"
_DATE: Final = re.compile(_YEAR + r"-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12][0-9]|3[01])" + _OFFSET)
_TIME: Final = re.compile(r"(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?|24:00:00(?:\.0+)?)" + _OFFSET)
_DURATION: Final = re.compile(
    r"-?P(?=.)(?:[0-9]+Y)?(?:[0-9]+M)?(?:[0-9]+D)?(?:T(?=.)(?:[0-9]+H)?(?:[0-9]+M)?(?:[0-9]+(?:\.[0-9]*)?S)?)?"
)
_DOUBLE: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|-?INF|NaN")
_BASE64_END: Final = re.compile("(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?")
_NO_SPACES: Final = str.maketrans("", "", _SPACES)
_ENUMERATION = "The Enumeration constraint failed."
_PATTERN = "The Pattern constraint failed."


def _string(_text: str) -> None:
    return None


def _non_empty(text: str) -> str | None:
    return None if text else "The actual length is less than the MinLength value."


def _boolean(text: str) -> str | None:
    return (
        None
        if text.strip(_SPACES) in ("true", "false", "1", "0")
        else f"The string '{text}' is not a valid Boolean value."
    )


def _whole(lowest: int, highest: int, name: str) -> Simple:
    def check(text: str) -> str | None:
        digits = text.strip(_SPACES)
        if re.fullmatch(r"[+-]?[0-9]{1,40}", digits) and lowest <= int(digits) <= highest:
            return None
        return f"The string '{text}' is not a valid {name} value."

    return check


def _date_time(text: str) -> str | None:
    found = _DATE_TIME.fullmatch(text.strip(_SPACES))
    if found and int(found["day"]) <= _days(text.strip(_SPACES), int(found["month"])):
        return None
    return f"The string '{text}' is not a valid DateTime value."


def _days(text: str, month: int) -> int:
    year = int(text[: text.index("-", 1)])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


def _date(text: str) -> str | None:
    found = _DATE.fullmatch(text.strip(_SPACES))
    if found and int(found["day"]) <= _days(text.strip(_SPACES), int(found["month"])):
        return None
    return f"The string '{text}' is not a valid Date value."


def _clock(text: str) -> str | None:
    return None if _TIME.fullmatch(text.strip(_SPACES)) else f"The string '{text}' is not a valid Time value."


def _duration(text: str) -> str | None:
    return None if _DURATION.fullmatch(text.strip(_SPACES)) else f"The string '{text}' is not a valid TimeSpan value."


def _double(text: str) -> str | None:
    return None if _DOUBLE.fullmatch(text.strip(_SPACES)) else f"The string '{text}' is not a valid Double value."


def _base64(text: str) -> str | None:
    compact = text.translate(_NO_SPACES) if any(space in text for space in _SPACES) else text
    with contextlib.suppress(ValueError):
        binascii.a2b_base64(compact, strict_mode=True)
        # The bits that the padding leaves over must be zero, which Python does not look at.
        if _BASE64_END.fullmatch(compact[-4:]):
            return None
    return f"The string '{text[:100]}' is not a valid Base64Binary value."


def _pattern(pattern: str) -> Simple:
    compiled = re.compile(pattern)
    return lambda text: None if compiled.fullmatch(text) else _PATTERN


def _language(text: str) -> str | None:
    return None if re.fullmatch("[a-zA-Z]{1,8}(?:-[a-zA-Z0-9]{1,8})*", text.strip(_SPACES)) else _PATTERN


def _property_tag(text: str) -> str | None:
    number = text.strip(_SPACES)
    if re.fullmatch(r"\+?[0-9]{1,20}", number) and int(number) <= 0xFFFF:
        return None
    return None if re.fullmatch("0[xX][0-9A-Fa-f]{1,4}", text) else _PATTERN


def _reminder_minutes(text: str) -> str | None:
    digits = text.strip(_SPACES)
    if re.fullmatch("[+-]?[0-9]{1,12}", digits) and (0 <= int(digits) <= 2629800 or int(digits) == 1525252321):
        return None
    return f"The string '{text}' is not a valid Int32 value."


def _enumeration(names: frozenset[str]) -> Simple:
    return lambda text: None if text in names else _ENUMERATION


def _list(names: frozenset[str]) -> Simple:
    return lambda text: None if names.issuperset(text.split()) else _ENUMERATION


def _named(text: str, kind: Callable[[frozenset[str]], Simple]) -> dict[str, Simple]:
    found: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        head, colon, rest = line.partition(" : ")
        if colon:
            name = head
        found.setdefault(name, []).extend((rest if colon else line).split())
    return {name: kind(frozenset(values)) for name, values in found.items() if name}


SIMPLE: Final[Mapping[str, Simple]] = {
    "string": _string,
    "ItemClass": _string,
    "NonEmptyString": _non_empty,
    "boolean": _boolean,
    "short": _whole(-(2**15), 2**15 - 1, "Int16"),
    "int": _whole(-(2**31), 2**31 - 1, "Int32"),
    "long": _whole(-(2**63), 2**63 - 1, "Int64"),
    "unsignedInt": _whole(0, 2**32 - 1, "UInt32"),
    "MaxSyncChangesReturned": _whole(1, 512, "Int32"),
    "SubscriptionTimeout": _whole(1, 1440, "Int32"),
    "SubscriptionStatusFrequency": _whole(1, 1440, "Int32"),
    "StreamingSubscriptionConnectionTimeout": _whole(1, 30, "Int32"),
    "nonNegativeInteger": _whole(0, 10**40, "NonNegativeInteger"),
    "dateTime": _date_time,
    "date": _date,
    "time": _clock,
    "duration": _duration,
    "double": _double,
    "base64Binary": _base64,
    "language": _language,
    "XmlLanguage": lambda text: None if text == "" else _language(text),
    "Guid": _pattern("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
    "Bitmask": _pattern("0[xX][0-9A-Fa-f]*|[0-9]*"),
    "PropertyTag": _property_tag,
    "ReminderMinutesBeforeStart": _reminder_minutes,
    "UnindexedFieldURI": _enumeration(field_uris()),
    **_named(ENUMERATIONS, _enumeration),
    **_named(LISTS, _list),
}
