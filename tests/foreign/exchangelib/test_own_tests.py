"""
exchangelib's own tests against a sandbox: each ends as expected.tsv says.

They fail where their source is not to be had; `tests/run.sh` leaves them out and says so where this machine's mirrors
have that of another release.
"""

from __future__ import annotations

import pytest

from tests.foreign.exchangelib.run import FILES, run_tests
from tests.foreign.exchangelib.table import Ends, otherwise, read_table

EXPECTED = read_table()
# One run makes all the results: whichever test comes first waits for it.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ends:
    """How each of them ended."""
    return run_tests(tmp_path_factory.mktemp("exchangelib"))


def _of(ends: Ends, file: str) -> Ends:
    return {name: end for name, end in ends.items() if name.startswith(f"{file}::")}


@pytest.mark.parametrize("file", FILES)
def test_the_tests_of_a_file_end_as_the_table_says(ended: Ends, file: str) -> None:
    assert otherwise(EXPECTED, _of(ended, file)) == []
    assert sorted(_of(EXPECTED, file)) == sorted(_of(ended, file))


def test_the_table_knows_no_other_files() -> None:
    assert {name.partition("::")[0] for name in EXPECTED} == set(FILES)


def test_what_does_not_pass_has_a_reason_of_its_own() -> None:
    # What a run wrote there by itself is the text of an exception.
    raw = ("AssertionError", "exchangelib.errors.", "KeyError", "TypeError", "AttributeError", "ValueError", "Failed:")
    without = [name for name, (end, why) in EXPECTED.items() if end != "passes" and (not why or why.startswith(raw))]
    assert without == []
