"""
`python -m tests.mutation [NUMBER...]`: put deliberate faults into a copy of the bridge, one by one.

The only line of standard output is one line of JSON. The exit code is 0 when the tests catch every fault.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.mutation.faults import DriftedError, faults
from tests.mutation.page import GUARANTEES, PAGE, page, rows
from tests.mutation.run import UnusableError, run

_UNUSABLE = 2


def main() -> int:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(prog="tests/run.sh mutation", description="Break the bridge; see who notices.")
    parser.add_argument("numbers", type=int, nargs="*", metavar="NUMBER", help="of docs/mutations.md; all by default")
    parser.add_argument("--write", action="store_true", help="write docs/mutations.md anew and run nothing")
    parser.add_argument("--rows", action="store_true", help="print the rows of docs/guarantees.md with their faults")
    given = parser.parse_args()
    every = faults()
    if given.write:
        PAGE.write_text(page(every, GUARANTEES.read_text("utf-8")), "utf-8")
        return 0
    if given.rows:
        for guarantee, what, stand in rows(every, GUARANTEES.read_text("utf-8")):
            print(f"{guarantee:4}{', '.join(map(str, stand)) or '-':24}{what}")
        return 0
    if unknown := set(given.numbers) - {fault.number for fault in every}:
        parser.error(f"no such fault: {', '.join(map(str, sorted(unknown)))} (there are 1 to {len(every)})")
    chosen = [fault for fault in every if not given.numbers or fault.number in given.numbers]
    begun = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="mutation-") as scratch:
            results = run(chosen, Path(scratch))
    except (DriftedError, UnusableError) as error:
        sys.stderr.write(f"{error}\n")
        return _UNUSABLE
    missed = [result.fault.number for result in results if not result.caught]
    figures = {
        "faults": len(results),
        "caught": len(results) - len(missed),
        "missed": missed,
        "tests": len({test for fault in chosen for test in fault.tests}),
        "seconds": round(time.monotonic() - begun, 1),
    }
    print(json.dumps(figures))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
