"""Calls that nobody waits for: what is looked at by the clock, to find what nothing told of."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_unhurried: ContextVar[bool] = ContextVar("unhurried", default=False)


@contextlib.contextmanager
def unhurried() -> Iterator[None]:
    """Let calls made within wait a moment for others of their kind, so that very many need few connections."""
    kept = _unhurried.set(True)
    try:
        yield
    finally:
        _unhurried.reset(kept)


def is_unhurried() -> bool:
    """Whether nobody waits for what is called now."""
    return _unhurried.get()
