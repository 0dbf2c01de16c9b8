"""
`python -m tests.chaos --seed 7 --mails 1000 --requests 200`: break everything at random, then account for all.

The only line of standard output is one line of JSON. The exit code is 0 when everything adds up.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import Plan, run

_SHOWN = 30


def main() -> int:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(prog="tests/run.sh chaos", description="Break everything, lose nothing.")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 31))
    parser.add_argument("--mails", type=int, default=1_000)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--seconds", type=float, help="how long there is trouble; a second for each 40 mails or so")
    parser.add_argument("--hard-delete", action="store_true", help="published mails are destroyed, not kept anywhere")
    parser.add_argument("--realistic", action="store_true", help="in a world as unkind as Exchange's (docs/sandbox.md)")
    parser.add_argument("--only", action="append", default=[], metavar="TROUBLE", help="no other trouble; repeatable")
    parser.add_argument("--keep", type=Path, help="a directory in which everything stays, to look at")
    given = parser.parse_args()
    seconds = given.seconds or max(30.0, given.mails / 40, given.requests / 8)
    sys.stderr.write(f"seed {given.seed}\n")
    with tempfile.TemporaryDirectory(prefix="chaos-") as scratch:
        directory = given.keep or Path(scratch)
        plan = Plan(
            given.seed,
            given.mails,
            given.requests,
            seconds,
            only=frozenset(given.only),
            hard_delete=given.hard_delete,
            realistic=given.realistic,
        )
        directory.mkdir(parents=True, exist_ok=True)
        figures, problems = run(plan, directory)
    for problem in problems[:_SHOWN]:
        sys.stderr.write(problem + "\n")
    if len(problems) > _SHOWN:
        sys.stderr.write(f"and {len(problems) - _SHOWN} more\n")
    print(json.dumps(figures))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
