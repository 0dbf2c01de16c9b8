"""A newcomer who follows CONTRIBUTING.md finds every file that it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = ("CONTRIBUTING.md", "docs/glossary.md")
_PATH = re.compile(r"`([A-Za-z_.][\w.-]*(?:/[\w.-]*)+|[\w-]+\.(?:md|toml))`")


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_the_page_names_exists(page: str) -> None:
    named = _PATH.findall((ROOT / page).read_text("utf-8"))

    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_class_and_function_that_the_page_speaks_of_is_in_a_file_that_it_names() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    code = "".join(
        (ROOT / name).read_text("utf-8") for name in set(_PATH.findall(text)) if name.endswith((".py", ".toml"))
    )

    spoken = set(re.findall(r"`([A-Z][a-z]+[A-Za-z]*|ok|doubtful|wrong|failed|skipped|until)`", text))
    assert {"PublishReceipt", "Clock", "MailboxSettings", "TokenSource", "Event", "BrokerConnected"} <= spoken
    defined = set(re.findall(r"(?:class|def) (\w+)|^(\w+) = ", code, re.MULTILINE))
    assert spoken - {name for pair in defined for name in pair} == set()
