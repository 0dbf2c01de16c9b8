"""A subscriber's queue that refuses events, or says nothing, holds up no request; the queue `mail.events` has them."""

from __future__ import annotations

import asyncio

import pytest

from bridge.errors import (
    BridgeError,
    BrokerUnavailable,
    PublishRefused,
    PublishUnconfirmed,
    PublishUnroutable,
    TopologyMissing,
)
from bridge.ports.broker import Message, PublishReceipt
from bridge.telemetry.broker_events import EventMissed, EventSubscriberHealed, EventSubscriberRefused
from bridge.telemetry.egress_events import RequestEnded
from bridge.telemetry.events import Event
from bridge.telemetry.health import Health
from bridge.wire.topology import EVENTS, EVENTS_DEFAULT, INBOUND, OUTBOUND
from bridge.worker.event_publisher import PART, EventPublisher
from tests.support.clock import InstantClock
from tests.support.memory.broker import MemoryPublisher
from tests.unit.egress.harness import Bench, eventually
from tests.unit.ingest.doubles import ScriptedPublisher

SENT = "outbound.sent"


def an_event(event: str = SENT) -> Message:
    return Message(EVENTS, event, b"{}", "e-1", "mail.event.v1")


class Stage:
    """An event publisher over one that answers as a test says."""

    def __init__(self) -> None:
        self.inner = ScriptedPublisher()
        self.clock = InstantClock()
        self.told: list[Event] = []
        self.health = Health(monotonic=self.clock.monotonic)
        self.publisher = EventPublisher(self.inner, self.clock, self.told.append, patience_seconds=0.05)

    def answer(self, subscribers: BridgeError | None, default: BridgeError | None = None) -> None:
        self.inner.answer = lambda message: subscribers if message.amqp_exchange == EVENTS else default

    @property
    def written(self) -> list[str]:
        return [message.amqp_exchange for message in self.inner.published]

    def code(self) -> str | None:
        self.publisher.show(self.health)
        state = self.health.state(PART)
        return state.code if state is not None else None


async def test_an_event_that_every_queue_takes_is_published_once() -> None:
    stage = Stage()

    assert await stage.publisher.publish(an_event()) == PublishReceipt("e-1")

    assert stage.written == [EVENTS]
    assert stage.told == []
    assert stage.code() is None


async def test_an_event_that_a_queue_refuses_has_a_receipt_once_the_default_queue_has_it() -> None:
    stage = Stage()
    stage.answer(PublishRefused())

    assert await stage.publisher.publish(an_event()) == PublishReceipt("e-1")

    assert stage.written == [EVENTS, EVENTS_DEFAULT]
    assert {message.message_id for message in stage.inner.published} == {"e-1"}


@pytest.mark.parametrize("default", [PublishRefused(), PublishUnconfirmed(), PublishUnroutable()])
async def test_without_a_confirm_of_the_default_queue_there_is_no_receipt(default: BridgeError) -> None:
    """It may be full by a policy, without a leader, or gone: the nack of a subscriber says nothing of it."""
    stage = Stage()
    stage.answer(PublishRefused(), default)

    with pytest.raises(PublishRefused):
        await stage.publisher.publish(an_event())

    assert stage.told == []


@pytest.mark.parametrize("error", [BrokerUnavailable(), PublishUnroutable(), TopologyMissing()])
async def test_what_is_no_refusal_of_a_queue_ends_the_publish_as_before(error: BridgeError) -> None:
    stage = Stage()
    stage.answer(error)

    with pytest.raises(type(error)):
        await stage.publisher.publish(an_event())

    assert stage.written == [EVENTS]


@pytest.mark.parametrize("amqp_exchange", [INBOUND, OUTBOUND, "mail.dead"])
async def test_a_mail_that_is_refused_is_refused(amqp_exchange: str) -> None:
    """Only of events is it enough that one queue has them."""
    stage = Stage()
    stage.inner.answer = lambda _: PublishRefused()

    with pytest.raises(PublishRefused):
        await stage.publisher.publish(Message(amqp_exchange, "dispatch.mail", b"{}", "m-1", "mail.inbound.v1"))

    assert stage.written == [amqp_exchange]


async def test_a_subscriber_that_gives_no_answer_is_waited_for_once_and_not_for_each_event() -> None:
    stage = Stage()
    silent: list[asyncio.Future[PublishReceipt]] = []
    answered = stage.inner.publish

    def publish(message: Message) -> asyncio.Future[PublishReceipt]:
        if message.amqp_exchange != EVENTS:
            return answered(message)
        silent.append(asyncio.get_running_loop().create_future())
        return silent[-1]

    stage.inner.publish = publish  # type: ignore[method-assign]
    await asyncio.wait_for(stage.publisher.publish(an_event()), 20)
    stage.publisher._patience_seconds = 3_600.0

    for _ in range(20):
        await asyncio.wait_for(stage.publisher.publish(an_event()), 20)

    assert stage.code() == "event_subscriber_refuses"
    for future in silent:
        future.set_exception(PublishUnconfirmed())
    await asyncio.sleep(0)
    assert len([one for one in stage.told if isinstance(one, EventMissed)]) == 21


async def test_people_are_told_once_which_event_is_refused_and_once_that_it_is_taken_again() -> None:
    stage = Stage()
    stage.answer(PublishRefused())
    for _ in range(3):
        await stage.publisher.publish(an_event())

    stage.publisher.show(stage.health)
    state = stage.health.state(PART)
    stage.answer(None)
    await stage.publisher.publish(an_event())
    await eventually(lambda: isinstance(stage.told[-1], EventSubscriberHealed))

    assert state is not None
    assert (state.status, state.code, state.detail) == ("warning", "event_subscriber_refuses", f"{SENT} (3 missed)")
    assert stage.told == [
        EventSubscriberRefused(SENT, "publish_refused"),
        *[EventMissed(SENT, "publish_refused")] * 3,
        EventSubscriberHealed(SENT, 3),
    ]
    assert stage.code() is None


async def test_an_event_of_another_kind_says_nothing_of_the_refused_one() -> None:
    stage = Stage()
    stage.answer(PublishRefused())
    await stage.publisher.publish(an_event())
    stage.answer(None)

    await stage.publisher.publish(an_event("outbound.failed"))

    assert stage.written == [EVENTS, EVENTS_DEFAULT, EVENTS]
    assert stage.code() == "event_subscriber_refuses"


async def test_the_warning_ends_an_hour_after_the_last_event_that_was_missed() -> None:
    stage = Stage()
    stage.answer(PublishRefused())
    await stage.publisher.publish(an_event())

    stage.clock.seconds += 3_599
    assert stage.code() == "event_subscriber_refuses"
    stage.clock.seconds += 2

    assert stage.code() is None


async def test_a_missing_right_to_the_default_exchange_costs_others_their_channel_once_a_minute_at_most() -> None:
    stage = Stage()
    stage.answer(PublishRefused(), TopologyMissing())
    with pytest.raises(TopologyMissing):
        await stage.publisher.publish(an_event())

    for _ in range(10):
        with pytest.raises(PublishRefused):
            await stage.publisher.publish(an_event())
    stage.clock.seconds += 61
    with pytest.raises(TopologyMissing):
        await stage.publisher.publish(an_event())

    assert stage.written.count(EVENTS_DEFAULT) == 2


class FullSubscriber(MemoryPublisher):
    """A broker where a queue bound to `mail.events` refuses; the queue `mail.events` stores what is published."""

    def publish(self, message: Message) -> asyncio.Future[PublishReceipt]:
        future = super().publish(message)
        if message.amqp_exchange == EVENTS:
            future.set_exception(PublishRefused())
        return future


async def test_requests_go_out_at_their_ordinary_pace_while_a_subscriber_refuses_every_event() -> None:
    bench = Bench()
    publisher = FullSubscriber(bench.broker)
    bench.publisher = EventPublisher(publisher, bench.clock, bench.emitted.append)  # type: ignore[assignment]
    for number in range(12):
        bench.request(f"r-{number}")

    async with bench.running():
        await eventually(lambda: sum(isinstance(event, RequestEnded) for event in bench.emitted) == 12)

    assert len(bench.mailbox.submissions) == 12
    told = [(event.event, event.request_id) for event in bench.events()]
    assert set(told) == {(SENT, f"r-{number}") for number in range(12)}
    assert max(map(told.count, told)) <= 2
