"""An Exchange that sends and does not say so: the brake that holds when what the protocol assumes turns out wrong."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import pytest

from bridge.domain.send_protocol import MOST_CALLS
from bridge.domain.unanswered_sends import MOST_IN_A_ROW, UnansweredSends
from bridge.egress.options import PauseOptions
from bridge.errors import CallRefused, MailboxThrottled, MailboxUnavailable, ThrottledInFront
from bridge.telemetry.egress_events import DrainingPaused, DrainingResumed
from tests.support.memory.outbox import MemoryOutbox
from tests.unit.egress.harness import PLENTY, Bench, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.domain.outbound_records import CreatedDraft
    from tests.support.memory.outbox import Loss

UNKNOWN = ("outbound.unknown", "outcome_unknown")
SENT = ("outbound.sent", None)
_PART = "mailbox:dispatch:egress"


def _flooding(bench: Bench) -> None:
    bench.mailbox.drafts_stay = True
    _lose_answers(bench, "executed", 50)


def _lose_answers(bench: Bench, loss: Loss, times: int, method: str = "send") -> None:
    for _ in range(times):
        bench.mailbox.lose_answer(method, loss)


def _back(*benches: Bench) -> bool:
    for bench in benches:
        bench.come_back()
    return True


def _later(bench: Bench) -> bool:
    """Let what Exchange asked for be over, and requests be back."""
    if bench.waiting():
        bench.clock.seconds += 41
    return _back(bench)


def _code(bench: Bench) -> str:
    state = bench.health.state(_PART)
    return "" if state is None else state.code


def _noted(bench: Bench, codes: list[str]) -> bool:
    codes.append(_code(bench))
    return True


def _availability(bench: Bench) -> int:
    return sum(isinstance(event, DrainingPaused) for event in bench.emitted)


async def test_no_more_than_three_calls_go_out_for_one_request_whatever_its_attempts() -> None:
    bench = Bench()
    _flooding(bench)
    bench.request()

    async with bench.running():
        await eventually(lambda: _back(bench) and bool(bench.events()))

    assert len(bench.mailbox.submissions) == MOST_CALLS == 3
    assert bench.told() == [UNKNOWN]
    assert "3 times" in bench.events()[0].detail
    assert [message.headers["x-bridge-reason"] for message in bench.dead()] == ["outcome_unknown"]
    assert bench.drafts_left() == 0


async def test_the_last_call_is_left_to_a_later_attempt_since_a_short_trouble_would_meet_all_three() -> None:
    bench = Bench()
    _lose_answers(bench, "never", MOST_CALLS - 1)
    bench.request()

    async with bench.running():
        await eventually(lambda: bool(bench.waiting()))
        called = bench.mailbox.calls.count("send")
        await eventually(lambda: _back(bench) and bool(bench.events()))

    assert called == MOST_CALLS - 1
    assert bench.told() == [SENT]


@pytest.mark.parametrize("deaths", [1, 2, 3])
async def test_the_limit_outlives_the_workers_that_made_the_calls(deaths: int) -> None:
    """It is counted in the mailbox before each call: who dies right after one has told nobody of it."""
    bench = Bench()
    _flooding(bench)
    bench.request()
    for death in range(1, deaths + 1):
        await bench.killed(lambda least=death: len(bench.mailbox.submissions) == least)  # type: ignore[misc]

    async with bench.running():
        await eventually(lambda: _back(bench) and bool(bench.events()))

    assert len(bench.mailbox.submissions) == 3
    assert bench.told() == [UNKNOWN]


async def test_a_call_is_in_the_ledger_before_it_is_made() -> None:
    bench = Bench()
    reached, go = bench.mailbox.freeze("send")
    bench.request()

    async with bench.running():
        await reached.wait()
        entered = [(entry.kind, entry.call) for entry in bench.mailbox.entries.values()]
        go.set()
        await eventually(lambda: bool(bench.events()))

    assert entered == [("begun", 1)]


async def test_call_that_worked_is_not_marked_as_never_made_by_a_worker_that_is_ended_before_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its mail may be in Sent Items by then, where nobody looks for a request that no entry says was begun."""
    bench = Bench()
    worked = asyncio.Event()
    send = MemoryOutbox.send

    async def unanswered(*args: Any, **options: Any) -> None:
        await send(*args, **options)
        worked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(MemoryOutbox, "send", unanswered)
    bench.request()
    await bench.killed(worked.is_set)
    monkeypatch.undo()

    async with bench.running():
        await eventually(lambda: bool(bench.events()))

    assert len(bench.mailbox.submissions) == 1
    assert bench.told() == [SENT]


async def test_call_that_worked_is_not_marked_as_never_made_for_a_bug_in_reading_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    send = MemoryOutbox.send

    async def misread(*args: Any, **options: Any) -> None:
        await send(*args, **options)
        raise ValueError

    monkeypatch.setattr(MemoryOutbox, "send", misread)
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    bench.request()

    async with bench.running():
        await eventually(lambda: _back(bench) and bool(bench.events()))

    assert len(bench.mailbox.submissions) == 1
    assert bench.told() == [SENT]


@pytest.mark.parametrize("copies", ["sent", "nowhere"])
async def test_call_that_was_refused_is_not_marked_as_never_made_where_its_draft_is_gone(
    monkeypatch: pytest.MonkeyPatch, copies: Literal["sent", "nowhere"]
) -> None:
    """As where a proxy makes a call twice, and tells the second answer."""
    bench = Bench()
    bench.mailbox.copies = copies
    send = MemoryOutbox.send

    async def twice(*args: Any, **options: Any) -> None:
        await send(*args, **options)
        raise CallRefused("ErrorItemNotFound")

    monkeypatch.setattr(MemoryOutbox, "send", twice)
    bench.request()

    async with bench.running():
        await eventually(lambda: bool(bench.waiting() or bench.events()))
        bench.mailbox.move_copies("sent")
        await eventually(lambda: _back(bench) and bool(bench.events()))
        bench.request()
        await eventually(lambda: _back(bench) and len(bench.events()) == 2)

    assert len(bench.mailbox.submissions) == 1
    assert bench.told() == [SENT, SENT]


async def test_two_workers_together_make_no_more_calls_than_one() -> None:
    """Each on a broker of its own, as if the request had been published to both."""
    one, two = Bench(), Bench()
    two.mailbox, two.clock = one.mailbox, one.clock
    _flooding(one)
    one.request()
    two.request()

    async with one.running(), two.running():
        await eventually(lambda: _back(one, two) and bool(one.events() and two.events()))

    assert len(one.mailbox.submissions) <= 3
    assert one.told() == two.told() == [UNKNOWN]


async def test_calls_that_were_refused_do_not_count() -> None:
    """Nothing is unknown of them, however many there were."""
    bench = Bench()
    bench.mailbox.fail_next("send", *[CallRefused("ErrorStaleObject")] * 20)
    bench.request()

    async with bench.running():
        await eventually(lambda: _back(bench) and bool(bench.events()))

    assert bench.told() == [SENT]
    assert bench.mailbox.calls.count("send") == 21


async def test_calls_that_were_throttled_do_not_count() -> None:
    bench = Bench()
    bench.mailbox.fail_next("send", *[MailboxThrottled(retry_after_seconds=40.0)] * 6)
    bench.request()

    async with bench.running():
        await eventually(lambda: _later(bench) and SENT in bench.told())

    assert bench.told() == [SENT]
    assert bench.mailbox.calls.count("send") == 7


@pytest.mark.parametrize("executed", [True, False])
async def test_a_call_that_was_throttled_in_front_of_exchange_may_have_been_made(
    monkeypatch: pytest.MonkeyPatch, executed: bool
) -> None:
    """A proxy answers 503 for an Exchange that goes on with the call, or after it."""
    bench = Bench()
    send, calls = MemoryOutbox.send, 0

    async def throttled_once(
        mailbox: MemoryOutbox, draft: CreatedDraft, *, still: Callable[[], bool] = lambda: True
    ) -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            await send(mailbox, draft, still=still)
            return
        assert still()
        if executed:
            await send(mailbox, draft)  # and its mail shows in Sent Items alone
        raise ThrottledInFront("HTTP 503", retry_after_seconds=40.0)

    monkeypatch.setattr(MemoryOutbox, "send", throttled_once)
    bench.request()

    async with bench.running():
        await eventually(lambda: _later(bench) and SENT in bench.told())

    assert bench.told() == [SENT]
    assert len(bench.mailbox.submissions) == 1
    # Nobody who comes later may take the first call for one that was never made.
    assert "unsent" not in {entry.kind for entry in bench.mailbox.entries.values()}


async def test_calls_without_a_connection_do_not_count() -> None:
    bench = Bench()
    bench.mailbox.fail_next("send", *[MailboxUnavailable(code="host_unreachable")] * 12)
    bench.request()

    async with bench.running():
        await eventually(lambda: _back(bench) and bool(bench.events()))

    assert bench.told() == [SENT]


async def test_an_entry_whose_answer_was_lost_counts_once() -> None:
    """It is found by the look that follows, and serves for the call."""
    bench = Bench()
    _lose_answers(bench, "executed", 3, "enter_begun")
    bench.request()

    async with bench.running():
        await eventually(lambda: bool(bench.events()))

    assert bench.told() == [SENT]
    assert len(bench.mailbox.entries) == 1


async def test_mailbox_whose_calls_have_no_answers_pauses_says_so_and_heals_by_itself() -> None:
    bench = Bench(options=replace(PLENTY, pauses=PauseOptions(0.01, 0.01, 0.05, 0.05), concurrent_sends=1))
    _lose_answers(bench, "never", MOST_IN_A_ROW)
    for number in range(4):
        bench.request(f"r-{number}")

    async with bench.running():
        await eventually(lambda: _code(bench) == "sends_unanswered")
        paused = len(bench.mailbox.submissions)
        await eventually(lambda: _back(bench) and len(bench.events()) == 4)
        await eventually(lambda: _code(bench) != "sends_unanswered")

    codes = [event.code for event in bench.emitted if isinstance(event, DrainingPaused)]
    assert paused == 0
    assert set(codes) == {"sends_unanswered"}
    assert any(isinstance(event, DrainingResumed) for event in bench.emitted)
    assert bench.told().count(SENT) >= 3


async def test_mailbox_that_still_gives_no_answers_is_tried_with_one_call_at_a_time() -> None:
    bench = Bench()
    _flooding(bench)
    for number in range(30):
        bench.request(f"r-{number}")

    async with bench.running():
        # Those that were on their way when it paused have come to an end by then.
        await eventually(lambda: _back(bench) and _availability(bench) >= 3)
        sent = len(bench.mailbox.submissions)
        tries = _availability(bench)
        await eventually(lambda: _back(bench) and _availability(bench) >= tries + 8)
        more = len(bench.mailbox.submissions) - sent

    assert more <= 8 + 1


async def test_health_says_so_until_a_call_is_answered_though_the_mailbox_can_be_read() -> None:
    bench = Bench()
    _flooding(bench)
    bench.request()

    async with bench.running():
        await eventually(lambda: _back(bench) and _availability(bench) > 0)
        probes = bench.mailbox.calls.count("begun_since")
        seen: list[str] = []
        await eventually(lambda: _noted(bench, seen) and bench.mailbox.calls.count("begun_since") >= probes + 5)

    assert set(seen) == {"sends_unanswered"}


def test_calls_under_way_together_count_as_one_and_any_answer_ends_the_row() -> None:
    sends = UnansweredSends()
    together = [sends.begin() for _ in range(20)]
    for begun in together:
        sends.unanswered(begun)

    assert sends.in_a_row == 1

    for _ in range(MOST_IN_A_ROW - 1):
        assert not sends.too_many
        sends.unanswered(sends.begin())

    assert sends.too_many
    sends.answered()
    assert not sends.too_many
