"""
`python -m tests.fuzz --seed 7 --mails 100000`: hostile mail through the whole bridge, then the account.

The only line of standard output is one line of JSON. The exit code is 0 when each mail arrived with its bytes (in a
realistic world with what it says), or was parked because it is larger than the broker carries.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
from pathlib import Path

from tests.fuzz.classes import CLASSES
from tests.fuzz.run import Plan, run

_SHOWN = 30


def main() -> int:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(prog="tests/run.sh fuzz", description="Send what nobody should, lose nothing.")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 31))
    parser.add_argument("--mails", type=int, default=20_000)
    parser.add_argument("--full-size", type=int, default=6_000_000, help="bytes of the largest mail of each class")
    parser.add_argument("--giant", type=int, default=0, help="bytes of one more mail, such as 30000000")
    parser.add_argument("--giant-class", choices=CLASSES, default="", help="its class; otherwise the seed chooses")
    parser.add_argument("--realistic", action="store_true", help="in a world as unkind as Exchange's (docs/sandbox.md)")
    parser.add_argument("--keep", type=Path, help="a directory in which everything stays, to look at")
    given = parser.parse_args()
    sys.stderr.write(f"seed {given.seed}\n")
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        directory = given.keep or Path(scratch)
        directory.mkdir(parents=True, exist_ok=True)
        figures, problems = run(
            Plan(given.seed, given.mails, given.full_size, given.giant, given.giant_class, given.realistic), directory
        )
    for problem in problems[:_SHOWN]:
        sys.stderr.write(problem + "\n")
    if len(problems) > _SHOWN:
        sys.stderr.write(f"and {len(problems) - _SHOWN} more\n")
    print(json.dumps(figures))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
