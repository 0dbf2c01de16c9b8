"""How long calls wait by chance."""

from __future__ import annotations

import statistics
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from bridge.sandbox.faults.errors import FaultRuleError
from bridge.sandbox.faults.kinds import read_fault
from bridge.sandbox.faults.latency import drawn_latency
from bridge.sandbox.faults.rules import Call, FaultBook

if TYPE_CHECKING:
    from pathlib import Path

_CALLS = 4000


def _drawn(**given: Any) -> list[float]:
    _, parameters = read_fault({"kind": "latency", **given})
    dice = Random(7)
    return [drawn_latency(parameters, dice)["seconds"] for _ in range(_CALLS)]


def test_without_a_distribution_every_call_waits_alike() -> None:
    assert set(_drawn(seconds=2)) == {2}


def test_uniform_is_within_its_half_width_and_reaches_it() -> None:
    drawn = _drawn(seconds=2, distribution="uniform", spread=0.5)

    assert (min(drawn), max(drawn)) == pytest.approx((1.5, 2.5), abs=0.01)
    assert statistics.fmean(drawn) == pytest.approx(2, abs=0.05)


def test_normal_has_its_mean_and_its_deviation() -> None:
    drawn = _drawn(seconds=5, distribution="normal", spread=0.5)

    assert statistics.fmean(drawn) == pytest.approx(5, abs=0.05)
    assert statistics.stdev(drawn) == pytest.approx(0.5, abs=0.05)


def test_lognormal_has_its_median_and_a_long_tail() -> None:
    drawn = _drawn(seconds=1, distribution="lognormal", spread=1)

    assert statistics.median(drawn) == pytest.approx(1, abs=0.1)
    assert max(drawn) > 10


def test_exponential_has_its_mean() -> None:
    assert statistics.fmean(_drawn(seconds=3, distribution="exponential")) == pytest.approx(3, abs=0.2)


@pytest.mark.parametrize("distribution", ["uniform", "normal", "lognormal", "exponential"])
def test_no_call_waits_less_than_nothing_or_more_than_the_most(distribution: str) -> None:
    drawn = _drawn(seconds=1, distribution=distribution, spread=50, most_seconds=2)

    assert (min(drawn) >= 0, max(drawn)) == (True, 2 if distribution != "exponential" else pytest.approx(2))


@pytest.mark.parametrize("distribution", ["uniform", "normal", "lognormal", "exponential"])
def test_a_mean_of_nothing_is_no_error(distribution: str) -> None:
    assert set(_drawn(seconds=0, distribution=distribution)) == {0}


def test_an_unknown_distribution_is_refused_with_the_known_ones() -> None:
    with pytest.raises(FaultRuleError, match="fixed, uniform, normal, lognormal, exponential"):
        read_fault({"kind": "latency", "seconds": 1, "distribution": "pareto"})


def test_the_same_seed_makes_the_same_waits_also_after_a_kill(tmp_path: Path) -> None:
    latency = {"kind": "latency", "seconds": 1, "distribution": "normal", "spread": 0.3}

    def waits(book: FaultBook, calls: int) -> list[float]:
        return [book.begin(Call("GetItem")).before[0].parameters["seconds"] for _ in range(calls)]

    book = FaultBook(tmp_path / "whole.json")
    book.put([{"fault": latency, "seed": 5}])
    whole = waits(book, 6)
    FaultBook(tmp_path / "killed.json").put([{"fault": latency, "seed": 5}])
    first = waits(FaultBook(tmp_path / "killed.json"), 4)
    second = waits(FaultBook(tmp_path / "killed.json"), 2)

    assert first + second == whole
    assert len(set(whole)) == 6
