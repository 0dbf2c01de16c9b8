"""What the examination says of Entra's clock against this machine's."""

from __future__ import annotations

import pytest

from bridge.doctor.apps import about_clock


@pytest.mark.parametrize(
    ("ahead_seconds", "state", "code"),
    [
        (0.0, "ok", "ok"),
        (-20.0, "ok", "ok"),
        (None, "warning", "time_unknown"),
        (200.0, "warning", "clock_skew"),
        (-200.0, "warning", "clock_skew"),
        (3600.0, "failed", "clock_skew"),
        (-3600.0, "failed", "clock_skew"),
    ],
)
def test_a_clock_that_differs_or_that_nobody_tells_is_told(ahead_seconds: float | None, state: str, code: str) -> None:
    [finding] = about_clock("entra default", ahead_seconds)

    assert (finding.state, finding.code) == (state, code)
