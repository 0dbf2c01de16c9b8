"""The guess about drafts that are made in parts: the mail, attachments one by one, the stamp last."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from bridge.adapters.ews.soap import T, element
from bridge.adapters.ews.stamps import REQUEST_ID, uri, written
from bridge.probe import requests_ews as ews
from bridge.probe.guesses import Needs, Seen, step

if TYPE_CHECKING:
    from lxml import etree

    from bridge.probe.context import ProbeContext
    from bridge.probe.requests_ews import ItemId

_CONTENT: Final = base64.b64encode(b"a part of a draft\r\n").decode("ascii")


def _stamped(probe: ProbeContext, found: ItemId) -> etree._Element:
    value = written({REQUEST_ID: probe.ground.run})[0]
    return ews.update(found, uri(REQUEST_ID), value, conflict="NeverOverwrite")


def _attached(probe: ProbeContext, draft: ItemId, name: str) -> ItemId:
    attachment = element(
        "t:FileAttachment",
        element("t:Name", text=name),
        element("t:ContentType", text="text/plain"),
        element("t:IsInline", text="false"),
        element("t:Content", text=_CONTENT),
    )
    request = element(
        "m:CreateAttachment", element("m:ParentItemId", Id=draft[0]), element("m:Attachments", attachment)
    )
    return draft[0], probe.ok(request).first("AttachmentId").get("RootItemChangeKey") or ""


@step(153, "the change key of the last CreateAttachment stamps a draft, older ones do not; the stamp's key sends it",
      needs=Needs.WRITE)  # fmt: skip
def in_parts(probe: ProbeContext) -> Seen:
    subject = probe.ground.next_name()
    draft = probe.ground.draft(probe.ground.mail(subject))
    one = _attached(probe, draft, "one.txt")
    two = _attached(probe, draft, "two.txt")
    stale = [probe.code(_stamped(probe, key)) for key in (draft, one)]
    stamped = ews.id_of(probe.ok(_stamped(probe, two)).first("ItemId"))
    arrived = probe.ground.arrived(subject, since=probe.ground.send(stamped, subject))
    shown = probe.ground.item(arrived.id, ews.field("item:Attachments"))
    names = sorted(name.text or "" for name in shown.iter(f"{T}Name") if name.text in {"one.txt", "two.txt"})
    same = set(stale) == {"ErrorIrresolvableConflict"} and names == ["one.txt", "two.txt"]
    return Seen(same, f"older keys: {', '.join(stale)}; the last one: NoError; attachments that arrived: {len(names)}")
