"""A mailbox that Exchange asks to be left alone is left alone, by everybody and exactly that long."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from bridge.egress.availability.pauses import Availability, HeldBack
from bridge.egress.options import SendOptions
from bridge.errors import MailboxFull, MailboxThrottled, MailboxUnavailable
from bridge.telemetry.egress_events import DrainingPaused, DrainingResumed, RequestReceived, RequestsHeld
from tests.support.clock import HeldClock, InstantClock
from tests.support.memory.outbox import MemoryOutbox
from tests.unit.egress.harness import ALIAS, PLENTY, Bench, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

SENT = ("outbound.sent", None)
_BUSY = MailboxThrottled("ErrorServerBusy", retry_after_seconds=60)
_LATER = 67.0
"""After sixty seconds and the most that is added to part mailboxes that were told the same."""


@dataclass(slots=True)
class _Watched(MemoryOutbox):
    """Remembers when each call was made, and when one was refused."""

    made: list[float] = field(default_factory=list)
    throttled: list[float] = field(default_factory=list)

    async def _call(self, method: str, execute: Callable[[], T], **how: Any) -> T:
        self.made.append(self.clock.monotonic())
        try:
            return await MemoryOutbox._call(self, method, execute, **how)
        except MailboxThrottled:
            self.throttled.append(self.clock.monotonic())
            raise


def _bench(clock: InstantClock | None = None, **options: object) -> tuple[Bench, _Watched]:
    bench = Bench(options=replace(PLENTY, **options), clock=clock or InstantClock())  # type: ignore[arg-type]
    bench.mailbox = watched = _Watched(bench.clock)
    return bench, watched


async def _for_a_while() -> None:
    """Let everything happen that would happen now: probes are due every few milliseconds."""
    for _ in range(100):
        await asyncio.sleep(0.001)


async def test_while_exchange_asks_for_quiet_no_call_is_made_for_any_request() -> None:
    bench, watched = _bench()
    watched.fail_next("send", _BUSY)
    bench.request("r-0")

    async with bench.running():
        await eventually(lambda: bool(watched.throttled))
        calls = len(watched.made)
        for number in range(1, 9):
            bench.request(f"r-{number}")
        bench.request("u-1", urgent=True)
        await eventually(lambda: sum(bench.waiting().values()) == 10)
        for _ in range(3):
            bench.come_back()
            await eventually(lambda: sum(bench.waiting().values()) == 10)
        await _for_a_while()
        assert len(watched.made) == calls
        assert not bench.events()

    assert not watched.submissions


async def test_of_requests_that_wait_for_quiet_the_urgent_ones_are_back_soonest() -> None:
    """None waits for longer than Exchange said: the rest of that time is kept by whoever has the mailbox then."""
    bench, watched = _bench()
    watched.fail_next("create_draft", _BUSY)
    bench.request("r-0")

    async with bench.running():
        await eventually(lambda: bench.waiting() == {"30s": 1})
        bench.request("r-1")
        bench.request("u-1", urgent=True)
        await eventually(lambda: sum(bench.waiting().values()) == 3)

    assert bench.waiting() == {"5s": 1, "30s": 2}
    assert bench.retried_attempts() == {0}


async def test_an_urgent_request_that_is_throttled_itself_is_back_soonest_too() -> None:
    bench, watched = _bench()
    watched.fail_next("create_draft", _BUSY)
    bench.request("u-0", urgent=True)

    async with bench.running():
        await eventually(lambda: bool(bench.waiting()))

    assert bench.waiting() == {"5s": 1}


@pytest.mark.parametrize(
    "method",
    [
        "prepare",
        "begun_since",
        "create_draft",
        "find_drafts",
        "find_in_outbox",
        "find_in_ledger",
        "enter_begun",
        "send",
        "mark_done",
    ],
)
@pytest.mark.parametrize("hold_seconds", [0.0, 5.0], ids=["put down", "held"])
async def test_throttled_at_any_call_the_next_call_is_made_after_the_stated_time_and_sends_once(
    method: str, hold_seconds: float
) -> None:
    """Put down for the broker, or held where the time is short."""
    clock = HeldClock()
    bench, watched = _bench(clock, send=SendOptions(longest_wait_seconds=hold_seconds))
    watched.fail_next(method, MailboxThrottled("ErrorServerBusy", retry_after_seconds=0.3))
    for number in range(3):
        bench.request(f"r-{number}")

    async with bench.running() as sender:
        await eventually(lambda: bool(watched.throttled))
        before = len(watched.made)
        await _for_a_while()
        assert len(watched.made) == before

        while not (_all_told(bench, 3) and any(isinstance(event, DrainingResumed) for event in bench.emitted)):
            assert clock.seconds < 60
            await clock.move(0.001)
            sender._availability.changed.set()  # the clock of the probe is the machine's

    [at] = watched.throttled
    assert at + 0.3 <= watched.made[before] <= at + 0.34
    assert sorted(stamp.request_id for stamp in watched.submissions) == ["r-0", "r-1", "r-2"]
    [paused] = [event for event in bench.emitted if isinstance(event, DrainingPaused)]
    assert 0.3 <= paused.wait_seconds <= 0.33


def _all_told(bench: Bench, count: int) -> bool:
    bench.come_back()
    return len({event.request_id for event in bench.events()}) == count


def _comes_back(bench: Bench) -> bool:
    bench.clock.seconds += 0.01
    bench.come_back()
    return bool(bench.events())


async def test_a_request_that_another_one_was_throttled_beside_goes_on_where_it_was() -> None:
    bench, watched = _bench()
    reached, go = watched.freeze("enter_begun")
    bench.request("r-0")

    async with bench.running() as sender:
        await reached.wait()
        watched.fail_next("create_draft", MailboxThrottled("ErrorServerBusy", retry_after_seconds=3))
        bench.request("r-1")
        await eventually(lambda: bool(watched.throttled))
        state = bench.health.state(sender.part)
        assert state is not None
        assert state.code == "mailbox_throttled"
        go.set()
        await eventually(lambda: len(bench.events()) == 2)
        await eventually(lambda: any(isinstance(event, DrainingResumed) for event in bench.emitted))
        assert bench.health.ready

    assert bench.told() == [SENT, SENT]
    assert not bench.waiting()
    assert all(when >= watched.throttled[0] + 3 for when in watched.made if when > watched.throttled[0])


async def test_a_mailbox_that_exchange_asks_for_less_without_saying_how_long_pauses_and_the_request_counts_it() -> None:
    """It may be this mail that is too much for Exchange: the others are not to wait for it for ever."""
    bench, watched = _bench(attempts_limit=3)
    watched.fail_next("create_draft", *[MailboxThrottled("ErrorNotEnoughMemory")] * 12)
    bench.request()

    async with bench.running():
        await eventually(lambda: _comes_back(bench))

    assert bench.told() == [("outbound.failed", "mailbox_throttled")]
    assert bench.events()[0].attempts == 4
    assert watched.calls.count("create_draft") >= 9
    assert not watched.submissions


def test_a_wait_that_exchange_states_is_kept_exactly_however_often_it_was_stated_before() -> None:
    clock = InstantClock()
    availability = Availability(ALIAS, clock, lambda _: None)
    for _ in range(12):
        availability.still(MailboxThrottled(retry_after_seconds=10))
        assert 10 <= availability.wait_seconds <= 11
        clock.seconds += 11


def test_of_several_stated_waits_the_one_that_ends_last_counts() -> None:
    clock, emitted = InstantClock(), list[object]()
    availability = Availability(ALIAS, clock, emitted.append)
    for seconds, least, most in [(10, 10, 11), (60, 60, 66), (5, 60, 66), (60, 60, 66)]:
        availability.pause(MailboxThrottled(retry_after_seconds=seconds))
        assert least <= availability.quiet_seconds == availability.wait_seconds <= most
    assert len(emitted) == 2


def test_a_mailbox_that_is_paused_already_is_left_alone_as_long_as_exchange_asks() -> None:
    clock = InstantClock()
    availability = Availability(ALIAS, clock, lambda _: None)
    availability.pause(MailboxFull())
    availability.pause(MailboxThrottled(retry_after_seconds=60))
    availability.still(MailboxUnavailable())  # a probe that was on its way

    assert 60 <= availability.quiet_seconds <= availability.wait_seconds <= 66


def test_nothing_ends_a_quiet_time_early_and_a_request_that_ends_after_it_resumes() -> None:
    clock, emitted = InstantClock(), list[object]()
    availability = Availability(ALIAS, clock, emitted.append)
    availability.pause(_BUSY)
    for seconds in (0, 59.9):
        clock.seconds = seconds
        availability.try_again()  # a probe that was on its way
        availability.resume()  # a request whose calls were over
        availability.still(HeldBack(retry_after_seconds=availability.quiet_seconds))
        assert availability.paused
    clock.seconds = _LATER
    availability.resume()

    assert not availability.paused
    assert [type(event) for event in emitted] == [DrainingPaused, DrainingResumed]


async def test_requests_are_held_once_the_quiet_time_is_nearly_over_and_go_when_it_ends_the_urgent_one_first() -> None:
    """As many as the prefetch lets through; the others stay in their queue, in their order."""
    bench, watched = _bench(concurrent_sends=4)
    watched.fail_next("send", _BUSY)
    bench.request("r-0")

    async with bench.running() as sender:
        await eventually(lambda: bool(watched.throttled))
        bench.clock.seconds += 45
        await eventually(lambda: bool(bench.waiting()))
        for number in range(1, 9):
            bench.request(f"r-{number}")
        bench.request("u-1", urgent=True)
        await eventually(lambda: held(bench) == bench.options.ordinary_prefetch + 1)
        calls = len(watched.made)
        await _for_a_while()
        assert bench.waiting() == {"30s": 1}
        assert len(watched.made) == calls

        bench.clock.seconds += 23
        sender._availability.changed.set()  # the clock of the probe is the machine's
        await eventually(lambda: _all_told(bench, 10))

    assert [stamp.request_id for stamp in watched.submissions][:3] == ["u-1", "r-1", "r-2"]
    assert min(when for when in watched.made if when > watched.throttled[0]) >= watched.throttled[0] + 60


def held(bench: Bench) -> int:
    return [event.held for event in bench.emitted if isinstance(event, RequestsHeld)][-1]


async def test_a_request_that_is_held_goes_back_to_its_queue_when_the_worker_stops() -> None:
    bench, watched = _bench()
    watched.fail_next("prepare", MailboxThrottled("ErrorServerBusy", retry_after_seconds=20))
    bench.request("r-0")

    async with bench.running():
        await eventually(lambda: any(isinstance(event, RequestReceived) for event in bench.emitted))
        await _for_a_while()

    assert not bench.waiting()
    assert len(bench.broker.messages("mail.outbound.dispatch")) == 1


async def test_after_a_hand_over_one_call_finds_out_that_exchange_wants_quiet() -> None:
    """However many requests the new owner has in hand by then. (A probe at that moment would be a call of its own.)"""
    bench, watched = _bench(probe_seconds=3600.0)
    async with bench.running() as sender:
        await eventually(lambda: sender._rate.others_sent and "prepare" in watched.calls)
        await _for_a_while()
        watched.made.clear()
        watched.jitter = random.Random(7)
        watched.fail_next("prepare", *[_BUSY] * 9)
        for number in range(4):
            bench.request(f"u-{number}", urgent=True)
            bench.request(f"r-{number}")
        await eventually(lambda: sum(bench.waiting().values()) == 8)
        await _for_a_while()

    assert len(watched.made) == 1


async def test_a_request_that_is_too_old_and_throttled_again_is_ended_after_the_quiet_time() -> None:
    bench, watched = _bench()
    watched.fail_next("create_draft", _BUSY)
    bench.request(headers={"x-bridge-first-seen": "2026-11-22T03:00:00+00:00", "x-bridge-waited-seconds": 2 * 86_400})

    async with bench.running():
        await eventually(lambda: bool(bench.waiting()))
        assert bench.told() == [("outbound.delayed", "mailbox_throttled")]
    bench.clock.seconds += _LATER
    bench.come_back()
    async with bench.running():
        await eventually(lambda: len(bench.events()) == 2)

    assert bench.told()[-1] == ("outbound.failed", "mailbox_throttled")
    assert not watched.submissions
