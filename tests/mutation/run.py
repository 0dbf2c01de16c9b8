"""Puts one fault after the other into a copy of the tree, and sees whether the tests notice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from tests.mutation.faults import DriftedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.mutation.faults import Fault

_ROOT = Path(__file__).resolve().parents[2]
_COPIED = ("bridge", "tests", "schemas", "docs", "deploy", "pyproject.toml", "README.md", "CHANGELOG.md")
_LONGEST_SECONDS = 300.0
_ALL_TOGETHER_SECONDS = 1_800.0
_TEST_SECONDS = 25
"""A test that a fault makes wait for ever has noticed it, too."""
_ALL_PASSED, _SOME_FAILED = 0, 1


class UnusableError(Exception):
    """The tests say nothing about the fault: they fail without it, or did not run."""


class EndlessError(UnusableError):
    """The tests do not end."""


@dataclass
class Result:
    """What became of one fault."""

    fault: Fault
    caught_by: list[str] = field(default_factory=list)
    missed_by: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def caught(self) -> bool:
        """Whether every test that is named for the fault failed."""
        return bool(self.caught_by) and not self.missed_by


def run(faults: Sequence[Fault], scratch: Path) -> list[Result]:
    """
    Try each fault in a copy of the tree below `scratch`.

    Raises:
        DriftedError: The code has moved on from a fault.
        UnusableError: The tests themselves do not work.
    """
    tree = scratch / "tree"
    copy_tree(tree)
    for fault in faults:  # first of all: nothing is run where one of them has drifted
        fault.mutated((tree / fault.file).read_text("utf-8"))
    prove_to_be_tested(tree)
    named = sorted({test for fault in faults for test in fault.tests})
    failed = _failing(tree, named, scratch / "before.xml", within=_ALL_TOGETHER_SECONDS)
    if failed:
        raise UnusableError(f"these fail without any fault: {', '.join(sorted(failed))}")
    results = []
    for fault in faults:
        begun = time.monotonic()
        result = Result(fault)
        original = (tree / fault.file).read_bytes()
        fault.apply(tree)
        try:
            for test in fault.tests:  # one by one: each ends with the first parameters that make it fail
                try:
                    failed = _failing(tree, [test], scratch / "with.xml", "-x")
                except EndlessError:  # it waits where no time-out of pytest reaches it
                    failed = {test}
                (result.caught_by if failed else result.missed_by).append(test)
        finally:
            (tree / fault.file).write_bytes(original)
        result.seconds = time.monotonic() - begun
        results.append(result)
        verdict = "caught by" if result.caught else "NOT CAUGHT by"
        names = ", ".join(_name(test) for test in (result.missed_by or result.caught_by))
        sys.stderr.write(f"{fault.number:3} {fault.means}: {verdict} {names} ({result.seconds:.1f} s)\n")
    return results


def copy_tree(tree: Path) -> None:
    """Copy all that the tests need into a new tree."""
    for name in _COPIED:
        source, target = _ROOT / name, tree / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "node_modules", ".*"))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def environment_of(tree: Path) -> dict[str, str]:
    """Return the surroundings of a process that imports the copy."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    return {**kept, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}


def prove_to_be_tested(tree: Path) -> None:
    """
    See that it is the copy that the tests import.

    Raises:
        UnusableError: It is another bridge: no fault could be noticed.
    """
    where = subprocess.run(
        [sys.executable, "-c", "import bridge; print(bridge.__file__)"],
        cwd=tree,
        env=environment_of(tree),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    if not Path(where).is_relative_to(tree.resolve()):
        raise UnusableError(f"the tests would import {where}")


def _failing(
    tree: Path, tests: Sequence[str], report: Path, *options: str, within: float = _LONGEST_SECONDS
) -> set[str]:
    """
    Return the names of the tests that failed, whichever parameters it was with.

    Raises:
        EndlessError: They do not end in time.
        UnusableError: They could not be run.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--timeout={_TEST_SECONDS}"]
    try:
        ended = subprocess.run(
            [*command, *options, f"--junitxml={report}", *tests],
            cwd=tree,
            env=environment_of(tree),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=within,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EndlessError(f"no end within {within:.0f} s: {', '.join(tests)}") from error
    if ended.returncode not in {_ALL_PASSED, _SOME_FAILED}:
        raise UnusableError(f"pytest ended with {ended.returncode}:\n{ended.stdout[-2_000:]}")
    failed, ran = set(), set()
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 - pytest's own
        name = str(case.get("name")).partition("[")[0]
        ran.add(name)
        if case.find("failure") is not None:  # an error of a fixture is no test that noticed
            failed.add(name)
    if missing := {_name(test) for test in tests} - ran:
        raise UnusableError(f"these were not run: {', '.join(sorted(missing))}")
    return failed


def _name(test: str) -> str:
    return test.rpartition("::")[2]


__all__ = ["DriftedError", "Result", "UnusableError", "copy_tree", "environment_of", "prove_to_be_tested", "run"]
