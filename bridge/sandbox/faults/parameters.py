"""What a kind of fault wants to know: one value each, with its check, its words and its default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_REQUIRED: Final = object()
_LONGEST_TEXT: Final = 200


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value that a kind takes."""

    check: Callable[[Any], bool]
    wanted: str
    default: Any = _REQUIRED
    choices: tuple[str, ...] = ()
    """All that it may be, where that is a few names."""

    @property
    def required(self) -> bool:
        """Return whether a rule must give the value."""
        return self.default is _REQUIRED


def _is_number(value: Any) -> bool:  # noqa: ANN401 - a value out of JSON
    return isinstance(value, int | float) and not isinstance(value, bool)


def number(lowest: float, highest: float, default: Any = _REQUIRED) -> Parameter:  # noqa: ANN401 - or the mark of none
    """Return a parameter that is any number between two, both included."""
    return Parameter(
        lambda value: _is_number(value) and lowest <= value <= highest,
        f"a number from {lowest} to {highest}",
        default,
    )


def seconds(default: Any = _REQUIRED) -> Parameter:  # noqa: ANN401 - likewise
    """Return a parameter that is a time of up to a day."""
    return number(0, 86_400, default)


def whole(lowest: int, highest: int, default: Any = _REQUIRED, *, none: bool = False) -> Parameter:  # noqa: ANN401
    """Return a parameter that is a whole number; with `none`, or a default of None, null will do as well."""
    nullable = none or default is None

    def check(value: Any) -> bool:  # noqa: ANN401 - a value out of JSON
        return (nullable and value is None) or (type(value) is int and lowest <= value <= highest)

    wanted = f"a whole number from {lowest} to {highest}" + (", or null for none" if nullable else "")
    return Parameter(check, wanted, default)


def fraction(default: float) -> Parameter:
    """Return a parameter that is a share of the whole, but not all of it."""
    return Parameter(lambda value: _is_number(value) and 0 <= value < 1, "a number from 0 to below 1", default)


def response_code() -> Parameter:
    """Return a parameter that is one of Exchange's response codes, known to us or not."""

    def check(value: Any) -> bool:  # noqa: ANN401 - a value out of JSON
        return isinstance(value, str) and value.isascii() and value.isalnum() and value.startswith("Error")

    return Parameter(check, "a response code such as ErrorItemCorrupt")


def one_of(*names: str) -> Parameter:
    """Return a parameter that is one of some names, the first of them where none is given."""
    return Parameter(
        lambda value: isinstance(value, str) and value in names, "one of " + ", ".join(names), names[0], names
    )


def header_text(default: str) -> Parameter:
    """Return a parameter that is the value of an HTTP header, which it cannot end."""

    def check(value: Any) -> bool:  # noqa: ANN401 - a value out of JSON
        return (
            isinstance(value, str)
            and 0 < len(value) <= _LONGEST_TEXT
            and all(" " <= character <= "~" for character in value)
        )

    return Parameter(check, f"printable ASCII of 1 to {_LONGEST_TEXT} characters", default)
