"""
`python -m tests.soak --minutes 30 --seed 7`: steady traffic and mild faults, and nothing may grow with time.

The only line of standard output is one line of JSON. The exit code is 0 when everything adds up and all is flat.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
from pathlib import Path

from tests.soak.run import Plan, run

_SHOWN = 30


def main() -> int:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(prog="tests/run.sh soak", description="Run for long, and grow not at all.")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 31))
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--keep", type=Path, help="a directory in which everything stays, to look at")
    parser.add_argument("--realistic", action="store_true", help="in a world as unkind as Exchange's (docs/sandbox.md)")
    given = parser.parse_args()
    sys.stderr.write(f"seed {given.seed}\n")
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch:
        directory = given.keep or Path(scratch)
        directory.mkdir(parents=True, exist_ok=True)
        figures, problems = run(Plan(given.seed, given.minutes * 60, realistic=given.realistic), directory)
    for problem in problems[:_SHOWN]:
        sys.stderr.write(problem + "\n")
    if len(problems) > _SHOWN:
        sys.stderr.write(f"and {len(problems) - _SHOWN} more\n")
    print(json.dumps(figures))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
