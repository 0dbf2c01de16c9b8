"""Requests that expire, where it is not known exactly what time it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bridge.egress.request import read_ticket
from bridge.errors import CallRefused, MailboxFull
from bridge.ports.broker import Message
from bridge.wire.outbound_v1 import OutboundLimits
from tests.support.clock import START, InstantClock
from tests.support.memory.broker import MemoryDelivery
from tests.unit.egress.harness import PLENTY, Bench, a_body, eventually

_HOUR = timedelta(hours=1)
SENT = ("outbound.sent", None)


@pytest.mark.parametrize("unsure", [None, 3 * _HOUR])
async def test_a_request_that_may_have_expired_is_neither_sent_nor_ended_until_the_time_is_known(
    unsure: timedelta | None,
) -> None:
    bench = Bench()
    bench.clock.unsure = unsure
    bench.request("stale", expires_at=(START - _HOUR).isoformat())
    bench.request("fresh", expires_at=(START + 2 * _HOUR).isoformat())
    bench.request("whenever")

    async with bench.running():
        await eventually(lambda: bench.waiting() == {"30s": 2} and bool(bench.events()))
        assert bench.told() == [SENT]
        bench.clock.unsure = timedelta(seconds=2)
        bench.come_back()
        bench.come_back()
        await eventually(lambda: len(bench.events()) == 3)

    ends = {event.request_id: event.event for event in bench.events()}
    assert ends == {"stale": "outbound.expired", "fresh": "outbound.sent", "whenever": "outbound.sent"}


async def test_the_time_is_looked_at_again_before_the_call_that_sends() -> None:
    """Doubt may come up in the middle: another server has answered meanwhile."""
    bench = Bench()
    reached, go = bench.mailbox.freeze("enter_begun")
    bench.request(expires_at=(START + 2 * _HOUR).isoformat())

    async with bench.running():
        await reached.wait()
        bench.clock.unsure = 3 * _HOUR
        go.set()
        await eventually(lambda: bool(bench.waiting()))
        assert not bench.mailbox.submissions
        assert bench.retried().headers["x-bridge-reason"] == "time_unknown"
        bench.clock.unsure = timedelta()
        bench.come_back()
        await eventually(lambda: bool(bench.events()))

    assert bench.told() == [SENT]


async def test_a_wait_for_the_time_is_no_attempt_and_leaves_the_request_untouched() -> None:
    bench = Bench()
    bench.clock.unsure = None
    bench.request(expires_at=(START + _HOUR).isoformat())

    async with bench.running():
        await eventually(lambda: bool(bench.waiting()))

    headers = bench.retried().headers
    assert (headers["x-bridge-attempts"], headers["x-bridge-untouched"]) == (0, True)
    assert "x-bridge-first-seen" not in headers  # nobody knows when that was


@pytest.mark.parametrize("seen", ["2026-10-24T03:00:00+00:00", "2027-01-24T03:00:00+00:00"])
async def test_a_header_by_a_clock_a_month_off_does_not_end_a_request_at_its_first_trouble(seen: str) -> None:
    bench = Bench()
    bench.mailbox.fail_next("create_draft", MailboxFull())
    bench.mailbox.fail_next("create_draft", *[CallRefused("ErrorStaleObject")] * 3)
    bench.request(headers={"x-bridge-first-seen": seen, "x-bridge-attempts": 1})

    def sent() -> bool:
        bench.come_back()
        return SENT in bench.told()

    async with bench.running():
        await eventually(sent)

    assert bench.told()[-1] == SENT
    assert all(event == "outbound.delayed" for event, _ in bench.told()[:-1])


async def test_a_request_ends_once_its_waits_and_attempts_add_up_to_what_is_allowed() -> None:
    """Each wait is written into its headers, whatever the clocks of the workers say."""
    bench = Bench(options=replace(PLENTY, give_up_after_seconds=5 + 30 + 120 + 60))
    bench.request()
    waits = []

    async with bench.running():
        while not bench.dead():
            bench.mailbox.fail_next("create_draft", *[CallRefused("ErrorStaleObject")] * 4)
            await eventually(lambda: bool(bench.waiting()) or bool(bench.dead()))
            if bench.waiting():
                waits.append(int(str(bench.retried().headers["x-bridge-waited-seconds"])))
                bench.come_back()

    assert waits == sorted(waits)
    assert len(waits) == 4
    assert 5 <= waits[0] < 30 <= waits[1] - 5
    assert bench.told()[-1] == ("outbound.failed", "call_refused")


@pytest.mark.usefixtures("local_zone")
@pytest.mark.parametrize(
    ("written", "expected"),
    [("2026-07-24T03:00:00", None), ("2026-07-24T03:00:00Z", datetime(2026, 7, 24, 3, tzinfo=UTC))],
)
def test_a_first_seen_header_without_a_zone_tells_nothing(written: str, expected: datetime | None) -> None:
    """Read in the machine's own zone it would be hours off, and end a request at its first trouble."""
    clock = InstantClock()
    clock.unsure = None
    message = Message("", "dispatch", a_body(), "r-1", "mail.outbound.v1", headers={"x-bridge-first-seen": written})
    delivery = MemoryDelivery("mail.outbound.dispatch", message, redelivered=False, _settle=lambda *_: None)

    first_seen = read_ticket(delivery, limits=OutboundLimits(), clock=clock).first_seen

    assert first_seen == expected
