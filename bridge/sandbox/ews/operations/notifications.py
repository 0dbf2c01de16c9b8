"""Subscribe, Unsubscribe and GetEvents. GetStreamingEvents answers for as long as it likes: see `streaming`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.context import batch, child, children
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.events import read_events, status_event
from bridge.sandbox.ews.subscriptions import read_watermark, watermark
from bridge.sandbox.store import changes

if TYPE_CHECKING:
    import sqlite3

    from lxml import etree

    from bridge.sandbox.ews.context import Context

_SECONDS_A_MINUTE: Final = 60


def subscribe(context: Context, request: etree._Element) -> str:
    """Make a subscription that tells events from now on, or for a pull subscription from a watermark on."""

    def do(wanted: etree._Element) -> str:
        kind = str(wanted.tag).rpartition("}")[2]
        if kind == "PushSubscriptionRequest":
            # Exchange calls back; from a sandbox that opens no connection to anywhere there is no such URL.
            raise EwsError("ErrorInvalidPushSubscriptionUrl")
        mailbox = context.own_mailbox()
        watched = _folders(context, db, wanted)
        events = frozenset((node.text or "").strip() for node in wanted.iter(xml.T + "EventType"))
        place = changes.last(db)
        if kind == "StreamingSubscriptionRequest":
            made = context.subscriptions.add(
                mailbox, context.caller, streaming=True, folders=watched, events=events, place=place
            )
            return f"<m:SubscriptionId>{made.id}</m:SubscriptionId>"
        given = wanted.findtext(xml.T + "Watermark")
        if given is not None:
            place = _place(db, given)
        minutes = int((wanted.findtext(xml.T + "Timeout") or "").strip())
        made = context.subscriptions.add(
            mailbox,
            context.caller,
            streaming=False,
            folders=watched,
            events=events,
            place=place,
            idle_seconds=minutes * _SECONDS_A_MINUTE,
        )
        return f"<m:SubscriptionId>{made.id}</m:SubscriptionId><m:Watermark>{watermark(place)}</m:Watermark>"

    with context.store.reading() as db:
        return batch(context, "Subscribe", children(request)[:1], do)


def unsubscribe(context: Context, request: etree._Element) -> str:
    """End a subscription."""

    def do(node: etree._Element) -> str:
        context.subscriptions.remove(context.subscriptions.find((node.text or "").strip(), context.caller))
        return ""

    return batch(context, "Unsubscribe", [child(request, "SubscriptionId")], do)


def get_events(context: Context, request: etree._Element) -> str:
    """Answer what happened after a watermark, or that nothing did."""

    def do(node: etree._Element) -> str:
        subscription = context.subscriptions.find((node.text or "").strip(), context.caller)
        if subscription.streaming:
            raise EwsError("ErrorInvalidPullSubscriptionId")
        given = (child(request, "Watermark").text or "").strip()
        place = _place(db, given)
        page = read_events(db, subscription, place, watermarks=True)
        subscription.place = page.place
        shown = "".join(page.events) or status_event(page.place, watermarks=True)
        return (
            f"<m:Notification><t:SubscriptionId>{subscription.id}</t:SubscriptionId>"
            f"<t:PreviousWatermark>{watermark(place)}</t:PreviousWatermark>"
            f"<t:MoreEvents>{xml.boolean(page.more)}</t:MoreEvents>{shown}</m:Notification>"
        )

    with context.store.reading() as db:
        return batch(context, "GetEvents", [child(request, "SubscriptionId")], do)


def _folders(context: Context, db: sqlite3.Connection, wanted: etree._Element) -> frozenset[int] | None:
    """Return the numbers of the folders to watch, None for all."""
    ids = wanted.find(xml.T + "FolderIds")
    if xml.truth(wanted.get("SubscribeToAllFolders")):
        if ids is not None:
            raise EwsError("ErrorInvalidSubscriptionRequest")
        return None
    if ids is None:
        raise EwsError("ErrorInvalidSubscriptionRequest")
    found = set()
    for node in children(ids):
        mailbox, folder = context.folder_of(db, node)
        if mailbox.id != context.own_mailbox().id:
            raise EwsError("ErrorSubscriptionDelegateAccessNotSupported")
        found.add(folder.id)
    return frozenset(found)


def _place(db: sqlite3.Connection, given: str) -> int:
    place = read_watermark(given)
    if not changes.is_kept(db, place):
        raise EwsError("ErrorInvalidWatermark")
    return place
