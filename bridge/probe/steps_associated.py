"""Guesses about associated items: what clients keep in a folder beside its mails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.adapters.ews.folder_ids import distinguished
from bridge.adapters.ews.soap import element
from bridge.probe import requests_ews as ews
from bridge.probe.guesses import Needs, Seen, step

if TYPE_CHECKING:
    from lxml import etree

    from bridge.probe.context import ProbeContext


def _associated(probe: ProbeContext) -> etree._Element:
    subject = element("t:Subject", text=probe.ground.next_name())
    return element("t:Message", subject, element("t:IsAssociated", text="true"))


def _beside(probe: ProbeContext, folder: etree._Element) -> set[str]:
    found = probe.ok(ews.find(folder, traversal="Associated", limit=1000))
    return {str(one.get("Id")) for one in found.all("ItemId")}


def _made(probe: ProbeContext) -> ews.ItemId:
    return ews.id_of(probe.ok(ews.create(probe.ground.folder(), _associated(probe))).first("ItemId"))


@step(122, "an associated item that is deleted to Deleted Items is nowhere any more", needs=Needs.WRITE)
def deleted(probe: ProbeContext) -> Seen:
    trash = distinguished("deleteditems")
    before = _beside(probe, trash)
    made = _made(probe)
    probe.ok(ews.delete_items([made], kind="MoveToDeletedItems"))
    left = made[0] in _beside(probe, probe.ground.folder())
    moved = _beside(probe, trash) - before
    if moved:
        probe.ok(ews.delete_items([(one, "") for one in moved]))
    return Seen(not left and not moved, f"still there: {left}; in Deleted Items: {len(moved)}")


@step(123, "IsAssociated is set when an item is made and never again: ErrorInvalidPropertySet", needs=Needs.WRITE)
def set_later(probe: ProbeContext) -> Seen:
    draft = probe.ground.draft(probe.ground.mail(probe.ground.next_name()))
    value = element("t:IsAssociated", text="true")
    later = probe.code(ews.update(draft, ews.field("item:IsAssociated"), value))
    return Seen(later == "ErrorInvalidPropertySet", f"set later: {later}")
