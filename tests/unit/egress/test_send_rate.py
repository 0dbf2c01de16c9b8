"""No more goes out than Exchange takes, and no less."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.domain.send_rate import DAY_SECONDS, MINUTE_SECONDS, Begun, RateLimits, SendWindow, wait_seconds

LIMITS = RateLimits(per_minute=3, recipients_per_day=10)


def wait(
    begun: list[Begun], now: float = 0, limits: RateLimits = LIMITS, recipients: int = 1, *, urgent: bool = False
) -> float:
    return wait_seconds(begun, now, limits, recipients=recipients, urgent=urgent)


def test_first_mails_of_a_minute_go_at_once_and_the_next_when_the_first_is_a_minute_old() -> None:
    assert wait([]) == 0
    assert wait([Begun(-2, 1), Begun(-1, 1)]) == 0
    assert wait([Begun(-20, 1), Begun(-10, 1), Begun(-1, 1)]) == 40
    assert wait([Begun(-60, 1), Begun(-10, 1), Begun(-1, 1)]) == 0


def test_recipients_of_a_day_are_not_exceeded() -> None:
    begun = [Begun(-3600, 6), Begun(-1800, 3)]

    assert wait(begun, recipients=1) == 0
    assert wait(begun, recipients=2) == DAY_SECONDS - 3600
    assert wait(begun, recipients=9) == DAY_SECONDS - 1800


def test_mail_with_more_recipients_than_a_day_allows_goes_when_the_day_is_empty() -> None:
    assert wait([], recipients=11) == 0
    assert wait([Begun(-3600, 1)], recipients=11) == DAY_SECONDS - 3600


def test_ordinary_mails_leave_room_for_urgent_ones() -> None:
    limits = RateLimits()
    begun = [Begun(-10, 1)] * 27

    assert wait(begun, limits=limits) == 50
    assert wait(begun, limits=limits, urgent=True) == 0
    assert wait(begun + [Begun(-5, 1)] * 3, limits=limits, urgent=True) == 50


def test_unlimited_never_waits() -> None:
    assert wait([Begun(0, 500)] * 1000, limits=RateLimits(None, None), recipients=500) == 0


def test_window_forgets_what_is_over_and_what_was_given_back() -> None:
    window = SendWindow(LIMITS, [Begun(0, 4)])
    taken = window.take(1, 6)

    assert window.left(1) == (1, 0)
    window.give_back(taken)
    assert window.left(1) == (2, 6)
    assert window.left(MINUTE_SECONDS + 1) == (3, 6)
    assert window.left(DAY_SECONDS) == (3, 10)
    assert window.wait_seconds(DAY_SECONDS, recipients=10, urgent=False) == 0


@given(st.lists(st.tuples(st.floats(0, 200), st.integers(1, 4), st.booleans()), max_size=40))
def test_waiting_as_told_keeps_every_window(arrivals: list[tuple[float, int, bool]]) -> None:
    window, sent, now = SendWindow(LIMITS), [], 0.0
    for gap, recipients, urgent in arrivals:
        now += gap
        for _ in range(20):
            wanted = window.wait_seconds(now, recipients=recipients, urgent=urgent)
            if not wanted:
                break
            now += wanted
        turn = window.take(now, recipients)
        window.settle(turn, now)
        sent.append(turn)

    for last in sent:
        assert sum(1 for one in sent if last.at - MINUTE_SECONDS + 0.001 < one.at <= last.at) <= 3
        assert sum(one.recipients for one in sent if last.at - DAY_SECONDS + 0.001 < one.at <= last.at) <= 10
