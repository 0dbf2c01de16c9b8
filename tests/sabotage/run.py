"""Puts one sabotage after the other into a copy of the tree, and sees whether chaos notices, whatever the seed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.mutation.run import UnusableError, copy_tree, environment_of, prove_to_be_tested

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.sabotage.sabotages import Sabotage, Setting

_LONGEST_SECONDS = 1200.0
_FINE, _PROBLEMS = 0, 1


@dataclass(frozen=True, slots=True)
class Size:
    """How much happens in each run."""

    mails: int
    requests: int
    seconds: float
    realistic: bool = False
    """Whether Exchange is as unkind as the real one is (docs/sandbox.md)."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one sabotage with one seed."""

    sabotage: Sabotage
    seed: int
    line: str | None
    """What the account said of it; None where it said nothing of the kind."""


def run(chosen: Sequence[Sabotage], seeds: Sequence[int], scratch: Path, size: Size) -> list[Result]:
    """
    Try each sabotage with each seed in a copy of the tree below `scratch`.

    Raises:
        DriftedError: The code has moved on from a sabotage.
        UnusableError: Chaos finds something without any sabotage, or does not run.
    """
    tree = scratch / "tree"
    copy_tree(tree)
    for one in chosen:
        one.fault.mutated((tree / one.fault.file).read_text("utf-8"))
    prove_to_be_tested(tree)
    for setting in dict.fromkeys(one.setting for one in chosen):
        if problems := chaos(tree, setting, seeds[0], size):
            raise UnusableError(f"without any sabotage, {setting}: {problems}")
        sys.stderr.write(f"without any sabotage, {setting}: nothing\n")
    results = []
    for one in chosen:
        path = tree / one.fault.file
        original = path.read_bytes()
        one.fault.apply(tree)
        try:
            for seed in seeds:
                begun = time.monotonic()
                problems = chaos(tree, one.setting, seed, size)
                result = Result(one, seed, one.seen_in(problems))
                results.append(result)
                said = f"seen: {result.line}" if result.line else f"NOT SEEN among {problems}"
                seconds = time.monotonic() - begun
                sys.stderr.write(f"{one.fault.number:3} {one.fault.means}, seed {seed}: {said} ({seconds:.0f} s)\n")
        finally:
            path.write_bytes(original)
    return results


def chaos(tree: Path, setting: Setting, seed: int, size: Size) -> list[str]:
    """
    Return what the account of a run with the bridge of a tree finds.

    Raises:
        UnusableError: There was no account.
    """
    keep = tree.parent / "kept"
    shutil.rmtree(keep, ignore_errors=True)
    command = [sys.executable, "-m", "tests.chaos", f"--seed={seed}", f"--keep={keep}", f"--mails={size.mails}"]
    command += [f"--requests={size.requests}", f"--seconds={size.seconds}"]
    command += ["--realistic"] if size.realistic else []
    command += ["--hard-delete"] if setting.hard_delete else []
    command += [f"--only={what}" for what in setting.only]
    ended = subprocess.run(
        command,
        cwd=tree,
        env=environment_of(tree),
        capture_output=True,
        text=True,
        timeout=_LONGEST_SECONDS,
        check=False,
    )
    told = keep / "problems.txt"
    problems = told.read_text("utf-8").splitlines() if told.exists() else []
    if not told.exists() or ended.returncode != (_PROBLEMS if problems else _FINE):
        raise UnusableError(f"chaos ended with {ended.returncode}:\n{ended.stderr[-2_000:]}")
    return problems
