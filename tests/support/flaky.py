"""
Read what a run of `tests/run.sh` left: which tests failed, which of them passed when they ran again, and the sums.

`python -m tests.support.flaky failed DIRECTORY` prints a line "<suite> <test>" for each test that failed when it last
ran. `... summary DIRECTORY` prints the flaky ones and the closing line with the sums of all suites.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from lxml import etree


def failed_tests(directory: Path) -> list[str]:
    """Return "<suite> <test>" for each test that failed when it last ran, sorted."""
    lines = []
    for file in directory.glob("*.cache/v/cache/lastfailed"):
        suite = file.parents[2].name.removesuffix(".cache")
        lines += [f"{suite} {test}" for test in json.loads(file.read_text("utf-8"))]
    return sorted(lines)


def summary(directory: Path) -> list[str]:
    """Return what is printed last: the flaky tests, then passed, failed and skipped ones of all suites."""
    counts = {"tests": 0, "skipped": 0}
    for file in directory.glob("*.xml"):
        for suite in etree.parse(file).iter("testsuite"):
            for key in counts:
                counts[key] += int(suite.get(key, 0))
    flaky_file = directory / "flaky"
    flaky = flaky_file.read_text("utf-8").splitlines() if flaky_file.exists() else []
    failed = len(failed_tests(directory))
    passed = counts["tests"] - failed - counts["skipped"]
    return [
        *(f"flaky: {line.partition(' ')[2]} failed, and passed when it ran again alone" for line in flaky),
        f"{passed} passed, {failed} failed, {counts['skipped']} skipped",
    ]


def main() -> int:
    """Run as the command line says."""
    what, directory = sys.argv[1], Path(sys.argv[2])
    for line in {"failed": failed_tests, "summary": summary}[what](directory):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
