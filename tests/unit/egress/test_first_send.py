"""Nothing is sent from a mailbox before it is proved that Exchange keeps to what sending once rests on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bridge.egress.availability.first_send import REQUEST_ID
from bridge.errors import BridgeError, CallRefused, SendRefused
from bridge.telemetry.egress_events import DrainingPaused
from tests.unit.egress.harness import PLENTY, Bench, eventually

WITH_SELF_TEST = replace(PLENTY, self_test=True)
SENT = ("outbound.sent", None)


def _codes(bench: Bench) -> list[str]:
    return [event.code for event in bench.emitted if isinstance(event, DrainingPaused)]


def _sent(bench: Bench) -> list[str]:
    return [stamp.request_id for stamp in bench.mailbox.submissions]


def _back(bench: Bench) -> bool:
    bench.come_back()
    return True


def _self_tests(bench: Bench) -> list[tuple[str, str]]:
    entries = bench.mailbox.entries.values()
    return [(entry.kind, entry.stamp.digest) for entry in entries if entry.stamp.request_id == REQUEST_ID]


async def _send(bench: Bench, *request_ids: str) -> None:
    for request_id in request_ids:
        bench.request(request_id)
    async with bench.running():
        await eventually(lambda: {event.request_id for event in bench.events()} >= set(request_ids))


async def test_proof_sends_no_mail_and_leaves_no_draft() -> None:
    bench = Bench(options=WITH_SELF_TEST)

    await _send(bench, "r-1", "r-2")

    assert sorted(_sent(bench)) == ["r-1", "r-2"]
    assert bench.drafts_left() == 0
    assert _self_tests(bench) == [("unsent", "proved"), ("unsent", "departed")]


async def test_what_was_proved_is_not_proved_again_within_a_day_by_any_worker() -> None:
    bench = Bench(options=WITH_SELF_TEST)
    await _send(bench, "r-1")
    drafts = bench.mailbox.calls.count("create_draft")
    await _send(bench, "r-2")

    assert bench.mailbox.calls.count("create_draft") == drafts + 1

    bench.clock.seconds += timedelta(days=1, minutes=1).total_seconds()
    await _send(bench, "r-3")

    assert _self_tests(bench) == [("unsent", "proved"), ("unsent", "departed")] * 2


async def test_nothing_is_sent_where_a_stale_change_key_sends() -> None:
    """One mail went out, to the mailbox itself; it is not tried again with each request."""
    bench = Bench(options=WITH_SELF_TEST)
    bench.mailbox.keys_are_ignored = True
    for number in range(5):
        bench.request(f"r-{number}")

    async with bench.running():
        await eventually(lambda: _back(bench) and len(_codes(bench)) > 3)

    assert _sent(bench) == [REQUEST_ID]
    [mime] = [item.mime for item in bench.mailbox.items.values() if item.stamp.request_id == REQUEST_ID]
    assert b"To: dispatch@example.org" in mime
    assert set(_codes(bench)) == {"stale_key_accepted"}


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (SendRefused("ErrorSendAsDenied"), "refused_by_exchange"),
        (CallRefused("ErrorAccessDenied"), "call_refused"),
        (CallRefused("ErrorItemNotFound"), "call_refused"),
    ],
)
async def test_refusal_for_another_reason_than_the_change_key_proves_nothing(refusal: BridgeError, code: str) -> None:
    """As of a right that was missing at that moment, and was given since."""
    bench = Bench(options=WITH_SELF_TEST)
    bench.mailbox.keys_are_ignored = True
    bench.mailbox.fail_next("send", refusal)
    bench.request()

    async with bench.running():
        await eventually(lambda: _back(bench) and (bool(bench.events()) or "stale_key_accepted" in _codes(bench)))

    assert _codes(bench)[:2] == [code, "stale_key_accepted"]
    assert _sent(bench) == [REQUEST_ID]
    assert _self_tests(bench) == []


@pytest.mark.parametrize("search", ["begun_since", "find_in_ledger"])
async def test_nothing_is_sent_where_a_search_of_the_ledger_finds_nothing(search: str) -> None:
    bench = Bench(options=WITH_SELF_TEST)
    bench.mailbox.blind_to = search
    bench.request()

    async with bench.running():
        await eventually(lambda: "ledger_unsearchable" in _codes(bench))

    assert not bench.mailbox.submissions


async def test_others_wait_until_the_first_mail_was_seen_to_leave_drafts() -> None:
    bench = Bench(options=WITH_SELF_TEST)
    reached, go = bench.mailbox.freeze("mark_done")
    for number in range(4):
        bench.request(f"r-{number}")

    async with bench.running():
        await reached.wait()
        for _ in range(300):
            await bench.clock.sleep(0)
        alone = len(bench.mailbox.submissions)
        go.set()
        await eventually(lambda: len(bench.events()) == 4)

    assert alone == 1
    assert bench.told() == [SENT] * 4


async def test_mailbox_whose_first_mail_stays_in_drafts_pauses_and_is_tried_one_mail_at_a_time() -> None:
    bench = Bench(options=WITH_SELF_TEST)
    bench.mailbox.drafts_stay = True
    for number in range(6):
        bench.request(f"r-{number}")

    async with bench.running():
        await eventually(lambda: "sent_draft_stays" in _codes(bench) and sum(bench.waiting().values()) >= 1)
        first = len(bench.mailbox.submissions)
        bench.mailbox.drafts_stay = False
        await eventually(lambda: _back(bench) and len(bench.events()) == 6)

    assert first == 1
    assert bench.told() == [SENT] * 6
    assert max(_sent(bench).count(request_id) for request_id in _sent(bench)) == 1
