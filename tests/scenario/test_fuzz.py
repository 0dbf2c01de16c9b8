"""Hostile mail through Exchange, a worker and the broker; `tests/run.sh fuzz` is the long form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fuzz.run import Plan, run

if TYPE_CHECKING:
    from pathlib import Path


def test_hostile_mail_arrives_with_its_bytes_or_is_parked_and_no_worker_dies(tmp_path: Path) -> None:
    figures, problems = run(Plan(seed=4, mails=200, full_size=1_000_000), tmp_path)

    assert problems == [], figures
    assert figures["arrived"] + figures["parked"] == figures["mails"] == 200


def test_hostile_mail_in_a_realistic_world_says_what_it_said_or_is_parked(tmp_path: Path) -> None:
    """Its MIME is made anew, at each reading."""
    figures, problems = run(Plan(seed=5, mails=100, full_size=300_000, realistic=True), tmp_path)

    assert problems == [], figures
    assert figures["arrived"] + figures["parked"] == figures["mails"] == 100
