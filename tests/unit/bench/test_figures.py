"""The arithmetic of the table: a benchmark that counts wrongly is worse than none."""

from __future__ import annotations

import pytest

from tests.bench.figures import Figure, median_ratio, most_within, percentile, table


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 150.0), (0.99, 297.0), (1.0, 300.0), (0.0, 1.0)], ids=["p50", "p99", "most", "least"]
)
def test_percentile_is_the_value_that_so_many_do_not_exceed(share: float, expected: float) -> None:
    assert percentile([float(value) for value in reversed(range(1, 301))], share) == expected


def test_percentile_of_few_is_their_worst_and_of_none_an_error() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.99) == 3.0
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


def test_ratio_is_that_of_neighbours_and_not_of_the_medians() -> None:
    """The machine was slow in the second half; for both."""
    assert median_ratio([100.0, 100.0, 10.0], [10.0, 10.0, 1.0]) == 10.0
    with pytest.raises(ValueError, match="shorter"):
        median_ratio([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("times", "most"),
    [
        ([0.0, 59.9, 60.0, 60.1], 3),
        ([0.0, 60.0, 120.0], 1),
        ([5.0, 1.0, 3.0], 3),
        ([], 0),
    ],
    ids=["across a minute's end", "just apart", "unsorted", "none"],
)
def test_most_within_a_minute_is_found_wherever_the_minute_begins(times: list[float], most: int) -> None:
    assert most_within(times, 60.0) == most


def test_figures_are_judged_by_what_is_asked_and_not_by_the_aim() -> None:
    judged = [
        Figure.times("a", 30.0, "mails/s", naive=1.0, ratio=30.0, at_least=30, aim=60),
        Figure.times("b", 90.0, "mails/s", naive=3.0, ratio=29.9, at_least=30, aim=60),
        Figure.at_most("c", 1.5, "ms", 1.5, aim=0.8, naive=6.0),
        Figure.at_most("d", 1.6, "ms", 1.5, aim=0.8),
        Figure.no_less("e", 25.0, "mails/s", 25, aim=60, naive=5.0),
        Figure.no_less("f", 24.9, "mails/s", 25, aim=60),
    ]

    assert [figure.ok for figure in judged] == [True, False, True, False, True, False]
    assert [figure.ratio for figure in judged] == [30.0, 29.9, 4.0, None, 5.0, None]


def test_what_was_not_measured_counts_as_missed_and_says_why() -> None:
    figure = Figure.not_measured("large", "this bridge has no blob store", 375, aim=64)

    assert not figure.ok
    assert figure.as_json() == {
        "name": "large",
        "figure": None,
        "unit": "not measured: this bridge has no blob store",
        "naive": None,
        "ratio": None,
        "at_least": 375,
        "aim": 64,
        "ok": False,
    }


def test_table_has_a_cell_of_each_line_for_each_column() -> None:
    lines = table([
        Figure.at_most("idle", 0.0, "connections", 10),
        Figure.not_measured("large", "no blob store", 375),
        Figure.no_less("egress", 1234.5, "mails/s", 25, aim=60, naive=0.5),
    ]).splitlines()  # fmt: skip

    assert {line.count("|") for line in lines} == {9}
    assert lines[2] == "| idle | 0 | connections |  |  | <= 10 |  | yes |"
    assert lines[4] == "| egress | 1234 | mails/s | 0.5 | 2469 | >= 25 | 60 | yes |"
