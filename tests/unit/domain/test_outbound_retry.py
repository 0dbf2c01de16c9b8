"""How long a request waits in the broker."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.domain.outbound_retry import choose_step

_STEPS = [5, 30, 120, 600]


def test_waits_grow_and_those_of_urgent_requests_more_slowly_and_never_to_the_longest() -> None:
    ordinary = [_STEPS[choose_step(_STEPS, attempt=attempt, urgent=False)] for attempt in range(1, 12)]
    urgent = [_STEPS[choose_step(_STEPS, attempt=attempt, urgent=True)] for attempt in range(1, 12)]

    assert ordinary == [5, 30, 120, 600, 600, 600, 600, 600, 600, 600, 600]
    assert urgent == [5, 5, 5, 30, 30, 30, 120, 120, 120, 120, 120]


@given(
    attempt=st.integers(1, 1_000_000),
    urgent=st.booleans(),
    asked=st.none() | st.floats(0, 1e9),
    left=st.none() | st.floats(-1e9, 1e9),
)
def test_no_wait_but_the_shortest_goes_beyond_the_end_of_a_request(
    attempt: int, urgent: bool, asked: float | None, left: float | None
) -> None:
    step = _STEPS[choose_step(_STEPS, attempt=attempt, urgent=urgent, asked_seconds=asked, expires_in_seconds=left)]

    assert left is None or step == _STEPS[0] or step <= left


@given(attempt=st.integers(1, 100), urgent=st.booleans(), asked=st.floats(0, 1e9))
def test_of_what_was_asked_for_as_much_is_spent_as_a_step_takes(attempt: int, urgent: bool, asked: float) -> None:
    step = _STEPS[choose_step(_STEPS, attempt=attempt, urgent=urgent, asked_seconds=asked)]

    assert step >= max(one for one in _STEPS if one <= max(asked, _STEPS[0]))


@given(urgent=st.booleans(), asked=st.floats(5, 1e9))
def test_a_wait_that_was_asked_for_is_not_made_longer(urgent: bool, asked: float) -> None:
    assert _STEPS[choose_step(_STEPS, attempt=1, urgent=urgent, asked_seconds=asked)] <= asked
