"""The kinds of value that properties have: how each stands in XML, in the bag, and in a restriction's constant."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from bridge.sandbox.ews import xml
from bridge.sandbox.store.properties import to_micros

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import tzinfo


_EARLIEST: Final = to_micros(datetime(1601, 1, 2, tzinfo=UTC))
_LATEST: Final = to_micros(datetime(4500, 9, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value. `read` raises ValueError for a text that is none."""

    read: Callable[[str], Any]
    show: Callable[[Any], str]


def _read_bool(text: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[text.strip().lower()]


def read_time(text: str, default: tzinfo = UTC) -> int:
    """Return an xs:dateTime as the bag keeps times, by `default` without a zone. Finer than microseconds is cut off."""
    found = re.fullmatch(r"([0-9-]{10})T([0-9:]{8})(?:\.([0-9]+))?(Z|[+-][0-9:]{5})?", text.strip())
    if not found:
        raise ValueError("no xs:dateTime")
    day, clock, fraction, zone = found.groups()
    extra = timedelta(0)
    if clock == "24:00:00":
        clock, extra = "00:00:00", timedelta(days=1)
    value = (
        datetime.fromisoformat(f"{day}T{clock}.{(fraction or '')[:6]:0<6}{'+00:00' if zone == 'Z' else zone or ''}")
        + extra
    )
    return to_micros(value if value.tzinfo else value.replace(tzinfo=default))


def read_civil_time(text: str, default: tzinfo = UTC) -> int:
    """Return an xs:dateTime like `read_time`; one that is in no calendar, before 1601 or after 4500, is none."""
    found = read_time(text, default)
    if not _EARLIEST <= found <= _LATEST:
        raise ValueError("out of the calendar's range")
    return found


def _read_binary(text: str) -> str:
    compact = "".join(text.split())
    try:
        b64decode(compact, validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error
    return compact


def _read_guid(text: str) -> str:
    return str(UUID(text.strip()))


def _guarded(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def wrapped(text: str) -> Any:  # noqa: ANN401 - whatever the kind's value is
        try:
            return read(text)
        except (KeyError, OverflowError) as error:
            raise ValueError("no value of this kind") from error

    return wrapped


def _within(bits: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        value = int(text.strip(), 0)
        if not -(2 ** (bits - 1)) <= value < 2**bits:
            raise ValueError("out of range")
        return value if value < 2 ** (bits - 1) else value - 2**bits

    return read


STRING: Final = Kind(str, xml.text)
BOOLEAN: Final = Kind(_guarded(_read_bool), xml.boolean)
INVERTED: Final = Kind(lambda text: not BOOLEAN.read(text), lambda value: xml.boolean(not value))
"""A boolean that the store keeps as its opposite."""
INTEGER: Final = Kind(_within(32), str)
TIME: Final = Kind(_guarded(read_time), xml.moment)
BINARY: Final = Kind(_read_binary, str)
_FLOAT: Final = Kind(lambda text: float(text.strip()), repr)

EXTENDED: Final[Mapping[str, Kind]] = {
    "String": STRING,
    "Boolean": BOOLEAN,
    "Short": Kind(_within(16), str),
    "Integer": INTEGER,
    "Error": INTEGER,
    "Long": Kind(_within(64), str),
    "Currency": Kind(_within(64), str),
    "Float": _FLOAT,
    "Double": _FLOAT,
    "ApplicationTime": _FLOAT,
    "SystemTime": TIME,
    "Binary": BINARY,
    "CLSID": Kind(_read_guid, str),
}


def choice(*names: str) -> Kind:
    """Return the kind of a number that EWS shows as one of these names, counted from 0."""
    numbers = {name: number for number, name in enumerate(names)}
    return Kind(
        _guarded(lambda text: numbers[text.strip()]),
        lambda value: names[value] if 0 <= value < len(names) else names[0],
    )


SENSITIVITY: Final = choice("Normal", "Personal", "Private", "Confidential")
IMPORTANCE: Final = choice("Low", "Normal", "High")
