"""What a person should see to, though nothing may have failed yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Concern:
    """One thing, by its code."""

    code: str
    detail: str
    stops_mail: bool = False
    """Whether mail does not pass for it."""


def in_words(concerns: Sequence[Concern]) -> str:
    """Return the details of several; the first one's code is told beside it."""
    worst, *others = concerns
    return "; ".join([worst.detail, *(f"{one.code}: {one.detail}" for one in others)])
