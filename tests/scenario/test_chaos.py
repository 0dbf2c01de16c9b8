"""Short chaos runs with fixed seeds; `tests/run.sh chaos` makes long ones. A seed that once failed stays here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.run import Plan, run

if TYPE_CHECKING:
    from pathlib import Path


_FIGURES = [
    "seed", "mails", "published", "repeated", "lost", "parked", "requests", "sent", "sent_twice", "unknown",
    "without_event", "faults", "seconds",
]  # fmt: skip
"""What the line of JSON holds: others read it."""


@pytest.mark.timeout(400)
def test_nothing_is_lost_doubled_or_silent_when_everything_breaks(tmp_path: Path) -> None:
    figures, problems = run(Plan(1, mails=120, requests=40, seconds=16, hard_delete=False), tmp_path)

    print(figures)
    assert problems == []
    assert list(figures) == _FIGURES


@pytest.mark.timeout(400)
def test_nothing_is_lost_doubled_or_silent_in_a_realistic_world_that_deletes_for_good(tmp_path: Path) -> None:
    figures, problems = run(Plan(3, mails=100, requests=30, seconds=15, hard_delete=True, realistic=True), tmp_path)

    print(figures)
    assert problems == []
