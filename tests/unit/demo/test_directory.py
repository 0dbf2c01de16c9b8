"""The demo's directory."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import pytest

from bridge.demo.directory import demo_directory, remove_leftovers

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_directory_is_gone_afterwards() -> None:
    with demo_directory() as directory:
        (directory / "log").write_text("")

    assert not directory.exists()


def test_directory_of_a_running_demo_stays() -> None:
    with demo_directory() as directory:
        assert remove_leftovers() == []

        assert directory.exists()


def test_directory_of_a_killed_demo_is_removed(temporary: Path) -> None:
    left = temporary / "bridge-demo-killed"
    (left / "sandbox").mkdir(parents=True)
    (left / "lock").touch()

    assert remove_leftovers() == [left]

    assert not left.exists()


def test_what_may_not_be_a_demos_stays(temporary: Path) -> None:
    """No lock: another program's, or one that has just been made. A link: somebody's trap."""
    (temporary / "bridge-demo-new").mkdir()
    (temporary / "elsewhere").mkdir()
    (temporary / "elsewhere" / "lock").touch()
    (temporary / "bridge-demo-link").symlink_to(temporary / "elsewhere")

    assert remove_leftovers() == []

    assert (temporary / "elsewhere" / "lock").exists()
