"""
A pytest plugin that makes a run repeatable, and writes how each test ended.

exchangelib's tests come in random order with random values. Here they run in the order of their names, each with the
chance of its own name, so that one that fails by chance fails always, and has its line in the table. Where they wait
for a slow server to come to it, five seconds at a time, they wait for half a second. The one host of the Internet that
they ask is this machine: what they look at is how many connections there are.
"""

from __future__ import annotations

import os
import random
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest

_ends: dict[str, tuple[str, str]] = {}
_order: dict[str, int] = {}
_LONGEST_WAIT_SECONDS = 0.5
_sleep = time.sleep
_HOST = "httpbin.org"
_getaddrinfo = socket.getaddrinfo


def _shorter_sleep(seconds: float) -> None:
    """Sleep, for less long where a test asks for it; exchangelib's own waits stay as they are."""
    of_a_test = sys._getframe(1).f_globals.get("__name__", "").startswith("tests.")
    _sleep(min(seconds, _LONGEST_WAIT_SECONDS) if of_a_test else seconds)


def pytest_configure(config: pytest.Config) -> None:
    """Shorten the waits of tests."""
    patch = pytest.MonkeyPatch()
    patch.setattr(time, "sleep", _shorter_sleep)
    config.add_cleanup(patch.undo)
    host_here, _, port_here = os.environ["EXCHANGELIB_HOST"].partition(":")

    def here(host: str | None, port: str | int | None, *how: Any, **more: Any) -> object:
        if host == _HOST:
            host, port = host_here, int(port_here)
        return _getaddrinfo(host, port, *how, **more)

    patch.setattr(socket, "getaddrinfo", here)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of each file in the order of their names."""
    for item in items:
        _order.setdefault(item.nodeid.partition("::")[0], len(_order))
    items.sort(key=lambda item: (_order[item.nodeid.partition("::")[0]], item.nodeid))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give the test its own chance."""
    random.seed(item.nodeid.rpartition("tests/")[2])


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep how a test ended; an error while setting up or clearing away is a failure."""
    name = report.nodeid.rpartition("tests/")[2]
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
