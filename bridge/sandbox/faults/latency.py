"""How long a call waits, by chance: the distributions of latency."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

_DRAWS: Final[Mapping[str, Callable[[Random, float, float], float]]] = {
    "fixed": lambda _dice, seconds, _spread: seconds,
    "uniform": lambda dice, seconds, spread: dice.uniform(seconds - spread, seconds + spread),
    "normal": lambda dice, seconds, spread: dice.normalvariate(seconds, spread),
    # `seconds` is the median: half of the calls wait longer, some of them much longer.
    "lognormal": lambda dice, seconds, spread: seconds * math.exp(min(dice.normalvariate(0, spread), 100)),
    "exponential": lambda dice, seconds, _spread: dice.expovariate(1 / seconds) if seconds else 0.0,
}

DISTRIBUTIONS: Final = tuple(_DRAWS)
"""The first is what is meant where none is named."""


def drawn_latency(given: Mapping[str, Any], dice: Random) -> dict[str, Any]:
    """Return the parameters of one strike: `seconds` as the dice fell, from 0 to `most_seconds`."""
    drawn = _DRAWS[given["distribution"]](dice, given["seconds"], given["spread"])
    return {"seconds": min(max(drawn, 0), given["most_seconds"])}
