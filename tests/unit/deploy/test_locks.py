"""The lock files hold what pyproject.toml asks for, and a worker's holds no more."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
WORKER = PROJECT["project"]["dependencies"] + EXTRAS["blobs"]
SANDBOX = WORKER + EXTRAS["sandbox"]
BUILD = PROJECT["build-system"]["requires"]
LOCKS = {"requirements.txt": WORKER, "requirements-sandbox.txt": SANDBOX, "requirements-build.txt": BUILD}


def pinned(lock: str) -> dict[str, str]:
    text = (ROOT / "deploy" / lock).read_text("utf-8")
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", text, re.MULTILINE))


def needed(requirements: list[str], *, anywhere: bool) -> set[str]:
    """Return the names of what these requirements bring, here or, with `anywhere`, on any system."""
    seen, todo = set[tuple[str, frozenset[str]]](), [(Requirement(text), "") for text in requirements]
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker is not None:
            here = requirement.marker.evaluate({"extra": extra})
            for_an_extra = "extra ==" in str(requirement.marker)
            if not here and (for_an_extra or not anywhere):
                continue
        name = canonicalize_name(requirement.name)
        try:
            brought = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            brought = []  # for another system
        if (once := (name, frozenset(requirement.extras))) not in seen:
            seen.add(once)
            todo += [(Requirement(text), one) for text in brought for one in ("", *requirement.extras)]
    return {name for name, _ in seen}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_the_project_asks_for_and_nothing_else(lock: str) -> None:
    names = set(pinned(lock))

    assert needed(LOCKS[lock], anywhere=False) - names == set()
    assert names - needed(LOCKS[lock], anywhere=True) == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_versions_that_the_project_allows(lock: str) -> None:
    versions = pinned(lock)
    asked = [Requirement(text) for text in LOCKS[lock]]

    assert [str(one) for one in asked if versions[canonicalize_name(one.name)] not in one.specifier] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_a_hash_for_each_package_and_names_no_place_to_have_them_from(lock: str) -> None:
    text = (ROOT / "deploy" / lock).read_text("utf-8")
    entries = re.split(r"^(?=\S)", re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE), flags=re.MULTILINE)[1:]

    assert len(entries) == len(pinned(lock))
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text
    assert "index" not in text


def test_a_worker_installs_neither_the_sandbox_s_servers_nor_a_build_backend() -> None:
    worker = set(pinned("requirements.txt"))

    assert worker & {"aiosmtpd", "hatchling"} == set()
    assert worker < set(pinned("requirements-sandbox.txt"))


def test_workers_sandbox_and_tests_run_on_the_same_versions() -> None:
    tests = re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / "tests/requirements.txt").read_text("utf-8"), re.MULTILINE)

    for lock in LOCKS:
        assert pinned(lock).items() - set(tests) == set()
