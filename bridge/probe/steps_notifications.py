"""Guesses about notifications. Those that only read make subscriptions, which end with them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from bridge.adapters.ews.folder_ids import distinguished
from bridge.adapters.ews.soap import T, element
from bridge.probe import private
from bridge.probe import requests_ews as ews
from bridge.probe.errors import NotCheckable
from bridge.probe.guesses import Needs, Seen, step
from bridge.probe.subscribing import (
    concerns,
    connection_status,
    events_of,
    get_events,
    name_of,
    response_code,
    stream_of,
    subscribe_request,
    subscribed,
    unsubscribe,
)

if TYPE_CHECKING:
    from lxml import etree

    from bridge.probe.context import ProbeContext

_NOBODY = "https://bridge-probe.invalid/listener"
_STREAM_SECONDS = 20.0
_BEAT_SECONDS = 70.0
_FORMLESS, _UNKNOWN = "ErrorInvalidSubscription", "ErrorSubscriptionNotFound"
_TEXTS = {
    "ErrorInvalidWatermark": "The watermark is invalid.",
    "ErrorInvalidPullSubscriptionId": "The subscription ID must be the ID of a pull subscription.",
    "ErrorInvalidPushSubscriptionUrl": "The push subscription URL is invalid.",
    "ErrorInvalidSubscriptionRequest": "The subscription request is invalid.",
}


def _watermark(text: str, *, of_messages: bool = False) -> etree._Element:
    return element("m:Watermark" if of_messages else "t:Watermark", text=text)


@step(50, "a push subscription is ErrorInvalidPushSubscriptionUrl, whatever the address")
def push(probe: ProbeContext) -> Seen:
    code = probe.code(subscribe_request("Push", distinguished("inbox"), push_url=_NOBODY))
    return Seen(code == "ErrorInvalidPushSubscriptionUrl", code)


@step(51, "events are kept between two connections of a streaming subscription", needs=Needs.WRITE)
def kept_events(probe: ProbeContext) -> Seen:
    folder = probe.ground.subfolder()
    with subscribed(probe, "Streaming", folder) as subscription:
        request = stream_of(subscription.id)
        with probe.wire.stream(request, seconds=_STREAM_SECONDS) as envelopes:
            next(envelopes, None)
        made = probe.ground.draft(probe.ground.mail(probe.ground.next_name()), folder=folder)
        until = time.monotonic() + _STREAM_SECONDS
        with probe.wire.stream(stream_of(subscription.id), seconds=_STREAM_SECONDS) as envelopes:
            for envelope in envelopes:
                if any(concerns(event, made[0]) for event in events_of(envelope)):
                    return Seen(same=True, what="the next connection told what happened between")
                if time.monotonic() > until:
                    break
    return Seen(same=False, what=f"in {_STREAM_SECONDS:.0f} s the next connection told nothing of it")


@step(52, "a second connection takes a subscription over, the first is told ErrorNewEventStreamConnectionOpened")
def two_connections(probe: ProbeContext) -> Seen:
    begun, said = threading.Event(), list[str]()

    def listen(subscription_id: str) -> None:
        try:
            with probe.wire.stream(stream_of(subscription_id), seconds=_STREAM_SECONDS) as envelopes:
                for envelope in envelopes:
                    code = response_code(envelope)
                    said.append(code if code != "NoError" else connection_status(envelope) or "events")
                    begun.set()
        except NotCheckable:
            said.append("no stream")
        finally:
            begun.set()

    with subscribed(probe, "Streaming", distinguished("inbox")) as subscription:
        first = threading.Thread(target=listen, args=[subscription.id], daemon=True)
        first.start()
        if not begun.wait(_STREAM_SECONDS) or not said or said[0] != "OK":
            raise NotCheckable("the first connection did not begin")
        with probe.wire.stream(stream_of(subscription.id), seconds=_STREAM_SECONDS) as envelopes:
            second = next(envelopes, None)
            first.join(_STREAM_SECONDS)
    told = connection_status(second) if second is not None else "nothing"
    last = said[-1] if not first.is_alive() else "nothing"
    same = told == "OK" and last == "ErrorNewEventStreamConnectionOpened"
    return Seen(same, f"the second is told {told}, the first at the end {last}")


@step(53, "a stream begins with OK, gives a StatusEvent after 45 silent seconds and ends with Closed",
      needs=Needs.THOROUGH)  # fmt: skip
def beat(probe: ProbeContext) -> Seen:
    folder = probe.ground.subfolder()
    said: list[str] = []
    started = time.monotonic()
    beat_after = 0.0
    with (
        subscribed(probe, "Streaming", folder) as subscription,
        probe.wire.stream(stream_of(subscription.id, minutes=1), seconds=_BEAT_SECONDS) as envelopes,
    ):
        for envelope in envelopes:
            if status := connection_status(envelope):
                said.append(status)
            if any(name_of(event) == "StatusEvent" for event in events_of(envelope)) and not beat_after:
                beat_after = time.monotonic() - started
    same = said[:1] == ["OK"] and said[-1:] == ["Closed"] and 40 <= beat_after <= 50
    beats = f"a StatusEvent after {beat_after:.0f} s" if beat_after else "no StatusEvent"
    return Seen(
        same, f"begins with {said[0] if said else 'nothing'}, {beats}, ends with {said[-1] if said else 'nothing'}"
    )


@step(54, "a stream with a formless id is ErrorInvalidSubscription, with one that ended ErrorSubscriptionNotFound")
def bad_ids(probe: ProbeContext) -> Seen:
    with subscribed(probe, "Streaming", distinguished("inbox")) as subscription:
        ended = subscription.id
    formless, unknown = probe.code(stream_of("not an id")), probe.code(stream_of(ended))
    both = probe.code(stream_of(ended, "not an id"))
    same = (formless, unknown, both) == (_FORMLESS, _UNKNOWN, _UNKNOWN)
    return Seen(same, f"formless: {formless}; ended: {unknown}; the ended one first, then the other: {both}")


@step(56, "arrived mail is CreatedEvent and NewMailEvent, a move MovedEvent, a soft deletion DeletedEvent",
      needs=Needs.WRITE)  # fmt: skip
def events_of_arrival(probe: ProbeContext) -> Seen:
    own = probe.ground.subfolder()
    with (
        subscribed(probe, "Pull", distinguished("inbox")) as inbox,
        subscribed(probe, "Pull", own) as elsewhere,
    ):
        subject = probe.ground.next_name()
        arrived = probe.ground.send_and_receive(subject, probe.ground.mail(subject))
        events = events_of(probe.ok(get_events(inbox.id, inbox.watermark)).first("Notification"))
        mail = [name_of(event) for event in events if concerns(event, arrived.id[0])]
        counted = any(event.find(f".//{T}UnreadCount") is not None for event in events)
        moved = ews.id_of(probe.ok(ews.move(arrived.id, own)).first("ItemId"))
        probe.ok(ews.delete_items([moved], kind="SoftDelete"))
        after = events_of(probe.ok(get_events(elsewhere.id, elsewhere.watermark)).first("Notification"))
        then = [name_of(event) for event in after if concerns(event, moved[0])]
    same = mail == ["CreatedEvent", "NewMailEvent"] and counted and then == ["MovedEvent", "DeletedEvent"]
    count = "with" if counted else "without"
    return Seen(
        same, f"arrival: {' '.join(mail) or 'nothing'}, {count} UnreadCount; moved and deleted: {' '.join(then)}"
    )


@step(57, "a watermark of an ended subscription is good for another; an answer tells 50 changes", needs=Needs.WRITE)
def watermarks(probe: ProbeContext) -> Seen:
    folder = probe.ground.subfolder()
    with subscribed(probe, "Pull", folder) as subscription:
        watermark = subscription.watermark
        unsubscribe(probe, subscription)
    messages = [ews.mime_message(probe.ground.mail(probe.ground.next_name())) for _ in range(60)]
    probe.ok(ews.create(folder, *messages))
    with subscribed(probe, "Pull", folder, watermark=_watermark(watermark)) as again:
        answer = probe.ok(get_events(again.id, watermark))
        told = len([event for event in events_of(answer.first("Notification")) if event.find(f"{T}ItemId") is not None])
    unknown = probe.code(subscribe_request("Pull", folder, watermark=_watermark("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==")))
    same = 0 < told <= 50 and unknown == "ErrorInvalidWatermark"
    return Seen(same, f"of 60 changes since, {told} in the first answer; a made-up one: {unknown}")


@step(58, "the texts of four refusals of subscriptions")
def texts(probe: ProbeContext) -> Seen:
    inbox = distinguished("inbox")
    with subscribed(probe, "Pull", inbox) as pull, subscribed(probe, "Streaming", inbox) as streaming:
        answers = {
            "ErrorInvalidWatermark": subscribe_request("Pull", inbox, watermark=_watermark("not a watermark")),
            "ErrorInvalidPullSubscriptionId": get_events(streaming.id, pull.watermark),
            "ErrorInvalidPushSubscriptionUrl": subscribe_request("Push", inbox, push_url="http://"),
            "ErrorInvalidSubscriptionRequest": subscribe_request("Pull"),
        }
        same, told = True, []
        for code, request in answers.items():
            answer = probe.call(request)
            same = same and (answer.code, answer.text) == (code, _TEXTS[code])
            told.append(f"{answer.code}: {private.sentence(answer.text)}")
    return Seen(same, "; ".join(told))


@step(59, "a Watermark in the namespace of messages is refused by the schema")
def wrong_namespace(probe: ProbeContext) -> Seen:
    with subscribed(probe, "Pull", distinguished("inbox")) as subscription:
        watermark = _watermark(subscription.watermark, of_messages=True)
        code = probe.code(subscribe_request("Pull", distinguished("inbox"), watermark=watermark))
    return Seen(code == "ErrorSchemaValidation", code)
