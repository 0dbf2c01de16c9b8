"""The sandbox's answers against recorded ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.recordings.collection import collection
from tests.recordings.reasons import reason_for, unused
from tests.recordings.replay import AS_RECORDED, Replay, replay_all
from tests.recordings.truth import PAGE, page

if TYPE_CHECKING:
    from pathlib import Path

_ANSWERS, _REQUESTS = 243, 129


@pytest.fixture(scope="module")
def replays(tmp_path_factory: pytest.TempPathFactory) -> list[Replay]:
    """What came of every file."""
    folder: Path = tmp_path_factory.mktemp("recordings")
    return replay_all(folder)


def test_every_file_is_accounted_for(replays: list[Replay]) -> None:
    files = [one.file for one in replays]

    assert files == [one.file for one in collection()]
    assert len(set(files)) == _ANSWERS + _REQUESTS


def test_every_difference_has_a_reason(replays: list[Replay]) -> None:
    without = [
        f"{one.file}: {difference}"
        for one in replays
        for difference in one.found
        if reason_for(one.recording, difference) is None
    ]
    assert without == []


def test_every_reason_still_explains_something(replays: list[Replay]) -> None:
    assert unused((one.recording, difference) for one in replays for difference in one.found) == []


def test_most_answers_are_compared_and_most_of_those_are_equal(replays: list[Replay]) -> None:
    answers = [one for one in replays if not one.recording.is_request and not one.not_compared]

    assert len(answers) >= 230
    assert sum(one.how == AS_RECORDED for one in answers) >= 95
    assert sum(one.same_body for one in answers) >= 155
    assert sum(not one.found for one in answers) >= 105


def test_the_page_says_what_is(replays: list[Replay]) -> None:
    assert PAGE.read_text() == page(replays), "write it anew: python -m tests.recordings.truth --write"
