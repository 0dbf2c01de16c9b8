"""New credentials are tried before they are used; the old one goes on until then; nobody is surprised by an end."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.domain import expiry
from bridge.errors import CredentialsRejected, TokenUnavailable
from bridge.telemetry.entra_events import (
    ClockDiffers,
    CredentialAccepted,
    CredentialExpires,
    CredentialExposed,
    CredentialRefused,
    TokenAsked,
    TokenNotRenewed,
)
from tests.unit.entra.doubles import NOON, SCOPE, Bench, FakeSource

_DAY = 86_400.0


def accepted(bench: Bench) -> list[tuple[str, bool]]:
    events = bench.told(CredentialAccepted)
    return [(e.credential, e.in_use) for e in events if isinstance(e, CredentialAccepted)]


def refused(bench: Bench) -> list[tuple[str, str]]:
    return [(e.credential, e.code) for e in bench.told(CredentialRefused) if isinstance(e, CredentialRefused)]


def test_a_new_secret_in_the_file_is_used_within_seconds_without_a_call_that_waits() -> None:
    source = FakeSource("one")
    bench = Bench(source, good={"one", "two"})
    before = bench.tokens.token()

    source.secret = "two"
    bench.tend(3)

    assert bench.client.shown == ["one", "two"]
    assert bench.tokens.token() != before
    assert accepted(bench) == [("first", True), ("first", True)]
    assert bench.sign_in.state().warning is None


def test_a_wrong_new_secret_is_told_once_and_the_old_one_goes_on() -> None:
    source = FakeSource("one")
    bench = Bench(source, good={"one"})
    before = bench.tokens.token()

    source.secret = "wrong"
    bench.tend(60)

    assert bench.tokens.token() == before
    assert refused(bench) == [("first", "secret_wrong")]
    state = bench.sign_in.state()
    assert state.usable
    assert state.trouble is None
    assert state.warning is not None
    assert state.warning[0] == "secret_wrong"
    assert [c.accepted for c in state.credentials] == [False]
    bench.tend(3_600)
    assert bench.client.shown[-1] in {"one", "wrong"}
    assert bench.tokens.token() != before
    assert bench.client.shown.count("wrong") < 25


def test_a_new_secret_that_entra_knows_a_little_later_is_tried_again() -> None:
    source = FakeSource("one")
    bench = Bench(source, good={"one"})
    bench.tokens.token()
    source.secret = "two"
    bench.tend(10)

    bench.client.good.add("two")
    bench.tend(60)

    assert accepted(bench)[-1] == ("first", True)
    assert bench.sign_in.state().warning is None


def test_the_old_secret_put_back_after_a_mistake_ends_the_warning() -> None:
    source = FakeSource("one")
    bench = Bench(source, good={"one"})
    bench.tokens.token()
    source.secret = "wrong"
    bench.tend(5)

    source.secret = "one"
    bench.tend(5)

    state = bench.sign_in.state()
    assert state.warning is None
    assert [c.accepted for c in state.credentials] == [True]


def test_a_file_that_is_being_written_is_not_tried_in_pieces() -> None:
    source = FakeSource("one")
    bench = Bench(source, good={"one", "two-whole"})
    bench.tokens.token()

    for part in ("", "two", "two-who", "two-whole"):
        source.secret = part
        bench.tend(1)
    bench.tend(2)

    assert bench.client.shown == ["one", "two-whole"]


def test_a_file_that_is_gone_is_told_and_the_secret_goes_on() -> None:
    source = FakeSource("one")
    bench = Bench(source)
    bench.tokens.token()

    source.secret = None
    bench.tend(5)
    quiet = bench.sign_in.state().warning
    bench.tend(10)

    warning = bench.sign_in.state().warning
    assert quiet is None
    assert warning is not None
    assert warning[0] == "secret_unreadable"
    bench.tend(3_600)
    assert bench.tokens.token()
    source.secret = "one"
    bench.tend(2)
    assert bench.sign_in.state().warning is None


def test_an_unreachable_entra_neither_replaces_nor_refuses_a_new_secret() -> None:
    source = FakeSource("one")
    bench = Bench(source, good={"one", "two"})
    before = bench.tokens.token()
    bench.client.down = TokenUnavailable("down")
    source.secret = "two"
    bench.tend(30)

    still = bench.tokens.token()
    bench.client.down = None
    bench.tend(60)

    assert still == before
    assert refused(bench) == []
    assert accepted(bench)[-1] == ("first", True)


def test_a_secret_that_is_revoked_shows_while_its_last_token_lives() -> None:
    bench = Bench(FakeSource("one"), probe_seconds=100)
    before = bench.tokens.token()
    bench.client.good.clear()

    bench.tend(130)

    state = bench.sign_in.state()
    assert bench.tokens.token() == before
    assert state.usable
    assert state.warning is not None
    assert state.warning[0] == "secret_wrong"
    assert [c.accepted for c in state.credentials] == [False]
    assert refused(bench) == [("first", "secret_wrong")]


def test_the_second_takes_over_from_a_revoked_first_while_its_token_lives() -> None:
    bench = Bench(FakeSource("one"), FakeSource("two"), good={"one", "two"}, probe_seconds=100)
    bench.tokens.token()
    bench.tend(10)
    bench.client.good.remove("one")

    bench.tend(130)

    state = bench.sign_in.state()
    assert bench.tokens.token().value == f"token-{bench.client.shown.index('two', 2) + 1}"
    assert accepted(bench)[-1] == ("next", True)
    assert [c.accepted for c in state.credentials] == [False, True]
    assert state.warning is not None
    assert state.warning[0] == "secret_wrong"
    assert "first" in state.warning[1]


def test_the_second_is_used_at_the_start_where_the_first_is_refused() -> None:
    bench = Bench(FakeSource("one"), FakeSource("two"), good={"two"})

    assert bench.tokens.token().value == "token-2"
    assert bench.client.shown == ["one", "two"]


def test_a_second_that_appears_is_tried_and_kept_for_later() -> None:
    second = FakeSource(None)
    bench = Bench(FakeSource("one"), second, good={"one", "two"})
    before = bench.tokens.token()
    second.secret = "two"

    bench.tend(5)

    assert bench.client.shown == ["one", "two"]
    assert bench.tokens.token() == before
    assert accepted(bench) == [("first", True), ("next", False)]


def test_a_second_that_is_wrong_is_told_before_it_is_needed() -> None:
    second = FakeSource(None)
    bench = Bench(FakeSource("one"), second)
    bench.tokens.token()
    second.secret = "typo"

    bench.tend(5)

    assert refused(bench) == [("next", "secret_wrong")]
    assert bench.sign_in.state().warning == ("secret_wrong", "the next credential cannot take over: Entra refuses it")


def test_a_second_that_is_taken_away_is_forgotten() -> None:
    second = FakeSource("typo")
    bench = Bench(FakeSource("one"), second)
    bench.tokens.token()
    bench.tend(5)

    second.secret = None
    bench.tend(20)

    assert bench.sign_in.state().warning is None
    assert [c.slot for c in bench.sign_in.state().credentials] == ["first"]


def test_moving_the_second_to_the_first_place_changes_nothing() -> None:
    first, second = FakeSource("one"), FakeSource("two")
    bench = Bench(first, second, good={"two"})
    bench.tokens.token()
    bench.tend(5)

    first.secret, second.secret = "two", None
    bench.tend(20)

    state = bench.sign_in.state()
    assert state.warning is None
    assert [(c.slot, c.accepted) for c in state.credentials] == [("first", True)]
    assert bench.client.shown.count("two") == 1


def test_all_mailboxes_of_an_app_share_its_tokens() -> None:
    bench = Bench(FakeSource("one"))

    assert bench.sign_in.tokens() is bench.sign_in.tokens(SCOPE)
    assert bench.sign_in.tokens("api://other/.default") is not bench.sign_in.tokens()


def test_a_scope_that_is_refused_says_nothing_of_the_credential() -> None:
    bench = Bench(FakeSource("one"), FakeSource("two"), good={"one", "two"})
    bench.tokens.token()
    bench.client.down = CredentialsRejected("no such resource", code="scope_refused")
    other = bench.sign_in.tokens("api://other/.default")
    shown = len(bench.client.shown)

    with pytest.raises(CredentialsRejected):
        other.token()

    assert len(bench.client.shown) == shown + 1
    assert refused(bench) == []


def test_nothing_to_show_is_trouble_and_no_bug_and_heals() -> None:
    source = FakeSource(None)
    bench = Bench(source)

    with pytest.raises(CredentialsRejected) as caught:
        bench.tokens.token()
    source.secret = "one"
    bench.tend(5)

    assert caught.value.code == "secret_unreadable"
    assert bench.tokens.token()


def test_a_refused_secret_that_is_mended_counts_at_once_though_entra_is_asked_rarely() -> None:
    source = FakeSource("wrong")
    bench = Bench(source)
    with pytest.raises(CredentialsRejected):
        bench.tokens.token()
    bench.tend(300)
    with pytest.raises(CredentialsRejected):
        bench.tokens.token()
    assert bench.sign_in.state().trouble is not None
    asked = len(bench.client.shown)
    while len(bench.client.shown) == asked:  # from here on it is longest until Entra is asked again
        bench.tend(1)

    source.secret = "one"
    bench.tend(3)

    assert bench.sign_in.state().usable
    assert bench.tokens.token()
    assert bench.sign_in.state().trouble is None


def test_a_refused_secret_that_a_reload_replaces_is_not_waited_for() -> None:
    bench = Bench(FakeSource("wrong"))
    with pytest.raises(CredentialsRejected):
        bench.tokens.token()
    bench.tend(300)
    asked = len(bench.client.shown)
    while len(bench.client.shown) == asked:
        bench.tend(1)

    bench.sign_in.change([FakeSource("one")], probe_seconds=1800)
    bench.tend(3)

    assert bench.sign_in.state().usable


def test_other_places_after_a_reload_are_tried_before_they_are_used() -> None:
    bench = Bench(FakeSource("one"), good={"one", "two"})
    before = bench.tokens.token()

    bench.sign_in.change([FakeSource("typo")], probe_seconds=1800)
    bench.tend(3)
    kept = bench.tokens.token()
    bench.sign_in.change([FakeSource("two")], probe_seconds=1800)
    bench.tend(3)

    assert kept == before
    assert bench.tokens.token() != before
    assert bench.client.shown == ["one", "typo", "two"]


@pytest.mark.parametrize(
    ("days", "told"), [(31, []), (29, [30]), (6, [7]), (0.5, [1]), (-1, [0])]
)  # fmt: skip
def test_an_end_that_comes_near_is_told(days: float, told: list[int]) -> None:
    bench = Bench(FakeSource("one", NOON + days * _DAY))
    bench.tokens.token()

    bench.tend(3)

    assert [e.days for e in bench.told(CredentialExpires) if isinstance(e, CredentialExpires)] == told
    warning = bench.sign_in.state().warning
    assert (warning is not None and warning[0] == "credential_expires_soon") == bool(told)
    assert bench.sign_in.state().usable


@pytest.mark.parametrize("days", [(20.0, 5.0), (5.0, 20.0)])
def test_of_two_credentials_that_end_the_first_end_is_told_of(days: tuple[float, float]) -> None:
    first, second = (FakeSource(name, NOON + day * _DAY) for name, day in zip(("one", "two"), days, strict=True))
    bench = Bench(first, second, good={"one", "two"})
    bench.tokens.token()

    bench.tend(3)

    soonest = expiry.words(NOON + 5 * _DAY, NOON + 5 * _DAY - bench.clock.wall)
    assert bench.sign_in.state().warning == ("credential_expires_soon", soonest)


def test_each_step_towards_the_end_is_told_once() -> None:
    bench = Bench(FakeSource("one", NOON + 31 * _DAY))
    bench.tokens.token()

    warned = []
    for _ in range(33):
        bench.clock.go(_DAY)
        bench.sign_in.tend()
        bench.sign_in.tend()
        state = bench.sign_in.state()
        warned.append(state.warning is not None and state.warning[0] == "credential_expires_soon")
        assert [one.expires_at for one in state.credentials] == [NOON + 31 * _DAY]

    assert warned == [True] * 33
    assert [e.days for e in bench.told(CredentialExpires) if isinstance(e, CredentialExpires)] == [30, 7, 1, 0]


def test_a_date_that_was_stated_says_nothing_of_a_later_secret() -> None:
    source = FakeSource("one", NOON + _DAY)
    bench = Bench(source, good={"one", "two"})
    bench.tokens.token()
    assert bench.sign_in.state().credentials[0].expires_at == NOON + _DAY

    source.secret, source.expires_at = "two", None
    bench.tend(5)

    assert bench.sign_in.state().credentials[0].expires_at is None


def test_graph_tells_the_end_where_the_app_may_read_it_and_is_asked_rarely() -> None:
    bench = Bench(FakeSource("one"))
    told = [
        {"hint": "one", "endDateTime": "2027-05-31T00:00:00Z"},
        {"hint": "two", "endDateTime": "2027-02-01T00:00:00Z"},
    ]
    bench.client.graph = (200, {"passwordCredentials": told})
    bench.tokens.token()

    bench.tend(200)
    asked = bench.client.scopes.count("https://graph.microsoft.com/.default")
    bench.tend(3_600)

    assert bench.sign_in.state().credentials[0].expires_at == 1_811_721_600
    assert asked == bench.client.scopes.count("https://graph.microsoft.com/.default") == 1


def test_graph_tells_the_end_of_a_second_secret_as_well() -> None:
    bench = Bench(FakeSource("one"), FakeSource("two"), good={"one", "two"})
    told = [
        {"hint": "one", "endDateTime": "2027-05-31T00:00:00Z"},
        {"hint": "two", "endDateTime": "2027-02-01T00:00:00Z"},
    ]
    bench.client.graph = (200, {"passwordCredentials": told})
    bench.tokens.token()

    bench.tend(200)

    assert [one.expires_at for one in bench.sign_in.state().credentials] == [1_811_721_600, 1_801_440_000]
    assert bench.client.scopes.count("https://graph.microsoft.com/.default") == 1


@pytest.mark.parametrize(
    "graph",
    [
        (403, {}),
        (200, {"passwordCredentials": None}),
        (200, {"passwordCredentials": [None, {"hint": "one"}, {"hint": "one", "endDateTime": "soon"}]}),
        (200, {"passwordCredentials": [{"hint": "xyz", "endDateTime": "2027-05-31T00:00:00Z"}]}),
    ],
)
def test_a_graph_that_tells_nothing_changes_nothing(graph: tuple[int, dict[str, object]]) -> None:
    bench = Bench(FakeSource("one"))
    bench.client.graph = graph
    bench.tokens.token()

    bench.tend(200)

    assert bench.sign_in.state().credentials[0].expires_at is None
    assert bench.sign_in.state().warning is None


def test_a_failure_is_told_once_and_again_after_it_healed() -> None:
    bench = Bench(FakeSource("one"), probe_seconds=20)
    bench.tokens.token()
    for _ in range(2):
        bench.client.down = TokenUnavailable("down")
        bench.tend(200)
        bench.client.down = None
        bench.tend(200)

    events = [e for e in bench.told(TokenNotRenewed) if isinstance(e, TokenNotRenewed)]
    assert [e.code for e in events] == ["token_unavailable", "token_unavailable"]
    assert events[0].usable_seconds > 3_000
    assert {e.outcome for e in bench.told(TokenAsked) if isinstance(e, TokenAsked)} == {"ok", "token_unavailable"}


def test_a_new_secret_waits_while_entra_asks_to_be_left_alone() -> None:
    source = FakeSource("one")
    bench = Bench(source, good={"one", "two"}, probe_seconds=100)
    bench.tokens.token()
    bench.client.down = TokenUnavailable("busy", retry_after_seconds=600)
    bench.tend(130)
    asked = len(bench.client.shown)

    source.secret = "two"
    bench.tend(400)

    assert asked == len(bench.client.shown)
    assert "two" not in bench.client.shown


@pytest.mark.parametrize(("mode", "told"), [(0o600, 0), (0o640, 0), (0o644, 1)])
def test_a_new_secret_that_everybody_may_read_is_told(tmp_path: Path, mode: int, told: int) -> None:
    source = FakeSource("one")
    source.files = [tmp_path / "secret"]
    source.files[0].touch(mode=mode)
    source.files[0].chmod(mode)
    bench = Bench(source, good={"one", "two"})
    bench.tokens.token()

    source.secret = "two"
    bench.tend(30)

    assert len(bench.told(CredentialExposed)) == told


def test_a_second_that_is_there_from_the_start_is_tried_before_it_is_needed_and_then_rarely() -> None:
    bench = Bench(FakeSource("one"), FakeSource("dead"), good={"one", "dead"}, probe_seconds=1_000)
    bench.tokens.token()
    bench.tend(5)
    assert bench.client.shown == ["one", "dead"]
    bench.client.good.remove("dead")

    bench.tend(1_300)

    warning = bench.sign_in.state().warning
    assert refused(bench) == [("next", "secret_wrong")]
    assert warning is not None
    assert "cannot take over" in warning[1]


def test_both_places_may_hold_the_same_secret() -> None:
    """So it is for a moment in the middle of a renewal."""
    bench = Bench(FakeSource("one"), FakeSource("one"))
    bench.tokens.token()

    bench.tend(30)

    assert bench.client.shown == ["one"]
    assert bench.sign_in.state().warning is None
    assert [c.accepted for c in bench.sign_in.state().credentials] == [True, True]


def test_a_clock_that_is_not_entras_is_a_warning_until_it_is_put_right() -> None:
    bench = Bench(FakeSource("one"))
    bench.tokens.token()
    bench.client.ahead = -120.0

    bench.tend(10)
    warned = bench.sign_in.state()
    bench.client.ahead = 0.4
    bench.tend()

    assert warned.usable
    assert warned.warning == ("clock_skew", "Entra's is 120 s behind")
    assert bench.told(ClockDiffers) == [ClockDiffers("default", "Entra's is 120 s behind")]
    assert bench.sign_in.state().warning is None

    bench.client.ahead = 300.0
    bench.tend(10)
    assert bench.told(ClockDiffers)[1:] == [ClockDiffers("default", "Entra's is 300 s ahead")]
