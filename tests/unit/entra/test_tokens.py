"""A token that lives is used whatever Entra answers; Entra is asked once however many wait."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.adapters.entra.client import Answer
from bridge.adapters.entra.tokens import EntraTokens
from bridge.errors import BridgeError, CredentialsRejected, TokenUnavailable
from bridge.ports.tokens import AccessToken
from tests.unit.entra.doubles import Clock

_REFUSED = CredentialsRejected("no", code="secret_expired")
_DOWN = TokenUnavailable("down")


class Bench:
    def __init__(self, *, chance: Callable[[], float] = lambda: 0.5, longest_seconds: float | None = None) -> None:
        self.clock = Clock()
        self.asked = 0
        self.trouble: BridgeError | None = None
        self.life = 3_600.0
        self.gate: threading.Event | None = None
        self.tokens = EntraTokens(
            self._ask,
            threading.RLock(),
            longest_seconds=longest_seconds,
            wall_clock=lambda: self.clock.wall,
            elapsed=lambda: self.clock.elapsed,
            chance=chance,
        )

    def _ask(self) -> Answer:
        self.asked += 1
        if self.gate is not None:
            self.gate.wait(5)
        if self.trouble is not None:
            raise self.trouble
        return Answer(f"token-{self.asked}", self.life)

    def tend(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.go(1)
            self.tokens.renew_if_due()

    def value(self) -> str:
        return self.tokens.token().value


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_token_is_asked_for_once_while_it_lives(bench: Bench) -> None:
    assert {bench.value() for _ in range(5)} == {"token-1"}
    assert bench.asked == 1


def test_nothing_is_asked_for_before_somebody_wants_a_token(bench: Bench) -> None:
    bench.tend(10)

    assert bench.asked == 0


@pytest.mark.parametrize("life", [12.0, 3_600.0, 86_400.0])
def test_it_is_renewed_ahead_of_its_end_by_whoever_tends(bench: Bench, life: float) -> None:
    bench.life = life
    bench.value()

    bench.tend(int(life / 2) + 1)

    assert bench.value() == "token-2"


def test_workers_do_not_renew_at_the_same_moment() -> None:
    due = []
    for chance in (0.0, 0.25, 0.5, 0.75, 1.0):
        bench = Bench(chance=lambda chance=chance: chance)  # type: ignore[misc]
        bench.value()
        while bench.asked < 2:
            bench.tend(1)
        due.append(bench.clock.elapsed - 1_000)

    assert len(set(due)) == 5
    assert due[-1] - due[0] > 300
    assert due[-1] < 0.55 * 3_600


def test_the_credential_is_tried_on_its_schedule_however_long_a_token_lives() -> None:
    bench = Bench(longest_seconds=100)
    bench.life = 86_400
    bench.value()

    bench.tend(1_000)

    assert bench.asked == 1 + 10


@pytest.mark.parametrize("trouble", [_REFUSED, _DOWN])
def test_a_usable_token_is_used_whatever_entra_answers(bench: Bench, trouble: BridgeError) -> None:
    bench.value()
    bench.trouble = trouble

    bench.tend(3_600 - 11)

    assert bench.value() == "token-1"
    assert bench.tokens.trouble is trouble
    assert bench.tokens.usable


@pytest.mark.parametrize("trouble", [_REFUSED, _DOWN])
def test_a_token_that_ends_is_not_used(bench: Bench, trouble: BridgeError) -> None:
    bench.value()
    bench.trouble = trouble

    bench.tend(3_600 - 9)

    with pytest.raises(type(trouble)):
        bench.tokens.token()
    assert not bench.tokens.usable


@pytest.mark.parametrize(("trouble", "most"), [(_REFUSED, 16), (_DOWN, 40)])
def test_a_failing_entra_is_asked_at_growing_intervals_while_a_token_lives(
    bench: Bench, trouble: BridgeError, most: int
) -> None:
    bench.value()
    bench.trouble = trouble

    bench.tend(3_400)

    assert 5 < bench.asked - 1 <= most


@pytest.mark.parametrize(("trouble", "most"), [(_REFUSED, 30), (_DOWN, 125)])
def test_a_failing_entra_is_asked_at_intervals_when_mail_waits(bench: Bench, trouble: BridgeError, most: int) -> None:
    bench.trouble = trouble

    for _ in range(600):
        with pytest.raises(type(trouble)):
            bench.tokens.token()
        bench.tend(1)

    assert bench.asked <= most


def test_the_wait_that_entra_states_is_obeyed(bench: Bench) -> None:
    bench.trouble = TokenUnavailable("busy", retry_after_seconds=300)
    with pytest.raises(TokenUnavailable) as caught:
        bench.tokens.token()
    bench.trouble = None

    bench.tend(299)
    assert bench.asked == 1
    bench.tend(61)

    assert bench.asked == 2
    assert 300 <= (caught.value.retry_after_seconds or 0) <= 360


def test_workers_that_were_told_the_same_wait_come_back_one_after_the_other() -> None:
    back = set()
    for chance in (0.0, 0.5, 1.0):
        bench = Bench(chance=lambda chance=chance: chance)  # type: ignore[misc]
        bench.trouble = TokenUnavailable("busy", retry_after_seconds=100)
        with pytest.raises(TokenUnavailable):
            bench.tokens.token()
        while bench.asked < 2:
            bench.tend(1)
        back.add(round(bench.clock.elapsed))

    assert len(back) == 3


def test_mail_resumes_within_seconds_of_entras_return(bench: Bench) -> None:
    bench.trouble = _DOWN
    with pytest.raises(TokenUnavailable):
        bench.tokens.token()
    bench.tend(3_600)
    with pytest.raises(TokenUnavailable) as caught:
        bench.tokens.token()

    bench.trouble = None
    bench.tend(7)

    assert bench.value().startswith("token-")
    assert bench.tokens.trouble is None
    assert (caught.value.retry_after_seconds or 0) < 7


def test_who_waits_for_a_token_comes_back_soon_and_later_less_often(bench: Bench) -> None:
    bench.trouble = _DOWN
    told = []
    for _ in range(1_200):
        with pytest.raises(TokenUnavailable) as caught:
            bench.tokens.token()
        told.append(caught.value.retry_after_seconds or 0)
        bench.tend(1)

    assert max(told[:500]) <= 3
    assert 3 < max(told[700:]) <= 15


def test_a_rejected_token_is_replaced_once(bench: Bench) -> None:
    first = bench.tokens.token()

    for _ in range(5):  # every call in flight learns of the refusal
        bench.tokens.reject(first)
        bench.tokens.token()

    assert bench.value() == "token-2"
    assert bench.asked == 2


def test_an_app_without_a_right_asks_for_no_storm_of_tokens(bench: Bench) -> None:
    """Exchange refuses each token that it is shown; a new one does not help."""
    for _ in range(600):
        bench.tokens.reject(bench.tokens.token())
        bench.clock.go(1)

    assert bench.asked <= 6 + 600 / 30


def test_a_revoked_token_is_replaced_within_half_a_minute_however_many_were_before(bench: Bench) -> None:
    """Mail waits meanwhile; where tokens are revoked again and again, as by a sick Exchange, it still goes on."""
    for _ in range(60):
        bench.tokens.reject(bench.tokens.token())
    revoked = bench.tokens.token()

    bench.tokens.reject(revoked)
    assert bench.tokens.token() is revoked

    bench.clock.go(30)
    bench.tokens.reject(revoked)
    assert bench.tokens.token() is not revoked


def test_a_refused_token_goes_on_while_entra_gives_no_other(bench: Bench) -> None:
    """The call that was refused fails as Entra's fault, for a moment; Exchange refuses good tokens at times."""
    first = bench.tokens.token()
    bench.trouble = _DOWN

    bench.tokens.reject(first)

    with pytest.raises(TokenUnavailable):
        bench.tokens.token()
    assert bench.value() == "token-1"


@pytest.mark.parametrize("trouble", [_DOWN, CredentialsRejected()], ids=["away", "refuses"])
def test_a_refused_token_is_replaced_soon_after_entra_gives_one_again(bench: Bench, trouble: BridgeError) -> None:
    """However often it was asked in vain meanwhile: what gave no token is no replacement."""

    def call() -> None:
        """A call to Exchange, which takes no token but a new one."""
        with contextlib.suppress(TokenUnavailable, CredentialsRejected):
            token = bench.tokens.token()
            if token.value == "token-1":
                bench.tokens.reject(token)

    bench.tokens.token()
    bench.trouble = trouble
    for _ in range(120):
        call()
        bench.tend(1)
    bench.trouble = None

    for _ in range(40):
        call()
        bench.tend(1)
    assert bench.value() != "token-1"


def test_a_token_is_not_used_up_to_its_very_end(bench: Bench) -> None:
    """Ends are told in whole seconds: one of 12 seconds may have ended after eleven."""
    bench.life = 12
    bench.value()
    bench.trouble = _DOWN

    bench.clock.go(10.6)

    with pytest.raises(TokenUnavailable):
        bench.tokens.token()


def test_many_threads_ask_once(bench: Bench) -> None:
    bench.gate = threading.Event()

    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(bench.value) for _ in range(8)]
        bench.gate.set()
        values = {future.result(5) for future in asked}

    assert values == {"token-1"}
    assert bench.asked == 1


def test_nobody_waits_for_the_renewal_while_the_old_token_is_usable(bench: Bench) -> None:
    bench.value()
    bench.clock.go(3_000)
    bench.gate = threading.Event()
    renewing = threading.Thread(target=bench.tokens.renew_if_due)
    renewing.start()
    while bench.asked < 2:
        threading.Event().wait(0.001)

    meanwhile = bench.value()
    bench.gate.set()
    renewing.join(5)

    assert meanwhile == "token-1"
    assert bench.value() == "token-2"


@pytest.mark.parametrize("step", [-86_400.0, 86_400.0])
def test_a_wall_clock_that_is_set_changes_nothing_for_a_token(bench: Bench, step: float) -> None:
    bench.value()

    bench.clock.wall += step
    bench.tend(1_500)
    after_step = bench.asked
    bench.tend(2_200)

    assert after_step == 1
    assert bench.value() == "token-3"  # at 45 in a hundred of its life, and of the next one's


@pytest.mark.parametrize("step", [-86_400.0, 4_000.0, 86_400.0])
@pytest.mark.parametrize("trouble", [_REFUSED, _DOWN])
def test_a_living_token_outlives_a_set_wall_clock_while_entra_is_away(
    bench: Bench, trouble: BridgeError, step: float
) -> None:
    bench.value()
    bench.trouble = trouble
    bench.tend(60)

    bench.clock.wall += step
    bench.tend(3_600 - 60 - 11)

    assert bench.value() == "token-1"
    assert bench.tokens.usable
    bench.tend(2)
    with pytest.raises(type(trouble)):
        bench.tokens.token()


@pytest.mark.parametrize("step", [-86_400.0, 86_400.0])
def test_what_is_shown_as_a_token_s_end_follows_a_set_wall_clock(bench: Bench, step: float) -> None:
    bench.value()
    bench.tend(600)

    bench.clock.wall += step

    assert bench.tokens.expires_at == bench.clock.wall + 3_000
    assert bench.tokens.left_seconds == 3_000


def test_a_machine_that_slept_does_not_use_what_ended_meanwhile(bench: Bench) -> None:
    bench.value()

    bench.clock.go(4_000)  # at once: nothing was tended

    assert bench.value() == "token-2"


def test_a_machine_that_slept_for_less_than_a_token_s_life_has_it_renewed_as_it_wakes(bench: Bench) -> None:
    bench.value()

    bench.clock.go(3_000)
    bench.tend(1)

    assert bench.asked == 2


def test_a_machine_that_slept_while_entra_is_away_waits_no_longer_for_its_return(bench: Bench) -> None:
    bench.trouble = TokenUnavailable("busy", retry_after_seconds=300)
    with pytest.raises(TokenUnavailable):
        bench.tokens.token()
    bench.trouble = None

    bench.clock.go(8 * 3_600)
    bench.tend(1)

    assert bench.value() == "token-2"


def test_each_caller_gets_an_error_of_its_own(bench: Bench) -> None:
    bench.trouble = _DOWN
    errors = []
    for _ in range(2):
        with pytest.raises(TokenUnavailable) as caught:
            bench.tokens.token()
        errors.append(caught.value)

    assert errors[0] is not errors[1]


def test_a_token_is_not_shown() -> None:
    assert "secret-token" not in repr(AccessToken("secret-token", 0))
    assert "secret-token" not in repr(Answer("secret-token", 0))


def test_an_app_without_a_right_asks_for_no_storm_while_it_is_tended(bench: Bench) -> None:
    for _ in range(600):
        bench.tokens.reject(bench.tokens.token())
        bench.tend(1)

    assert bench.asked <= 6 + 600 / 30


def test_a_change_hurries_nothing_that_entra_asked_to_wait_for(bench: Bench) -> None:
    bench.trouble = TokenUnavailable("busy", retry_after_seconds=300)
    with pytest.raises(TokenUnavailable):
        bench.tokens.token()

    bench.tokens.ask_soon()
    bench.tend(290)

    assert bench.asked == 1
    assert bench.tokens.resting


def test_who_waits_for_a_credential_comes_back_soon_once_it_is_mended(bench: Bench) -> None:
    bench.trouble = _REFUSED
    with pytest.raises(CredentialsRejected) as soon:
        bench.tokens.token()
    bench.tend(700)
    with pytest.raises(CredentialsRejected) as later:
        bench.tokens.token()

    assert (soon.value.retry_after_seconds, later.value.retry_after_seconds) == (10, 30)
    assert soon.value.code == "secret_expired"
