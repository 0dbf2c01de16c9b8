"""The sandbox's answers against recorded ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.recordings.reasons import reason_for, unused
from tests.recordings.replay import Replay, replay_all
from tests.recordings.truth import PAGE, page

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def replays(tmp_path_factory: pytest.TempPathFactory) -> list[Replay]:
    """What came of every recorded answer."""
    folder: Path = tmp_path_factory.mktemp("recordings")
    return replay_all(folder / "sandbox")


def _lines(replays: list[Replay]) -> list[str]:
    return [f"{one.file}: {difference}" for one in replays for difference in one.found]


def test_every_difference_has_a_reason(replays: list[Replay]) -> None:
    without = [line for line in _lines(replays) if reason_for(*line.split(": ", 1)) is None]
    assert without == []


def test_every_reason_still_explains_something(replays: list[Replay]) -> None:
    assert unused(_lines(replays)) == []


def test_most_answers_of_known_operations_are_compared(replays: list[Replay]) -> None:
    assert sum(not one.not_compared for one in replays) >= 160


def test_the_page_says_what_is(replays: list[Replay]) -> None:
    assert PAGE.read_text() == page(replays), "write it anew: python -m tests.recordings.truth --write"
