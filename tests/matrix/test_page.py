"""The page of the crash matrix says what is executed."""

from __future__ import annotations

from tests.matrix import page


def test_the_page_fits_the_cells() -> None:
    assert page.PAGE.read_text() == page.text()
