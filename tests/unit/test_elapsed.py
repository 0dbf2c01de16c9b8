"""The clock of lifetimes goes on while the machine sleeps, and nobody sets it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bridge.ports import elapsed

if TYPE_CHECKING:
    import pytest


def test_it_is_the_clock_that_counts_the_time_asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that slept for an hour: that clock alone has gone on."""
    clocks = {time.CLOCK_BOOTTIME: 4_600.0, time.CLOCK_MONOTONIC: 1_000.0, time.CLOCK_REALTIME: 9_999.0}
    monkeypatch.setattr(time, "clock_gettime", clocks.__getitem__)

    assert elapsed.elapsed_seconds() == 4_600


def test_without_such_a_clock_it_is_one_that_nobody_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elapsed, "_BOOT_CLOCK", None)
    monkeypatch.setattr(time, "monotonic", lambda: 1_000.0)

    assert elapsed.elapsed_seconds() == 1_000
