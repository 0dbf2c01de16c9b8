"""The pages name tests, files and other pages that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from bridge.sandbox.ews.operations import OPERATIONS
from bridge.wire.event_v1 import EventName

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_every_test_that_the_guarantees_name_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "guarantees.md").read_text("utf-8")))
    there = {
        name
        for file in (ROOT / "tests").rglob("*.py")
        for name in re.findall(r"def (test_\w+)", file.read_text("utf-8"))
    }

    assert named
    assert named - there == set()


def test_every_row_of_the_guarantees_names_a_test_or_says_that_there_is_none() -> None:
    rows = [
        line
        for line in (ROOT / "docs" / "guarantees.md").read_text("utf-8").splitlines()
        if line.startswith("| ") and not line.startswith(("| what ", "| where ", "| ---"))
    ]

    assert rows
    assert [row for row in rows if not re.search(r"`test_\w+`|no test yet", row.split("|")[3])] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8"))

    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_the_sandbox_s_page_tells_the_state_of_every_operation() -> None:
    text = (ROOT / "docs" / "sandbox.md").read_text("utf-8")
    rows = text.partition("\n## Operations\n")[2].partition("\n## ")[0]

    assert [name for name in OPERATIONS if not re.search(rf"^\|[^|]*\b{name}\b[^|]*\|", rows, re.MULTILINE)] == []


def test_the_readme_names_every_event_by_its_whole_name() -> None:
    text = (ROOT / "README.md").read_text("utf-8")

    assert [name for name in get_args(EventName) if f"`{name}`" not in text] == []


def test_every_file_that_the_architecture_names_exists() -> None:
    named = re.findall(r"`?([a-z_*]+/[a-z_*/]+\.py)`?", (ROOT / "docs" / "architecture.md").read_text("utf-8"))

    assert named
    assert [name for name in named if not list((ROOT / "bridge").glob(name))] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_of_deploy_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(r"(?<![\w/-])deploy/[\w./-]*\w", page.read_text("utf-8"))

    assert [name for name in named if not (ROOT / name).exists()] == []


def test_nothing_tells_to_install_a_name_that_is_published_nowhere() -> None:
    """Whoever took the name at a registry would run on the machines of all who followed."""
    name = re.search(r'^name = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert name is not None
    files = [*PAGES, *(file for part in ("bridge", "deploy", "docs/examples") for file in (ROOT / part).rglob("*.*"))]
    files = [file for file in files if file.suffix != ".pyc"]  # compiled from a source that may have changed since

    told = re.compile(rf"pip install [^\n]*{re.escape(name[1])}")
    assert [name_of(file) for file in files if file.is_file() and told.search(file.read_text("utf-8", "replace"))] == []
