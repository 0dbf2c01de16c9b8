"""Silence is visible."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from bridge import errors
from bridge.telemetry.health import STALE_AFTER_SECONDS, Health
from bridge.telemetry.reasons import CODES, general_of, hint_for, words_for
from bridge.wire import event_v1
from tests.support.source import parsed

PART = "mailbox:dispatch:ingest"


class Time:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def health(time: Time) -> Health:
    health = Health(monotonic=time)
    health.expect(PART)
    return health


def test_a_part_is_not_ready_before_it_proved_to_work(health: Health) -> None:
    assert not health.ready
    assert (health.report()[0].status, health.report()[0].code) == ("starting", "starting")


def test_a_process_without_parts_is_not_ready() -> None:
    assert not Health().ready


def test_all_parts_must_work(health: Health) -> None:
    health.ok(PART)
    assert health.ready

    health.trouble("broker:publish", "broker_unavailable")

    assert not health.ready


def test_a_hung_task_is_told_within_a_minute_though_it_said_ok(health: Health, time: Time) -> None:
    health.ok(PART)

    time.seconds += 59

    (state,) = health.report()
    assert (state.status, state.code) == ("stale", "stalled")
    assert state.silent_seconds == 59
    assert not health.ready


@pytest.mark.parametrize("said", ["ok", "standby", "warning"])
def test_whatever_a_hung_task_said_last_the_process_is_not_ready(health: Health, time: Time, said: str) -> None:
    """Who hangs takes nothing over: a standby is no exception."""
    if said == "warning":
        health.warn(PART, "credential_expires_soon")
    else:
        (health.ok if said == "ok" else health.standby)(PART)
    assert health.ready

    time.seconds += 59

    (state,) = health.report()
    assert (state.status, state.code, health.ready) == ("stale", "stalled", False)


def test_the_second_of_two_parts_that_hangs_is_told_though_the_first_one_works(health: Health, time: Time) -> None:
    health.ok(PART)
    health.standby("mailbox:dispatch:egress")

    time.seconds += 59
    health.ok("mailbox:dispatch:egress")
    assert not health.ready
    time.seconds += 59
    health.ok(PART)

    assert [(state.part, state.status) for state in health.report()] == [
        ("mailbox:dispatch:egress", "stale"),
        (PART, "ok"),
    ]
    assert not health.ready


def test_a_part_that_never_started_is_told(health: Health, time: Time) -> None:
    time.seconds += 59

    assert health.report()[0].code == "stalled"


def test_progress_keeps_a_part_from_going_stale_and_does_not_hide_its_trouble(health: Health, time: Time) -> None:
    health.trouble(PART, "mailbox_unavailable")
    for _ in range(10):
        time.seconds += 30
        health.progress(PART)

    (state,) = health.report()
    assert (state.status, state.code, state.since_seconds) == ("trouble", "mailbox_unavailable", 300)


def test_a_known_trouble_explains_a_silence_better_than_silence_does(health: Health, time: Time) -> None:
    health.trouble(PART, "credentials_rejected")

    time.seconds += 100

    (state,) = health.report()
    assert (state.status, state.code) == ("stale", "credentials_rejected")


def test_trouble_ends_with_ok_and_the_time_starts_anew(health: Health, time: Time) -> None:
    health.trouble(PART, "mailbox_throttled", "for 10 s")
    time.seconds += 10

    health.ok(PART)

    (state,) = health.report()
    assert (state.status, state.code, state.detail, state.hint, state.since_seconds) == ("ok", "ok", "", "", 0)


def test_whoever_takes_the_work_over_stands_by_no_more_and_is_not_well_before_some_of_it_succeeded(
    health: Health,
) -> None:
    health.standby(PART)
    health.proved(PART)  # that others' receipts are good says nothing of who has the work
    assert health.report()[0].status == "standby"

    health.begin(PART)
    assert (health.report()[0].status, health.ready) == ("starting", False)

    health.proved(PART)
    assert (health.report()[0].status, health.ready) == ("ok", True)


def test_trouble_outlasts_a_new_beginning_and_a_first_success(health: Health) -> None:
    """Only a whole pass shows that it is over."""
    health.trouble(PART, "mailbox_unavailable")

    health.begin(PART)
    health.proved(PART)

    assert health.report()[0].code == "mailbox_unavailable"


def test_a_part_may_have_a_bound_of_its_own(health: Health, time: Time) -> None:
    health.expect("entra", stale_after_seconds=3600)
    health.ok("entra")
    health.ok(PART)

    time.seconds += 40
    health.ok(PART)
    time.seconds += 40
    health.ok(PART)

    assert health.ready


def test_a_part_that_ended_on_purpose_is_forgotten(health: Health) -> None:
    health.forget(PART)

    assert health.report() == ()
    assert health.state(PART) is None


def test_a_gauge_tells_what_the_report_tells(health: Health, time: Time) -> None:
    registry = CollectorRegistry()
    registry.register(health)
    health.ok(PART)

    assert f'bridge_health_part_up{{code="ok",part="{PART}"}} 1.0' in generate_latest(registry).decode()
    time.seconds += 59
    text = generate_latest(registry).decode()
    assert f'bridge_health_part_up{{code="stalled",part="{PART}"}} 0.0' in text
    assert f'bridge_health_silence_seconds{{part="{PART}"}} 59.0' in text


def test_every_error_of_ours_has_words_and_every_operator_error_says_what_to_do() -> None:
    ours = [e for _, e in inspect.getmembers(errors, inspect.isclass) if issubclass(e, errors.BridgeError)]

    assert {error.code for error in ours} - CODES == set()
    for error in ours:
        assert words_for(error.code)
        if issubclass(error, errors.OperatorError):
            assert hint_for(error.code), error


def test_an_unknown_code_still_reads_as_words() -> None:
    assert words_for("something_new") == "something new"


def test_every_code_that_an_adapter_gives_has_words() -> None:
    folder = Path(errors.__file__).parent
    calls = [
        call
        for room in ("adapters", "doctor", "ingest", "egress", "worker", "flow")
        for file in (folder / room).rglob("*.py")
        for call in ast.walk(parsed(file))
        if isinstance(call, ast.Call)
    ]
    given = {
        str(keyword.value.value)
        for call in calls
        for keyword in call.keywords
        if keyword.arg == "code" and isinstance(keyword.value, ast.Constant) and keyword.value.value is not None
    }

    assert given - CODES == set()


@pytest.mark.parametrize("code", ["secret_expired", "ews_disabled", "broker_vhost_missing", "tls_untrusted"])
def test_a_code_that_events_do_not_know_has_one_that_they_do(code: str) -> None:
    assert code not in event_v1.CODES
    assert general_of(code) in event_v1.CODES


def test_an_error_may_be_told_by_a_more_exact_code_than_its_class_has() -> None:
    exact = errors.CredentialsRejected("Entra answered invalid_client", code="secret_expired")

    assert (exact.code, errors.CredentialsRejected().code) == ("secret_expired", "credentials_rejected")
    assert errors.MailboxUnavailable(code="tls_untrusted", retry_after_seconds=3).code == "tls_untrusted"


def test_a_warning_is_told_and_leaves_the_process_ready() -> None:
    health = Health()
    health.warn("entra", "credential_expires_soon", "in 6 days")

    (state,) = health.report()

    assert health.ready
    assert (state.status, state.code, state.detail) == ("warning", "credential_expires_soon", "in 6 days")
    assert state.hint
    assert [s.value for f in health.collect() for s in f.samples if f.name == "bridge_health_part_up"] == [1.0]


def test_an_ordinary_wait_that_was_stated_is_not_stale_and_one_that_is_overrun_is(health: Health, time: Time) -> None:
    """A reader waits for up to 90 s between two listings."""
    health.ok(PART)

    health.waits(PART, 90)

    time.seconds += 90 + STALE_AFTER_SECONDS
    assert health.report()[0].status == "ok"
    time.seconds += 1
    assert health.report()[0].status == "stale"


@pytest.mark.parametrize("says", ["ok", "progress", "standby"])
def test_a_wait_that_ended_early_leaves_the_bound_as_it_was(health: Health, time: Time, says: str) -> None:
    health.waits(PART, 90)
    time.seconds += 5

    getattr(health, says)(PART)

    time.seconds += STALE_AFTER_SECONDS + 1
    assert health.report()[0].status == "stale"
