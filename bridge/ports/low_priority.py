"""Calls that nobody waits for: what is looked at by the clock, to find what nothing told of."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class LowPriority:
    """How a call waits for others."""

    until: asyncio.Event | None = None
    """Set when somebody waits for it after all."""


_low_priority: ContextVar[LowPriority | None] = ContextVar("low_priority", default=None)


@contextlib.contextmanager
def low_priority(until: asyncio.Event | None = None) -> Iterator[None]:
    """Let calls made within wait for others of their kind, so that very many need few connections."""
    kept = _low_priority.set(LowPriority(until))
    try:
        yield
    finally:
        _low_priority.reset(kept)


def low_priority_of() -> LowPriority | None:
    """Return how a call that is made now waits for others; None where somebody waits for it."""
    return _low_priority.get()
