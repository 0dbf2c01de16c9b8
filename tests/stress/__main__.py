"""
`python -m tests.stress --clients 50 --seconds 300 --kill-every 20`: stress a sandbox, kill it, and account for all.

The last line of standard output is one line of JSON. The exit code is 0 when everything adds up.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
from pathlib import Path

from tests.stress.run import Plan, Run

_SHOWN = 30


def main() -> int:
    """Run as the command line says; the seed is printed first, and again in the figures."""
    parser = argparse.ArgumentParser(prog="tests/run.sh stress", description="Stress a sandbox that is killed.")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 31))
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--kill-every", type=float, default=20.0, help="0: never")
    parser.add_argument("--keep", type=Path, help="a directory in which the sandbox and its file stay")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    plan = Plan(given.seed, given.clients, given.seconds, given.kill_every)
    with tempfile.TemporaryDirectory(prefix="stress-") as scratch:
        run = Run(plan, (given.keep or Path(scratch)) / "sandbox")
        figures = run.do()
    for problem in run.journal.problems[:_SHOWN]:
        print(problem, file=sys.stderr)
    print(json.dumps(figures))
    return 1 if figures["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
