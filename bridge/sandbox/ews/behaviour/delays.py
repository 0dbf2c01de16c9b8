"""Waits that are spread between two bounds: which one it is depends on what waits, so it is the same each time."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_PARTS: Final = 1 << 32


def spread_seconds(delay: float | Sequence[float], *what: object) -> float:
    """Return how long `what` waits: a delay as it stands, or the point between two bounds that falls to it."""
    if isinstance(delay, (int, float)):
        return float(delay)
    least, most = delay
    digest = hashlib.sha256("\0".join(map(str, what)).encode()).digest()
    return least + (most - least) * int.from_bytes(digest[:4]) / _PARTS
