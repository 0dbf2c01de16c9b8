"""The sabotages still fit the code, and the page says what the list says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.sabotage.page import PAGE, page
from tests.sabotage.sabotages import Sabotage, sabotages

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("sabotage", sabotages(), ids=lambda one: one.fault.means)
def test_every_sabotage_fits_the_code_and_changes_it(sabotage: Sabotage) -> None:
    text = (ROOT / sabotage.fault.file).read_text("utf-8")

    assert sabotage.fault.mutated(text) != text
    assert re.compile(sabotage.seen_as)


def test_the_page_of_sabotages_is_made_of_the_list() -> None:
    assert PAGE.read_text("utf-8") == page(sabotages()), "python -m tests.sabotage --write makes it anew"


def test_a_sabotage_is_seen_by_a_line_that_matches_and_by_no_other() -> None:
    [first, *_] = sabotages()

    assert first.seen_in(["r-1: sent 2 times", "lost: 1 of 1 mails abc of dispatch, gone from the inbox"]) is not None
    assert first.seen_in(["r-1: sent 2 times"]) is None
