"""Collects what is found wrong while a mail is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.domain.defects import Defect


class Defects:
    """Collects codes, each once, in the order in which they were first seen."""

    __slots__ = ("_codes",)

    def __init__(self) -> None:
        self._codes: dict[Defect, None] = {}

    def add(self, code: Defect) -> None:
        """Note one; a repetition changes nothing."""
        self._codes[code] = None

    def codes(self) -> tuple[Defect, ...]:
        """Return what was noted."""
        return tuple(self._codes)
