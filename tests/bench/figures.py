"""The lines of the table: what was measured, beside whom, and what was asked for."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Figure:
    """
    One line of the table.

    `at_least` and `aim` are in times the naive bridge where `asked` says "times", otherwise in the figure's own unit.
    """

    name: str
    figure: float | None
    unit: str
    naive: float | None
    ratio: float | None
    at_least: float
    aim: float | None
    ok: bool
    asked: str = field(default="", kw_only=True)

    @classmethod
    def times(
        cls, name: str, figure: float, unit: str, *, naive: float, ratio: float, at_least: float, aim: float | None
    ) -> Self:
        """Return a figure that is judged by how many times better than the naive bridge's it is."""
        return cls(name, figure, unit, naive, ratio, at_least, aim, ratio >= at_least, asked=f"{at_least:g} times")

    @classmethod
    def at_most(
        cls,
        name: str,
        figure: float,
        unit: str,
        most: float,
        *,
        aim: float | None = None,
        naive: float | None = None,
        ratio: float | None = None,
    ) -> Self:
        """Return a figure that is good when it is small; the ratio says how many times less than naive."""
        if ratio is None and naive is not None and figure > 0:
            ratio = naive / figure
        return cls(name, figure, unit, naive, ratio, most, aim, figure <= most, asked=f"<= {most:g}")

    @classmethod
    def no_less(
        cls,
        name: str,
        figure: float,
        unit: str,
        least: float,
        *,
        aim: float | None = None,
        naive: float | None = None,
        ratio: float | None = None,
    ) -> Self:
        """Return a figure that is good when it is large; the ratio says how many times more than naive."""
        if ratio is None and naive:
            ratio = figure / naive
        return cls(name, figure, unit, naive, ratio, least, aim, figure >= least, asked=f">= {least:g}")

    @classmethod
    def not_measured(cls, name: str, reason: str, bound: float, *, aim: float | None = None) -> Self:
        """Return a line that owns up to being empty; it counts as missed."""
        return cls(name, None, f"not measured: {reason}", None, None, bound, aim, ok=False, asked=f"<= {bound:g}")

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` has of it."""
        names = ("name", "figure", "unit", "naive", "ratio", "at_least", "aim", "ok")
        return {name: getattr(self, name) for name in names}


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a table in Markdown."""
    lines = ["| name | bridge | unit | naive | ratio | asked | aim | ok |", "|" + " --- |" * 8]
    lines += [
        f"| {f.name} | {_number(f.figure)} | {f.unit} | {_number(f.naive)} | {_number(f.ratio)} "
        f"| {f.asked} | {'' if f.aim is None else f'{f.aim:g}'} | {'yes' if f.ok else 'NO'} |"
        for f in figures
    ]
    return "\n".join(lines)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of the values does not exceed: one that was measured."""
    if not values:
        raise ValueError("nothing was measured")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def median_ratio(larger: Sequence[float], smaller: Sequence[float]) -> float:
    """Return the median of the ratios of runs that followed each other, so that a machine's mood takes no part."""
    return statistics.median(a / b for a, b in zip(larger, smaller, strict=True))


def most_within(times: Sequence[float], seconds: float) -> int:
    """Return how many of the moments lie within any stretch of so many seconds, its end left out."""
    ordered, first, most = sorted(times), 0, 0
    for last, moment in enumerate(ordered):
        while moment - ordered[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 1_000 else f"{value:.3g}" if value < 1 else f"{value:.1f}"
