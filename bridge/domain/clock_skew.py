"""How wrong a machine's clock may be, by what the other side says the time is."""

from __future__ import annotations

from typing import Final

DOUBTFUL_SECONDS: Final = 30.0
"""Less is what the answer takes on its way, and whole seconds."""
WRONG_SECONDS: Final = 300.0
"""Entra allows so much in what a client signs."""
_UNSEEN_SECONDS: Final = 2.0


def words(ahead_seconds: float) -> str:
    """Return in words how Entra's clock stands to this machine's."""
    if abs(ahead_seconds) < _UNSEEN_SECONDS:
        return "they agree"
    return f"Entra's is {abs(ahead_seconds):.0f} s {'ahead' if ahead_seconds > 0 else 'behind'}"
