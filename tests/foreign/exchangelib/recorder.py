"""A pytest plugin that writes one line for each test: its name, how it ended, and the last line of why it failed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

_ends: dict[str, tuple[str, str]] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep how a test ended; an error while setting up or clearing away is a failure."""
    name = report.nodeid.partition("tests/")[2] or report.nodeid
    before = _ends.get(name)
    if report.outcome == "failed":
        crash = getattr(report.longrepr, "reprcrash", None)
        why = str(crash.message if crash else report.longrepr).strip()
        _ends[name] = ("fails", " ".join(why.split())[:300])
    elif report.outcome == "skipped" and not (before and before[0] == "fails"):
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else "expected to fail"
        _ends[name] = ("skips", str(why))
    elif report.when == "call" and report.outcome == "passed":
        # A part of it (subTest) that failed was told before.
        _ends.setdefault(name, ("passes", ""))


def pytest_sessionfinish() -> None:
    """Write the table to where EXCHANGELIB_RESULTS says."""
    lines = [f"{name}\t{outcome}\t{why}\n" for name, (outcome, why) in sorted(_ends.items())]
    Path(os.environ["EXCHANGELIB_RESULTS"]).write_text("".join(lines))
