"""
`python -m tests.sabotage [--seeds 3] [--realistic] [NUMBER...]`: sabotage the bridge, see whether chaos tells.

The only line of standard output is one line of JSON. The exit code is 0 when each was seen with each seed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.mutation.faults import DriftedError
from tests.mutation.run import UnusableError
from tests.sabotage.page import PAGE, page
from tests.sabotage.run import Size, run
from tests.sabotage.sabotages import sabotages

_UNUSABLE = 2


def main() -> int:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(prog="tests/run.sh sabotage", description="Sabotage the bridge; see chaos notice.")
    parser.add_argument("numbers", type=int, nargs="*", metavar="NUMBER", help="of docs/sabotages.md; all by default")
    parser.add_argument("--seeds", type=int, default=1, help="with how many seeds each is tried")
    parser.add_argument("--mails", type=int, default=100)
    parser.add_argument("--requests", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=15.0, help="how long there is trouble in each run")
    parser.add_argument("--realistic", action="store_true", help="in a world as unkind as Exchange's (docs/sandbox.md)")
    parser.add_argument("--write", action="store_true", help="write docs/sabotages.md anew and run nothing")
    given = parser.parse_args()
    every = sabotages()
    if given.write:
        PAGE.write_text(page(every), "utf-8")
        return 0
    if unknown := set(given.numbers) - {one.fault.number for one in every}:
        parser.error(f"no such sabotage: {', '.join(map(str, sorted(unknown)))} (there are 1 to {len(every)})")
    chosen = [one for one in every if not given.numbers or one.fault.number in given.numbers]
    if given.realistic:
        chosen = [one for one in chosen if not one.ordinary_only]
    begun = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="sabotage-") as scratch:
            size = Size(given.mails, given.requests, given.seconds, given.realistic)
            results = run(chosen, range(1, given.seeds + 1), Path(scratch), size)
    except (DriftedError, UnusableError) as error:
        sys.stderr.write(f"{error}\n")
        return _UNUSABLE
    missed = sorted({result.sabotage.fault.number for result in results if result.line is None})
    figures = {
        "sabotages": len(chosen),
        "seen": len(chosen) - len(missed),
        "missed": missed,
        "runs": len(results),
        "seconds": round(time.monotonic() - begun, 1),
    }
    print(json.dumps(figures))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
