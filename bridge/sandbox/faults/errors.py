"""Refusals of fault rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class FaultRuleError(ValueError):
    """A rule that makes no sense: which key, why, and what is known in its place."""

    def __init__(self, key: str, reason: str, known: Iterable[str] = ()) -> None:
        """Refuse `key`; `known` lists what would have been understood."""
        super().__init__(f"{key} {reason}")
        self.key = key
        self.known = sorted(known)
