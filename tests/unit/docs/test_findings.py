"""The page about what check finds is what the planted faults say."""

from __future__ import annotations

from tests.identity.faults.page import FILE, page


def test_the_page_about_findings_fits_the_planted_faults() -> None:
    assert FILE.read_text("utf-8") == page(), "python -m tests.identity.faults.page --write"
