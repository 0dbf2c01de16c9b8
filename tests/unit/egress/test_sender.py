"""One request from its queue to its event, whatever goes wrong on the way."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bridge.domain.disposition import RetryPolicy
from bridge.domain.outbound_records import EndReason, Stamp
from bridge.domain.send_rate import RateLimits
from bridge.egress import sender
from bridge.egress.availability.pauses import Availability
from bridge.egress.options import PauseOptions, SendOptions
from bridge.errors import (
    BridgeError,
    BrokerUnavailable,
    CallRefused,
    CredentialsRejected,
    MailboxFull,
    MailboxThrottled,
    MailboxUnavailable,
    MailUnreadable,
    PublishRefused,
    PublishUnconfirmed,
    PublishUnroutable,
    SendRefused,
    TokenUnavailable,
)
from bridge.flow.read_again import read_again
from bridge.mime.compose import compose
from bridge.mime.compose_message_id import request_id_of
from bridge.telemetry.egress_events import DrainingPaused, QueuesElsewhere, RequestEnded, RequestLeft, RequestsHeld
from bridge.wire.topology import EVENTS, outbound_queue, outbound_urgent_queue
from tests.support.clock import START, InstantClock
from tests.support.memory.broker import MemoryConsumer, MemoryPublisher
from tests.support.memory.outbox import Loss, MemoryOutbox, Place
from tests.unit.egress.harness import ALIAS, PLENTY, Bench, a_body, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from datetime import datetime

    from bridge.domain.outbound import OutboundMail
    from bridge.domain.outbound_records import SeenMail
    from bridge.ports.broker import ReportTrouble
    from tests.support.memory.broker import MemoryDelivery

SENT = ("outbound.sent", None)


async def test_request_is_sent_told_and_only_then_acknowledged() -> None:
    bench = Bench()
    bench.publisher.hold_confirms()
    bench.request(correlation_id="c-1")

    async with bench.running():
        await eventually(lambda: bool(bench.publisher.attempted))
        assert not [e for e in bench.emitted if isinstance(e, RequestEnded)]
        bench.publisher.release_confirms()
        await eventually(lambda: any(isinstance(e, RequestEnded) for e in bench.emitted))

    [event] = bench.events()
    assert (event.event, event.request_id, event.correlation_id, event.attempts) == ("outbound.sent", "r-1", "c-1", 1)
    assert [stamp.request_id for stamp in bench.mailbox.submissions] == ["r-1"]
    assert not bench.broker.messages(outbound_queue(ALIAS))
    assert [entry.kind for entry in bench.mailbox.entries.values()] == ["done"]


async def test_message_id_of_the_event_leads_back_to_the_request() -> None:
    bench = Bench()
    bench.request()

    async with bench.running():
        await eventually(lambda: bench.told() == [SENT])

    assert request_id_of(bench.events()[0].internet_message_id or "") == "r-1"


async def test_plain_send_takes_no_more_calls_than_it_needs() -> None:
    bench = Bench()
    bench.request()

    async with bench.running():
        await eventually(lambda: bench.told() == [SENT])

    calls = [call for call in bench.mailbox.calls if call not in {"prepare", "begun_since"}]
    assert calls == [
        "create_draft",
        "find_drafts",
        "find_in_outbox",
        "find_in_ledger",
        "enter_begun",
        "send",
        "mark_done",
    ]


async def test_same_request_twice_is_sent_once_and_told_twice_under_one_event_id() -> None:
    bench = Bench()
    bench.request()
    bench.request()

    async with bench.running():
        await eventually(lambda: len(bench.events()) == 2)

    assert len(bench.mailbox.submissions) == 1
    assert len({event.event_id for event in bench.events()}) == 1
    assert bench.drafts_left() == 0


async def test_request_id_with_other_content_fails_and_leaves_the_first_alone() -> None:
    bench = Bench()
    bench.request()
    async with bench.running():
        await eventually(lambda: bench.told() == [SENT])
        bench.request(subject="something else")
        await eventually(lambda: len(bench.events()) == 2)

    assert bench.told() == [SENT, ("outbound.failed", "request_id_reused")]
    assert len(bench.mailbox.submissions) == len(bench.dead()) == 1
    assert bench.drafts_left() == 0


@pytest.mark.parametrize("loss", ["executed", "late", "never"])
@pytest.mark.parametrize("method", ["create_draft", "enter_begun", "send", "mark_done"])
async def test_lost_answer_at_any_call_leads_to_one_send_and_one_true_event(method: str, loss: Loss) -> None:
    bench = Bench()
    bench.mailbox.lose_answer(method, loss)
    bench.request()

    async with bench.running():
        await eventually(lambda: bench.told() == [SENT])
        bench.mailbox.run_late()

    assert len(bench.mailbox.submissions) == 1


@pytest.mark.parametrize("copies", ["outbox", "nowhere", "sent"])
async def test_answer_of_the_send_lost_is_resolved_by_what_the_mailbox_shows(copies: Place) -> None:
    bench = Bench()
    bench.mailbox.copies = copies
    bench.mailbox.lose_answer("send", "executed")
    bench.request()

    async with bench.running():
        if copies == "nowhere":
            await eventually(lambda: bench.waiting() == {"5s": 1})
            assert bench.retried().headers["x-bridge-reason"] == "send_outcome_unknown"
            bench.mailbox.move_copies("sent")
            bench.come_back()
        await eventually(lambda: bench.told() == [SENT])

    assert len(bench.mailbox.submissions) == 1


async def test_begun_send_whose_mail_never_shows_ends_as_unknown_and_is_never_sent_again() -> None:
    bench = Bench(options=replace(PLENTY, send=SendOptions(unknown_after_seconds=60)))
    bench.mailbox.copies = "nowhere"
    bench.mailbox.lose_answer("send", "executed")
    bench.request()

    async with bench.running():
        await eventually(lambda: bool(bench.waiting()))
        bench.come_back()
        await eventually(lambda: bool(bench.waiting()))
        bench.clock.seconds += 60
        bench.come_back()
        await eventually(lambda: bool(bench.events()))

    assert bench.told() == [("outbound.unknown", "outcome_unknown")]
    assert len(bench.mailbox.submissions) == len(bench.dead()) == 1
    assert bench.dead()[0].headers["x-bridge-reason"] == "outcome_unknown"


async def test_expired_request_is_entered_as_ended_looked_for_and_told() -> None:
    bench = Bench()
    bench.request(expires_at=START.isoformat())

    async with bench.running():
        await eventually(lambda: bool(bench.events()))

    assert bench.told() == [("outbound.expired", "expired")]
    assert not bench.mailbox.submissions
    assert not bench.dead()
    assert [entry.kind for entry in bench.mailbox.entries.values()] == ["ended"]
    calls = [call for call in bench.mailbox.calls if call not in {"prepare", "begun_since"}]
    assert calls == ["enter_ended", "find_drafts", "find_in_outbox", "find_in_ledger"]


@pytest.mark.parametrize(
    "method", ["create_draft", "find_drafts", "find_in_outbox", "find_in_ledger", "enter_begun", "send", "mark_done"]
)
async def test_request_that_expires_at_any_call_is_either_sent_or_expired(method: str) -> None:
    """Also where the worker is frozen at the very call that sends."""
    bench = Bench()
    bench.request(expires_at=(START + timedelta(seconds=10)).isoformat())
    reached, go = bench.mailbox.freeze(method)

    async with bench.running():
        await reached.wait()
        bench.clock.seconds += 11
        go.set()
        await eventually(lambda: bool(bench.events()))

    assert bench.told() == ([SENT] if bench.mailbox.submissions else [("outbound.expired", "expired")])
    assert bench.drafts_left() == 0
    assert bool(bench.mailbox.submissions) == (method == "mark_done")


async def test_request_ended_before_stays_ended_for_the_same_reason() -> None:
    bench = Bench()
    bench.request()
    digest = "unused"
    async with bench.running():
        await eventually(lambda: bench.told() == [SENT])
        digest = bench.mailbox.submissions[0].digest
    again = Bench()
    await again.mailbox.enter_ended(Stamp("r-1", "a", digest), EndReason("failed", "refused_by_exchange", "ErrorX"))
    again.request()

    async with again.running():
        await eventually(lambda: bool(again.events()))

    [event] = again.events()
    assert (event.event, event.code, event.detail) == ("outbound.failed", "refused_by_exchange", "ErrorX")
    assert not again.mailbox.submissions
    assert again.drafts_left() == 0


@pytest.mark.parametrize("method", ["create_draft", "send"])
async def test_mail_that_exchange_refuses_fails_for_good_and_the_queue_goes_on(method: str) -> None:
    bench = Bench()
    bench.mailbox.fail_next(method, SendRefused("ErrorSendAsDenied"))
    bench.request()
    async with bench.running():
        await eventually(lambda: bool(bench.events()))
        bench.request("r-2")
        await eventually(lambda: len(bench.events()) == 2)

    assert bench.told() == [("outbound.failed", "refused_by_exchange"), SENT]
    assert bench.events()[0].detail == "ErrorSendAsDenied"
    assert [message.message_id for message in bench.dead()] == ["r-1"]
    assert bench.drafts_left() == 0


async def test_mail_larger_than_the_transport_carries_fails() -> None:
    bench = Bench()
    bench.mailbox.largest_mime_bytes = 1000
    bench.request(text="x" * 1000)

    async with bench.running():
        await eventually(lambda: bool(bench.events()))

    assert bench.told() == [("outbound.failed", "too_large_for_transport")]


async def test_call_of_the_protocol_that_is_refused_for_good_fails_no_request() -> None:
    bench = Bench()
    bench.mailbox.fail_next("enter_begun", MailUnreadable())
    bench.request()

    async with bench.running():
        await eventually(lambda: bool(bench.waiting()))
        bench.come_back()
        await eventually(lambda: bench.told() == [SENT])

    assert len(bench.mailbox.submissions) == 1


@pytest.mark.parametrize(
    "method", ["create_draft", "find_drafts", "find_in_outbox", "find_in_ledger", "enter_begun", "send", "mark_done"]
)
async def test_call_that_is_refused_for_now_is_overcome(method: str) -> None:
    bench = Bench()
    bench.mailbox.fail_next(method, MailboxUnavailable(), MailboxThrottled(retry_after_seconds=1))
    bench.request()

    async with bench.running():
        await eventually(lambda: bench.told() == [SENT])

    assert len(bench.mailbox.submissions) == 1
    assert bench.events()[0].attempts == 1
    assert len(bench.mailbox.items) == 1


async def test_request_whose_own_trouble_lasts_waits_longer_each_time_and_fails_in_the_end() -> None:
    bench = Bench(options=replace(PLENTY, attempts_limit=4))
    steps: list[str] = []
    bench.request()

    async with bench.running():
        for _ in range(3):
            bench.mailbox.fail_next("send", *[CallRefused("ErrorStaleObject")] * 4)
            bench.come_back()
            await eventually(lambda: bool(bench.waiting()))
            steps += bench.waiting()
        bench.mailbox.fail_next("send", *[CallRefused("ErrorStaleObject")] * 4)
        bench.come_back()
        await eventually(lambda: bool(bench.events()))

    assert steps == ["5s", "30s", "2m"]
    assert bench.told() == [("outbound.failed", "call_refused")]
    assert bench.events()[0].attempts == 4
    assert bench.dead()[0].headers["x-bridge-attempts"] == 4
    assert not bench.mailbox.submissions


async def test_a_request_that_is_throttled_is_back_within_the_wait_that_exchange_asked_for() -> None:
    """The rest of it is the worker's to keep, to the second."""
    bench = Bench()
    bench.mailbox.fail_next("create_draft", MailboxThrottled(retry_after_seconds=90))
    bench.request()

    async with bench.running():
        await eventually(lambda: bool(bench.waiting()))

    assert bench.waiting() == {"30s": 1}


async def test_wait_never_goes_beyond_the_end_of_a_request() -> None:
    bench = Bench()
    bench.mailbox.fail_next("create_draft", MailboxThrottled(retry_after_seconds=150))
    bench.request(expires_at=(START + timedelta(seconds=40)).isoformat())

    async with bench.running():
        await eventually(lambda: bool(bench.waiting()))

    assert bench.waiting() == {"30s": 1}


async def test_history_of_a_request_travels_with_it_and_other_headers_do_not() -> None:
    bench = Bench()
    bench.mailbox.fail_next("create_draft", MailboxThrottled(retry_after_seconds=60))
    bench.request(
        headers={"x-other": "y", "traceparent": "00-1-2-01", "x-bridge-first-seen": "2026-11-24T02:59:00+00:00"}
    )

    async with bench.running():
        await eventually(lambda: bool(bench.waiting()))

    assert bench.retried().headers == {
        "traceparent": "00-1-2-01",
        "x-bridge-attempts": 0,
        "x-bridge-first-seen": "2026-11-24T02:59:00+00:00",
        "x-bridge-reason": "mailbox_throttled",
        "x-bridge-untouched": True,
        "x-bridge-waited-seconds": 30,
    }
    assert bench.retried().routing_key == ALIAS


async def test_long_wait_is_told_once() -> None:
    bench = Bench()
    bench.request(headers={"x-bridge-first-seen": "2026-11-24T02:50:00+00:00"})

    async with bench.running():
        for _ in range(2):
            bench.mailbox.fail_next("create_draft", MailboxThrottled(retry_after_seconds=60))
            bench.come_back()
            await eventually(lambda: bool(bench.waiting()))

    assert bench.told() == [("outbound.delayed", "mailbox_throttled")]


@pytest.mark.parametrize(
    ("request_id", "body", "headers", "detail"),
    [
        ("r-1", b"{", {}, "body: is not JSON in UTF-8"),
        ("r-1", a_body("r-1", nonsense=1), {}, "nonsense: is not a field of a request"),
        ("r-2", a_body("r-1"), {}, "request_id: is not the message_id of the AMQP properties"),
        (
            "r-1",
            a_body("r-1"),
            {"CC": "x"},
            "headers.CC: routes copies of a request; publish one request for each mailbox",
        ),
        (None, b"\xff", {}, "body: is not JSON in UTF-8"),
        ("bad id", b"[]", {}, "body: is not an object"),
    ],
)
async def test_bad_request_goes_to_mail_dead_with_its_reason_and_the_queue_goes_on(
    request_id: str | None, body: bytes, headers: dict[str, Any], detail: str
) -> None:
    bench = Bench()
    bench.request(request_id, body=body, headers=headers)
    async with bench.running():
        await eventually(lambda: bool(bench.events()))
        bench.request("r-9")
        await eventually(lambda: len(bench.events()) == 2)

    assert bench.told() == [("outbound.failed", "invalid_request"), SENT]
    assert bench.events()[0].detail == detail
    [dead] = bench.dead()
    assert (dead.body, dead.headers["x-bridge-reason"], dead.headers["x-bridge-detail"]) == (
        body,
        "invalid_request",
        detail,
    )
    assert [stamp.request_id for stamp in bench.mailbox.submissions] == ["r-9"]
    assert not bench.broker.messages(outbound_queue(ALIAS)), "what ended is acknowledged"


async def test_flood_of_bad_requests_does_not_keep_a_good_one_back() -> None:
    bench = Bench()
    for number in range(500):
        bench.request(f"bad-{number}", body=b"{")
    bench.request()

    async with bench.running():
        await eventually(lambda: SENT in bench.told())

    assert len(bench.dead()) == 500


@pytest.mark.parametrize("error", [PublishRefused(), PublishUnconfirmed(), PublishUnroutable(), BrokerUnavailable()])
async def test_event_that_is_not_confirmed_is_published_again_and_the_mail_is_not(error: BridgeError) -> None:
    bench = Bench()
    bench.publisher.fail_next(error, error)
    bench.request()

    async with bench.running():
        await eventually(lambda: bench.told() == [SENT])
        await eventually(lambda: any(isinstance(e, RequestEnded) for e in bench.emitted))

    assert len(bench.mailbox.submissions) == 1
    assert len({message.message_id for message in bench.publisher.attempted}) == 1


async def test_nothing_is_sent_while_the_broker_takes_no_event() -> None:
    bench = Bench()
    bench.publisher.refuse(BrokerUnavailable())
    bench.request()

    async with bench.running():
        await eventually(lambda: bool(bench.emitted))
        await asyncio.sleep(0.01)
        assert "create_draft" not in bench.mailbox.calls
        bench.publisher.accept()
        await eventually(lambda: bench.told() == [SENT])


async def test_request_stays_in_its_queue_when_the_worker_stops_before_its_event_is_confirmed() -> None:
    bench = Bench()
    bench.request()

    async with bench.running():
        bench.publisher.refuse(PublishRefused())
        await eventually(lambda: bool(bench.publisher.attempted))

    assert len(bench.broker.messages(outbound_queue(ALIAS))) == 1
    bench.publisher.accept()
    async with bench.running():
        await eventually(lambda: bench.told() == [SENT])
    assert len(bench.mailbox.submissions) == 1


async def test_mail_dead_is_confirmed_before_the_event() -> None:
    bench = Bench()
    bench.request(body=b"{")

    async with bench.running():
        await eventually(lambda: bool(bench.events()))

    assert [message.amqp_exchange for message in bench.publisher.published] == ["mail.dead", EVENTS]


async def test_lost_delivery_is_put_down_at_the_next_safe_point() -> None:
    bench = Bench()
    bench.request()
    reached, go = bench.mailbox.freeze("find_in_ledger")

    async with bench.running():
        await reached.wait()
        bench.broker.drop_connections()
        go.set()
        await eventually(lambda: bench.told() == [SENT])

    assert any(isinstance(e, RequestLeft) and e.code == "lost" for e in bench.emitted)
    assert len(bench.mailbox.submissions) == 1


@pytest.mark.parametrize(
    "method", ["create_draft", "find_drafts", "find_in_outbox", "find_in_ledger", "enter_begun", "send", "mark_done"]
)
async def test_worker_killed_at_any_call_sends_once_in_the_end(method: str) -> None:
    bench = Bench()
    bench.request()
    for copies in ("before", "after"):
        if copies == "before":
            reached, _ = bench.mailbox.freeze(method)
            await bench.killed(reached.is_set)
        else:
            bench.mailbox.calls.clear()
            await bench.killed(lambda: method in bench.mailbox.calls or bool(bench.events()))

    async with bench.running():
        await eventually(lambda: bool(bench.events()))

    assert set(bench.told()) == {SENT}
    assert len(bench.mailbox.submissions) == 1


async def test_worker_killed_between_event_and_acknowledgement_repeats_the_event_under_its_id() -> None:
    bench = Bench()
    bench.request()
    bench.publisher.hold_confirms()
    await bench.killed(lambda: bool(bench.publisher.attempted))
    bench.publisher.release_confirms()

    async with bench.running():
        await eventually(lambda: len(bench.events()) == 2)

    # What was delivered before is looked for before a draft is made.
    assert len(bench.mailbox.items) == 1
    first, second = bench.events()
    assert (first.event, first.event_id) == (second.event, second.event_id)
    assert len(bench.mailbox.submissions) == 1


async def test_sent_items_are_searched_from_shortly_before_the_begun_send_alone() -> None:
    """However many mails lie there: a mail is never older than the entry that makes anybody look for it."""
    bench = Bench()
    asked: list[datetime | None] = []

    class Watched(MemoryOutbox):
        async def find_in_sent_items(
            self, request_id: str, *, since: datetime | None = None, deleted: bool = False
        ) -> Sequence[SeenMail]:
            asked.append(since)
            return await MemoryOutbox.find_in_sent_items(self, request_id, since=since, deleted=deleted)

    bench.mailbox = Watched(bench.clock)
    bench.mailbox.lose_answer("send", "executed")
    bench.request()

    async with bench.running():
        await eventually(lambda: bool(bench.events()))

    assert bench.told() == [SENT]
    [entry] = bench.mailbox.entries.values()
    assert asked
    assert set(asked) == {entry.at - timedelta(hours=1)}


@pytest.mark.parametrize("seed", range(150))
async def test_two_workers_with_the_same_request_send_once_however_they_interleave(seed: int) -> None:
    """Each on a broker of its own, as if the request had been published to both."""
    chance = random.Random(seed)
    one, two = Bench(), Bench()
    two.mailbox, two.clock = one.mailbox, one.clock
    mailbox = one.mailbox
    mailbox.jitter = chance
    mailbox.copies = chance.choice(("sent", "outbox", "nowhere"))
    for method in chance.sample(["create_draft", "enter_begun", "send", "void", "mark_done", "discard"], 2):
        mailbox.lose_answer(method, chance.choice(("executed", "late", "never")))
    expires_at = (START + timedelta(seconds=chance.choice((0.5, 3, 3600)))).isoformat()
    one.request(expires_at=expires_at)
    two.request(expires_at=expires_at)

    async with one.running(), two.running():
        for turn in range(4_000):
            if one.events() and two.events():
                break
            if turn % 50 == 49:
                mailbox.run_late()
                if chance.random() < 0.5:
                    mailbox.move_copies("sent")
                one.come_back()
                two.come_back()
            await asyncio.sleep(0.0005 if turn > 500 else 0)
        mailbox.run_late()

    assert len(mailbox.submissions) <= 1
    expected = {"outbound.sent", "outbound.unknown"} if mailbox.submissions else {"outbound.expired"}
    if any(entry.reason is not None and entry.reason.event == "unknown" for entry in mailbox.entries.values()):
        expected |= {"outbound.unknown"}  # given up after so many calls that were entered and not known to have failed
    assert {name for name, _ in (*one.told(), *two.told())} <= expected
    assert one.told()
    assert two.told()
    assert bench_has_no_draft_to_send(one)


def bench_has_no_draft_to_send(bench: Bench) -> bool:
    """Drafts that came late apart, nothing is left that a person could take for a draft."""
    return bench.drafts_left() <= 1


async def test_repeats_in_one_worker_wait_for_each_other_and_leave_no_draft() -> None:
    bench = Bench()
    for urgent in (True, False, True, False):
        bench.request(urgent=urgent)

    async with bench.running():
        await eventually(lambda: len(bench.events()) == 4)

    assert set(bench.told()) == {SENT}
    assert len(bench.mailbox.submissions) == 1
    assert "void" not in bench.mailbox.calls
    assert not [item for item in bench.mailbox.items.values() if item.place == "drafts"]


async def test_urgent_request_overtakes_the_ordinary_ones_that_wait() -> None:
    bench = Bench(options=replace(PLENTY, rate=RateLimits(per_minute=1, recipients_per_day=None)))
    bench.options = replace(bench.options, concurrent_sends=2)
    for number in range(3):
        bench.request(f"ordinary-{number}")
    reached, go = bench.mailbox.freeze("mark_done")

    async with bench.running():
        await reached.wait()
        bench.request("urgent", urgent=True)
        await asyncio.sleep(0.01)
        go.set()
        await eventually(lambda: len(bench.events()) == 4)

    assert [stamp.request_id for stamp in bench.mailbox.submissions][:3].count("urgent") == 1


async def test_no_more_are_sent_in_a_minute_than_exchange_takes() -> None:
    bench = Bench(options=replace(PLENTY, rate=RateLimits(per_minute=20, recipients_per_day=None)))
    for number in range(45):
        bench.request(f"r-{number}")

    async with bench.running():
        await eventually(lambda: len(bench.events()) == 45)

    begun = sorted(entry.at for entry in bench.mailbox.entries.values())
    for moment in begun:
        assert sum(1 for other in begun if moment - timedelta(seconds=59.9) < other <= moment) <= 20


async def test_rate_window_is_read_from_the_ledger_at_the_start() -> None:
    bench = Bench(options=replace(PLENTY, rate=RateLimits(per_minute=5, recipients_per_day=None)))
    for number in range(5):
        await bench.mailbox.mark_done(await bench.mailbox.enter_begun(Stamp(f"old-{number}", f"a-{number}", "d"), 1))
    bench.request()

    async with bench.running():
        await eventually(lambda: bench.told() == [SENT])

    assert bench.clock.seconds >= 60


class _Interrupted(MemoryConsumer):
    """Its connection is lost and made anew when a test says so."""

    tells: dict[str, ReportTrouble]

    def deliveries(
        self, queue: str, *, prefetch: int, exclusive: bool, report: ReportTrouble = lambda _: None
    ) -> AsyncGenerator[MemoryDelivery, None]:
        self.tells = {**getattr(self, "tells", {}), queue: report}
        return super().deliveries(queue, prefetch=prefetch, exclusive=exclusive, report=report)

    def interrupt(self) -> None:
        for error in (BrokerUnavailable(), None):
            for report in self.tells.values():
                report(error)


async def test_rate_window_is_read_again_after_the_connection_was_lost() -> None:
    """Another worker may have drained the mailbox meanwhile, and be gone again."""
    bench = Bench(options=replace(PLENTY, rate=RateLimits(per_minute=5, recipients_per_day=None)))
    consumer, stop = _Interrupted(bench.broker), asyncio.Event()
    bench.request("r-1")
    running = asyncio.create_task(bench.sender(consumer).run(stop))
    await eventually(lambda: bench.told() == [SENT])
    for number in range(5):
        await bench.mailbox.mark_done(await bench.mailbox.enter_begun(Stamp(f"other-{number}", f"a-{number}", "d"), 1))

    consumer.interrupt()
    bench.request("r-2")
    await eventually(lambda: bench.told() == [SENT, SENT])

    assert bench.clock.seconds >= 60
    stop.set()
    await running


class _Unreachable:
    """The mailbox, as a worker sees it that does not reach Exchange."""

    def __init__(self, error: BridgeError) -> None:
        self._error = error

    async def prepare(self) -> None:
        raise self._error


@pytest.mark.parametrize("error", [MailboxUnavailable(), TokenUnavailable(), CredentialsRejected()])
async def test_worker_that_cannot_use_the_mailbox_leaves_it_to_one_that_can(error: BridgeError) -> None:
    quick = replace(
        PLENTY,
        yield_after_seconds=0.0,
        yield_seconds=0.2,
        consuming=RetryPolicy(first_seconds=0.01, longest_seconds=0.01, pause_seconds=0.01),
    )
    bench, other, stop = Bench(options=quick), Bench(options=quick), asyncio.Event()
    sick = bench.sender(mailbox=_Unreachable(error))  # type: ignore[arg-type]
    sick_runs = asyncio.create_task(sick.run(stop))
    await eventually(lambda: len(bench.broker.consumers) == 2)
    other.broker, other.mailbox, other.publisher = bench.broker, bench.mailbox, bench.publisher
    async with other.running():
        bench.request("u-1", urgent=True)
        bench.request("r-1")

        async with asyncio.timeout(20):
            while bench.told() != [SENT, SENT]:
                bench.come_back()
                await asyncio.sleep(0.01)
    stop.set()
    await sick_runs


async def test_worker_that_cannot_use_the_mailbox_takes_the_queues_again_where_nobody_else_does() -> None:
    quick = replace(PLENTY, yield_after_seconds=0.0, yield_seconds=0.01)
    bench = Bench(options=quick)
    bench.mailbox.broken = MailboxUnavailable()
    async with bench.running():
        await eventually(lambda: len(bench.broker.consumers) == 2)
        await eventually(lambda: not bench.broker.consumers)
        bench.mailbox.broken = None
        bench.request()

        def sent() -> bool:
            bench.come_back()
            return bench.told() == [SENT]

        await eventually(sent)


async def test_day_that_is_used_up_makes_requests_wait_in_the_broker() -> None:
    bench = Bench(options=replace(PLENTY, rate=RateLimits(per_minute=None, recipients_per_day=2)))
    bench.request("big", to=[{"address": f"a{n}@example.org"} for n in range(2)])
    async with bench.running() as sender:
        await eventually(lambda: bench.told() == [SENT])
        bench.request("late")
        await eventually(lambda: bool(bench.waiting()))
        state = bench.health.state(sender.part)

    assert state is not None
    assert (state.status, state.code) == ("trouble", "send_limit_reached")
    assert bench.waiting() == {"10m": 1}
    assert bench.retried().headers["x-bridge-reason"] == "rate_limited"
    assert bench.retried().headers["x-bridge-attempts"] == 0


async def test_a_mailbox_is_well_again_once_its_day_is_over() -> None:
    bench = Bench(options=replace(PLENTY, rate=RateLimits(per_minute=None, recipients_per_day=1)))
    bench.request()
    async with bench.running() as sender:
        await eventually(lambda: bench.told() == [SENT])

        def code() -> str:
            state = bench.health.state(sender.part)
            return state.code if state is not None else ""

        await eventually(lambda: code() == "send_limit_reached")
        sender.change_rate(RateLimits(per_minute=None, recipients_per_day=2))
        await eventually(lambda: code() == "ok")
        assert bench.health.ready


async def test_mailbox_that_needs_a_person_holds_nothing_and_heals_by_itself() -> None:
    bench = Bench()
    for number in range(20):
        bench.request(f"r-{number}")
    bench.request("u-1", urgent=True)
    bench.mailbox.broken = MailboxFull("ErrorQuotaExceeded")

    async with bench.running() as sender:
        await eventually(lambda: sum(bench.waiting().values()) == 21)
        assert bench.waiting() == {"5s": 1, "30s": 20}
        state = bench.health.state(sender.part)
        assert state is not None
        assert (state.status, state.code) == ("trouble", "mailbox_full")
        assert bench.retried_attempts() == {0}
        bench.mailbox.broken = None
        await eventually(lambda: bench.health.ready)
        bench.come_back()
        await eventually(lambda: len(bench.events()) == 21)

    assert set(bench.told()) == {SENT}
    assert len(bench.mailbox.submissions) == 21


def _held(bench: Bench) -> list[int]:
    return [event.held for event in bench.emitted if isinstance(event, RequestsHeld)]


def _all_told(bench: Bench, count: int) -> bool:
    bench.come_back()
    return len(bench.events()) == count


async def test_requests_in_hand_have_no_more_bytes_together_than_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many the broker delivers at once: the largest are read and composed a few at a time."""
    monkeypatch.setattr(sender, "_IN_HAND_BYTES", 2 * len(a_body("r-1")))
    bench = Bench()
    reached, go = bench.mailbox.freeze("create_draft")
    for number in range(5):
        bench.request(f"r-{number}")

    async with bench.running():
        await eventually(reached.is_set)
        await eventually(lambda: max(_held(bench)) == 2)
        await asyncio.sleep(0.05)
        go.set()
        await eventually(lambda: len(bench.events()) == 5)

    assert max(_held(bench)) == 2
    assert bench.told() == [SENT] * 5


async def test_mailbox_that_can_be_read_but_not_sent_from_is_tried_by_one_request_at_a_time() -> None:
    bench = Bench(options=replace(PLENTY, concurrent_sends=4))
    for number in range(6):
        bench.request(f"r-{number}")
    bench.mailbox.fail_next("send", *[MailboxFull("ErrorSubmissionQuotaExceeded")] * 8)

    async with bench.running():
        await eventually(lambda: bench.mailbox.calls.count("send") >= 3)
        at_once = bench.mailbox.calls.count("send")
        await eventually(lambda: _all_told(bench, 6))

    assert at_once <= 4
    # Several at first; after that, one failure for each pause.
    assert sum(isinstance(e, DrainingPaused) for e in bench.emitted) >= 5
    assert set(bench.told()) == {SENT}
    assert len(bench.mailbox.submissions) == 6


async def test_bug_beside_the_requests_ends_the_worker_and_leaves_them_in_their_queue() -> None:
    bench = Bench()
    bench.mailbox.fail_next("prepare", ZeroDivisionError())  # type: ignore[arg-type]  # anything but a BridgeError
    bench.request()

    with pytest.raises(ZeroDivisionError):
        await bench.sender().run(asyncio.Event())

    assert len(bench.broker.messages(outbound_queue(ALIAS))) == 1


async def test_a_bug_in_sweeping_the_ledger_ends_no_sending() -> None:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    bench = Bench(options=replace(PLENTY, sweep_every_seconds=0.01))
    bench.mailbox.fail_next("sweep", *[ZeroDivisionError()] * 3)  # type: ignore[arg-type]

    async with bench.running():
        await eventually(lambda: bench.mailbox.calls.count("sweep") >= 4)
        bench.request()
        await eventually(lambda: bench.told() == [SENT])


async def test_missing_queue_and_taken_queue_are_told_and_tried_again() -> None:
    bench = Bench()
    bench.broker.delete_queue(outbound_urgent_queue(ALIAS))
    bench.request()

    async with bench.running() as sender:
        await eventually(lambda: bench.told() == [SENT])
        state = bench.health.state(sender.part)

    assert state is not None
    assert state.code == "topology_missing"


async def test_stop_finishes_what_is_in_flight() -> None:
    bench = Bench()
    bench.request()
    reached, go = bench.mailbox.freeze("send")

    async with bench.running():
        await reached.wait()
        asyncio.get_running_loop().call_later(0.02, go.set)

    assert bench.told() == [SENT]
    assert not bench.broker.messages(outbound_queue(ALIAS))


async def test_stop_does_not_wait_longer_than_it_may() -> None:
    bench = Bench(options=replace(PLENTY, stop_within_seconds=0.05))
    bench.request()
    reached, _ = bench.mailbox.freeze("send")

    async with bench.running():
        await reached.wait()

    assert len(bench.broker.messages(outbound_queue(ALIAS))) == 1
    async with bench.running():
        await eventually(lambda: bench.told() == [SENT])
    assert len(bench.mailbox.submissions) == 1


@pytest.mark.parametrize("method", ["find_drafts", "find_in_ledger", "create_draft"])
async def test_stop_gives_up_a_call_that_hangs_before_anything_was_sent(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.egress.sender._PATIENCE_SECONDS", 0.05)
    bench = Bench()
    bench.request()
    reached, _ = bench.mailbox.freeze(method)

    async with asyncio.timeout(10):
        async with bench.running():
            await reached.wait()

    assert len(bench.broker.messages(outbound_queue(ALIAS))) == 1
    async with bench.running():
        await eventually(lambda: bench.told() == [SENT])
    assert len(bench.mailbox.submissions) == 1


async def test_stop_waits_for_no_probe_that_hangs() -> None:
    bench = Bench()

    async with asyncio.timeout(10):
        async with bench.running():
            await eventually(lambda: len(bench.broker.consumers) == 2)
            reached, _ = bench.mailbox.freeze("begun_since")
            await reached.wait()


async def test_ledger_is_swept_by_age() -> None:
    bench = Bench(options=replace(PLENTY, sweep_every_seconds=0.01, ledger_days=1))
    for number in range(150):
        await bench.mailbox.mark_done(await bench.mailbox.enter_begun(Stamp(f"old-{number}", "a", "d"), 1))
    await bench.mailbox.enter_begun(Stamp("open", "a", "d"), 1)
    bench.clock.seconds += 4 * 86_400
    await bench.mailbox.mark_done(await bench.mailbox.enter_begun(Stamp("new", "a", "d"), 1))

    async with bench.running():
        await eventually(lambda: len(bench.mailbox.entries) <= 2)

    assert {entry.stamp.request_id for entry in bench.mailbox.entries.values()} == {"open", "new"}


async def test_ledger_outlives_requests_whatever_is_configured() -> None:
    bench = Bench(options=replace(PLENTY, sweep_every_seconds=0.01, ledger_days=1, give_up_after_seconds=30 * 86_400))
    await bench.mailbox.mark_done(await bench.mailbox.enter_begun(Stamp("r-1", "a", "d"), 1))
    bench.clock.seconds += 29 * 86_400

    async with bench.running():
        await eventually(lambda: bench.mailbox.calls.count("sweep") >= 3)

    assert len(bench.mailbox.entries) == 1


async def test_request_too_large_to_wait_in_the_broker_is_ended_instead_and_others_go_on() -> None:
    bench = Bench()
    bench.publisher = MemoryPublisher(bench.broker, largest_body_bytes=1500)
    for number in range(5):
        bench.request(f"r-{number}", text="x" * 2000)
    bench.mailbox.fail_next("create_draft", *[CallRefused("ErrorIrresolvableConflict")] * 20)

    async with bench.running():
        await eventually(lambda: len(bench.events()) == 5)
        bench.request("r-9")
        await eventually(lambda: len(bench.events()) == 6)

    assert bench.told() == [("outbound.failed", "too_large_for_broker")] * 5 + [SENT]


async def test_request_too_large_to_wait_stays_in_its_queue_while_its_mailbox_cannot_be_used() -> None:
    bench = Bench()
    bench.publisher = MemoryPublisher(bench.broker, largest_body_bytes=1500)
    bench.request(text="x" * 2000)
    bench.mailbox.broken = MailboxFull()

    async with bench.running():
        await eventually(lambda: bench.clock.seconds >= 60)
        assert not bench.events()
        bench.mailbox.broken = None
        await eventually(lambda: bench.told() == [SENT])


async def test_bug_in_one_request_ends_neither_the_process_nor_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(options=replace(PLENTY, attempts_limit=2))

    def broken(mail: OutboundMail) -> bytes:
        if mail.request_id == "r-1":
            raise LookupError
        return compose(mail)

    monkeypatch.setattr("bridge.egress.draft.compose", broken)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    bench.request()
    bench.request("r-2")

    async with bench.running():
        await eventually(lambda: bool(bench.waiting()) and bool(bench.events()))
        bench.come_back()
        await eventually(lambda: len(bench.events()) == 2)

    assert bench.told() == [SENT, ("outbound.failed", "bridge_error")]


async def test_request_that_alone_meets_an_operator_error_ends_in_the_end() -> None:
    bench = Bench()
    bench.request(headers={"x-bridge-waited-seconds": 2 * 86_400})
    bench.mailbox.fail_next("create_draft", *[MailboxFull()] * 5)

    async with bench.running():
        await eventually(lambda: ("outbound.failed", "mailbox_full") in bench.told())

    assert not bench.mailbox.submissions


def test_pause_that_exchange_asks_for_is_kept_to_the_second_and_a_little_longer() -> None:
    """Mailboxes that were told the same do not all come back in the same moment."""
    waits = set()
    for _ in range(50):
        availability = Availability(ALIAS, InstantClock(), lambda _: None)
        availability.pause(MailboxThrottled(retry_after_seconds=300))
        waits.add(availability.wait_seconds)

    assert all(300 <= wait <= 330 for wait in waits)
    assert len(waits) > 10


def test_pause_that_exchange_asks_for_ends_within_the_hour() -> None:
    availability = Availability(ALIAS, InstantClock(), lambda _: None)

    availability.pause(MailboxThrottled(retry_after_seconds=999_999_999))

    assert availability.wait_seconds == 3600


async def test_send_that_seems_to_be_begun_in_the_future_holds_the_next_one_no_longer_than_a_minute() -> None:
    bench = Bench(options=replace(PLENTY, rate=RateLimits(1, None)))
    await bench.mailbox.mark_done(await bench.mailbox.enter_begun(Stamp("r-0", "a", "d"), 1))
    for entry in bench.mailbox.entries.values():
        entry.at += timedelta(hours=1)
        entry.done_at = entry.at
    bench.request()

    async with bench.running():
        await eventually(lambda: bench.told() == [SENT])

    assert bench.clock.seconds < 70


class _Unanswered(MemoryConsumer):
    """A broker that does not begin to deliver, and says so of the urgent queue."""

    async def deliveries(
        self, queue: str, *, prefetch: int, exclusive: bool, report: ReportTrouble = lambda _: None
    ) -> AsyncGenerator[MemoryDelivery, None]:
        if queue == outbound_urgent_queue(ALIAS) and self.says:
            report(BrokerUnavailable("no leader"))
        await asyncio.Event().wait()
        async for delivery in super().deliveries(queue, prefetch=prefetch, exclusive=exclusive, report=report):
            yield delivery

    says = False


@pytest.mark.parametrize(("says", "status"), [(False, "starting"), (True, "trouble")])
async def test_queue_that_the_broker_does_not_deliver_from_is_not_called_drained(
    says: bool,
    status: str,
) -> None:
    bench = Bench()
    consumer = _Unanswered(bench.broker)
    consumer.says = says
    stop = asyncio.Event()
    sender = bench.sender(consumer)
    task = asyncio.create_task(sender.run(stop))

    await eventually(lambda: bench.mailbox.calls.count("prepare") >= 3)

    state = bench.health.state(sender.part)
    stop.set()
    await task
    assert state is not None
    assert state.status == status


async def test_both_queues_consumed_and_a_usable_mailbox_are_ok() -> None:
    bench = Bench()

    async with bench.running() as sender:
        await eventually(lambda: (state := bench.health.state(sender.part)) is not None and state.status == "ok")


async def test_worker_that_takes_over_counts_what_the_one_before_it_sent() -> None:
    bench = Bench(options=replace(PLENTY, rate=RateLimits(None, 5), consuming=RetryPolicy(0.01, 0.01, 0.01)))
    first, second = asyncio.Event(), asyncio.Event()
    one = asyncio.create_task(bench.sender().run(first))
    await eventually(lambda: len(bench.broker.consumers) == 2)
    two = asyncio.create_task(bench.sender().run(second))
    await eventually(lambda: any(isinstance(e, QueuesElsewhere) for e in bench.emitted))
    for number in range(5):
        bench.request(f"r-{number}")
    await eventually(lambda: bench.told() == [SENT] * 5)

    first.set()
    await one
    bench.request("r-9")
    await eventually(lambda: bool(bench.waiting()))

    second.set()
    await two
    assert bench.retried().headers["x-bridge-reason"] == "rate_limited"
    assert len(bench.mailbox.submissions) == 5


class _Counted(MemoryConsumer):
    asked = 0

    def deliveries(
        self, queue: str, *, prefetch: int, exclusive: bool, report: ReportTrouble = lambda _: None
    ) -> AsyncGenerator[MemoryDelivery, None]:
        self.asked += 1
        return super().deliveries(queue, prefetch=prefetch, exclusive=exclusive, report=report)


async def test_ordinary_queue_is_left_to_the_worker_that_has_the_urgent_one_and_told_once() -> None:
    """Standing by is no trouble: in no log, as often as it is tried, and in no gauge."""
    bench = Bench(options=replace(PLENTY, consuming=RetryPolicy(0.01, 0.01, 0.01)))
    consumer = _Counted(bench.broker)
    stop = asyncio.Event()
    elsewhere = MemoryConsumer(bench.broker).deliveries(outbound_urgent_queue(ALIAS), prefetch=1, exclusive=True)
    holding = asyncio.ensure_future(anext(elsewhere))
    await asyncio.sleep(0)
    sender = bench.sender(consumer)
    task = asyncio.create_task(sender.run(stop))
    await eventually(lambda: consumer.asked >= 10)
    assert sum(isinstance(e, QueuesElsewhere) for e in bench.emitted) == 1
    assert not [e for e in bench.emitted if e.level in {"warning", "error"}]
    [up] = [
        sample.value
        for family in bench.health.collect()
        for sample in family.samples
        if sample.name == "bridge_health_part_up" and sample.labels["part"] == sender.part
    ]
    assert up == 1
    assert [one.queue for one in bench.broker.consumers] == [outbound_urgent_queue(ALIAS)]

    holding.cancel()
    await asyncio.wait({holding})
    await elsewhere.aclose()

    await eventually(lambda: len(bench.broker.consumers) == 2)
    stop.set()
    await task


async def test_urgent_request_is_the_next_that_tries_a_mailbox_after_a_pause() -> None:
    availability, order = Availability(ALIAS, InstantClock(), lambda _: None), list[str]()
    availability.pause(MailboxFull())
    availability.try_again()
    go = asyncio.Event()

    async def attempt(name: str, *, urgent: bool) -> None:
        async with availability.turn(urgent=urgent):
            order.append(name)
            await go.wait()

    async with asyncio.TaskGroup() as tasks:
        for name, urgent in (("first", False), ("second", False), ("urgent", True)):
            tasks.create_task(attempt(name, urgent=urgent))
            await asyncio.sleep(0)
        await eventually(lambda: order == ["first"])
        go.set()

    assert order == ["first", "urgent", "second"]


async def test_a_pause_is_waited_for_before_the_mailbox_is_probed_again() -> None:
    """Refusals of calls already in flight are one failure, not one for each."""
    availability = PauseOptions(first_operator_seconds=300, longest_operator_seconds=300)
    bench = Bench(options=replace(PLENTY, pauses=availability))
    for number in range(6):
        bench.request(f"r-{number}")
    bench.mailbox.fail_next("send", *[MailboxFull("ErrorQuotaExceeded")] * 6)

    async with bench.running():
        await eventually(lambda: any(isinstance(event, DrainingPaused) for event in bench.emitted))
        probes = bench.mailbox.calls.count("begun_since")
        await eventually(lambda: sum(bench.waiting().values()) == 6)
        for _ in range(50):
            await asyncio.sleep(0.001)

        assert bench.mailbox.calls.count("begun_since") == probes
    assert [event.wait_seconds for event in bench.emitted if isinstance(event, DrainingPaused)] == [300]


async def test_reads_whose_answers_are_lost_are_asked_again_and_delay_nothing() -> None:
    """Looks and probes change nothing: a page must not wait in a retry queue for them, nor its mailbox pause."""
    bench = Bench()
    for read in ("find_drafts", "find_in_outbox", "find_in_ledger", "begun_since"):
        bench.mailbox.fail_next(read, *[MailboxUnavailable("ConnectionError")] * 3)
    bench.request()

    async with bench.running():
        await eventually(lambda: any(isinstance(event, RequestEnded) for event in bench.emitted))

    assert [event.attempts for event in bench.emitted if isinstance(event, RequestEnded)] == [1]
    assert not [event for event in bench.emitted if isinstance(event, DrainingPaused)]


@pytest.mark.parametrize(
    ("error", "times"),
    [
        (MailboxUnavailable("ConnectionError"), 4),
        (MailboxUnavailable("Retry-After", retry_after_seconds=7.0), 1),
        (MailboxThrottled("ErrorServerBusy", retry_after_seconds=7.0), 1),
        (MailboxFull(), 1),
    ],
)
async def test_a_read_is_repeated_only_where_no_answer_came(error: BridgeError, times: int) -> None:
    asked = 0

    async def read() -> None:
        nonlocal asked
        asked += 1
        raise error

    with pytest.raises(type(error)):
        await read_again(read, InstantClock())

    assert asked == times


async def test_a_read_that_timed_out_is_not_repeated_at_once() -> None:
    asked, clock = 0, InstantClock()

    async def read() -> None:
        nonlocal asked
        asked += 1
        await clock.sleep(20)
        raise MailboxUnavailable("ReadTimeout")

    with pytest.raises(MailboxUnavailable):
        await read_again(read, clock)

    assert asked == 1


def test_requests_of_a_mailbox_that_is_tried_again_in_a_moment_come_back_soon() -> None:
    availability = Availability(ALIAS, InstantClock(), lambda _: None)
    waits = []
    for _ in range(4):
        availability.still(MailboxUnavailable("ConnectionError"))
        waits.append((availability.wait_seconds, availability.circulation_seconds()))

    assert waits == [(1, 5), (2, 5), (4, 5), (8, 30)]


def test_a_trouble_that_needs_a_person_is_not_waited_out_for_the_failures_of_another() -> None:
    """Three failures of the network and one refused login are no reason for minutes of silence."""
    availability = Availability(ALIAS, InstantClock(), lambda _: None)
    waits = []
    for error in [MailboxUnavailable()] * 3 + [MailboxFull()] * 6 + [MailboxUnavailable()]:
        availability.still(error)
        waits.append(availability.wait_seconds)

    assert waits == [1, 2, 4, 5, 10, 20, 40, 60, 60, 1]
