"""Subscriptions of a probe, which end with the block that has them."""

from __future__ import annotations

import contextlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.adapters.ews.folder_ids import folder_ids
from bridge.adapters.ews.soap import M, T, element
from bridge.probe import private
from bridge.probe.errors import NotCheckable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml import etree

    from bridge.probe.context import ProbeContext

MAIL_EVENTS: Final = ("CreatedEvent", "DeletedEvent", "ModifiedEvent", "MovedEvent", "NewMailEvent")
_EVENTS: Final = frozenset({*MAIL_EVENTS, "CopiedEvent", "StatusEvent", "FreeBusyChangedEvent"})


@dataclass(frozen=True, slots=True)
class Subscription:
    """What Subscribe answered."""

    id: str
    watermark: str


def subscribe_request(
    kind: str, *folders: etree._Element, watermark: etree._Element | None = None, push_url: str | None = None
) -> etree._Element:
    """Return Subscribe of a kind (`Pull`, `Streaming`, `Push`) for folders and all events of mails."""
    events = element("t:EventTypes", *(element("t:EventType", text=event) for event in MAIL_EVENTS))
    parts = [
        *([folder_ids("t:FolderIds", *folders)] if folders else []),
        events,
        *([watermark] if watermark is not None else []),
    ]
    match kind:
        case "Pull":
            parts.append(element("t:Timeout", text="10"))
        case "Push":
            parts += [element("t:StatusFrequency", text="1"), element("t:URL", text=push_url or "")]
    return element("m:Subscribe", element(f"m:{kind}SubscriptionRequest", *parts))


@contextmanager
def subscribed(
    probe: ProbeContext, kind: str, *folders: etree._Element, watermark: etree._Element | None = None
) -> Iterator[Subscription]:
    """Yield a subscription that is ended afterwards; one that cannot be ended goes by itself, ten minutes later."""
    answer = probe.ok(subscribe_request(kind, *folders, watermark=watermark))
    found = answer.all("Watermark")
    made = Subscription(answer.first("SubscriptionId").text or "", (found[0].text or "") if found else "")
    try:
        yield made
    finally:
        with contextlib.suppress(NotCheckable):
            unsubscribe(probe, made)


def unsubscribe(probe: ProbeContext, subscription: Subscription) -> str:
    """End a subscription and return the code."""
    return probe.code(element("m:Unsubscribe", element("m:SubscriptionId", text=subscription.id)))


def get_events(subscription_id: str, watermark: str) -> etree._Element:
    """Return GetEvents."""
    return element(
        "m:GetEvents", element("m:SubscriptionId", text=subscription_id), element("m:Watermark", text=watermark)
    )


def stream_of(*ids: str, minutes: int = 1) -> etree._Element:
    """Return GetStreamingEvents."""
    return element(
        "m:GetStreamingEvents",
        element("m:SubscriptionIds", *(element("t:SubscriptionId", text=one) for one in ids)),
        element("m:ConnectionTimeout", text=str(minutes)),
    )


def events_of(tree: etree._Element) -> list[etree._Element]:
    """Return the events of an answer, in order."""
    return [found for found in tree.iter() if isinstance(found.tag, str) and found.tag.rpartition("}")[2] in _EVENTS]


def name_of(event: etree._Element) -> str:
    """Return an event's name."""
    return str(event.tag).rpartition("}")[2]


def concerns(event: etree._Element, item_id: str) -> bool:
    """Return whether an event is about an item."""
    return any(found.get("Id") == item_id for found in event.iter(f"{T}ItemId", f"{T}OldItemId"))


def response_code(tree: etree._Element) -> str:
    """Return the response code of one envelope of a stream."""
    return private.code(tree.findtext(f".//{M}ResponseCode"))


def connection_status(tree: etree._Element) -> str:
    """Return what a stream says of itself: `OK`, `Closed`, or nothing."""
    found = (tree.findtext(f".//{M}ConnectionStatus") or "").strip()
    return found if found in {"OK", "Closed", ""} else "another status"
