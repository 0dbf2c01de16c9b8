"""The page tells what foreign clients found, and nothing else."""

from __future__ import annotations

from tests.foreign.summary import HEADING, PAGE, clients, put_into, section


def test_the_page_says_what_foreign_clients_found() -> None:
    page = PAGE.read_text()
    assert put_into(page) == page, "write it anew: python -m tests.foreign.summary --write"


def test_a_section_is_put_into_its_place_and_others_stay() -> None:
    page = f"# Title\n\n## Before\n\nText.\n\n{HEADING}\n\nOld.\n\n### Old part\n\n## After\n\nMore.\n"
    assert put_into(page) == f"# Title\n\n## Before\n\nText.\n\n{section()}\n## After\n\nMore.\n"
    assert put_into("# Title\n") == f"# Title\n\n{section()}"


def test_each_client_goes_through_fifteen_operations_at_least() -> None:
    assert [one.title for one in clients() if len(one.checks) < 15] == []
