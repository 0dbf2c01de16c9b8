"""Waits that end together."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.flow.ticks import TICK_SECONDS, until_tick


@given(st.floats(0.0, 600.0), st.floats(0.0, 1e7))
def test_a_wait_is_never_longer_than_asked_and_never_much_shorter(seconds: float, now: float) -> None:
    wait = until_tick(seconds, now)

    assert wait <= seconds
    assert wait > seconds - TICK_SECONDS - 1e-6
    assert wait >= min(seconds, TICK_SECONDS - 1e-6)


@given(st.floats(2 * TICK_SECONDS, 600.0), st.floats(0.0, 1e6))
def test_long_waits_end_on_a_tick(seconds: float, now: float) -> None:
    end = (now + until_tick(seconds, now)) / TICK_SECONDS

    assert math.isclose(end, round(end), abs_tol=1e-6)


@pytest.mark.parametrize("seconds", [0.0, 0.5, 3.9])
def test_a_short_wait_is_as_long_as_asked(seconds: float) -> None:
    assert until_tick(seconds, 12345.6) == seconds
