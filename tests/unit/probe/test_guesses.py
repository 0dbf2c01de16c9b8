"""The list of guesses in the documentation and what the probe knows are in step."""

from __future__ import annotations

import re
from pathlib import Path

from bridge.probe.by_hand import BY_HAND
from bridge.probe.guesses import STEPS
from bridge.probe.page import PAGE, page
from bridge.probe.run import numbers

_GUESSES = Path(__file__).parents[3] / "docs" / "sandbox-guesses.md"


def test_every_guess_has_a_step_or_a_reason_why_only_a_person_can_check_it() -> None:
    listed = [int(number) for number in re.findall(r"^(\d+)\. ", _GUESSES.read_text("utf-8"), re.MULTILINE)]

    assert listed == list(range(1, len(listed) + 1))
    assert numbers() == listed
    assert STEPS.keys() & BY_HAND.keys() == set()


def test_the_page_lists_what_the_probe_does() -> None:
    """`python -m bridge.probe.page` writes it anew."""
    assert page(PAGE.read_text("utf-8")) == PAGE.read_text("utf-8")


def test_what_is_assumed_and_why_it_is_left_to_people_is_plain_words() -> None:
    words = [step.assumes for step in STEPS.values()] + [word for pair in BY_HAND.values() for word in pair]

    assert [word for word in words if not word.strip() or "@" in word or "\n" in word] == []
