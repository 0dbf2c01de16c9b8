"""Guesses about searches and conversations. Those that only read look for what no mailbox holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.adapters.ews import stamps
from bridge.adapters.ews.folder_ids import distinguished, folder_ids
from bridge.adapters.ews.soap import T, element
from bridge.probe import requests_ews as ews
from bridge.probe.guesses import Needs, Seen, step

if TYPE_CHECKING:
    from lxml import etree

    from bridge.probe.context import ProbeContext

_NOWHERE: Final = "bridge-probe-nowhere"


def _find(*parts: etree._Element, words: str | None = None) -> etree._Element:
    """Return FindItem in the inbox with parts between the view and the folder, and words after it."""
    return element(
        "m:FindItem",
        ews.shape(),
        element("m:IndexedPageItemView", MaxEntriesReturned="1", Offset="0", BasePoint="Beginning"),
        *parts,
        folder_ids("m:ParentFolderIds", distinguished("inbox")),
        *([element("m:QueryString", text=words)] if words is not None else []),
        Traversal="Shallow",
    )


def _restricted(restriction: etree._Element) -> etree._Element:
    return _find(element("m:Restriction", restriction))


@step(85, "Contains of a number is ErrorContainsFilterWrongType, Excludes of a text ErrorInvalidExcludesRestriction")
def wrong_types(probe: ProbeContext) -> Seen:
    excludes = element("t:Excludes", ews.field("item:Subject"), element("t:Bitmask", Value="1"))
    part = probe.code(_restricted(ews.contains("item:Size", "1")))
    mask = probe.code(_restricted(excludes))
    same = (part, mask) == ("ErrorContainsFilterWrongType", "ErrorInvalidExcludesRestriction")
    return Seen(same, f"Contains: {part}; Excludes: {mask}")


@step(86, "a word with a colon that is no property is a word of a QueryString, a Restriction beside it is refused")
def query_strings(probe: ProbeContext) -> Seen:
    unknown = probe.code(_find(words="shade:dark"))
    restriction = element("m:Restriction", ews.contains("item:Subject", _NOWHERE))
    both = probe.code(_find(restriction, words=f"subject:{_NOWHERE}"))
    same = (unknown, both) == ("NoError", "ErrorInvalidOperation")
    return Seen(same, f"unknown property: {unknown}; both: {both}")


@step(87, "SoftDeleted in any folder shows what lies in Recoverable Items", needs=Needs.WRITE)
def soft_deleted(probe: ProbeContext) -> Seen:
    subject = probe.ground.next_name()
    draft = probe.ground.draft(probe.ground.mail(subject), folder=probe.ground.subfolder())
    probe.ok(ews.delete_items([draft], kind="SoftDelete"))
    restriction = ews.equals(ews.field("item:Subject"), subject)
    elsewhere = probe.call(ews.find(distinguished("drafts"), restriction, traversal="SoftDeleted"))
    found = len(elsewhere.all("ItemId"))
    return Seen(found == 1, f"{elsewhere.code}, {found} found from another folder")


@step(88, "GroupBy is served: the total counts items, not groups")
def groups(probe: ProbeContext) -> Seen:
    received = ews.field("item:DateTimeReceived")
    aggregate = element("t:AggregateOn", received, Aggregate="Maximum")
    grouped = probe.call(_find(element("m:GroupBy", ews.field("item:ItemClass"), aggregate, Order="Descending")))
    plain = probe.call(_find())

    def total(found: etree._Element) -> str | None:
        return found.get("TotalItemsInView")

    if grouped.code != "NoError" or plain.code != "NoError":
        return Seen(same=False, what=f"grouped: {grouped.code}")
    same = total(grouped.first("RootFolder")) == total(plain.first("RootFolder"))
    return Seen(same, "the same total" if same else "another total")


@step(89, "mails of one topic are one conversation, whatever their conversation index", needs=Needs.WRITE)
def conversations(probe: ProbeContext) -> Seen:
    subject = probe.ground.next_name()
    wanted = ews.field("item:ConversationId")
    found = set()
    for start in ("", "RE: "):
        draft = probe.ground.draft(probe.ground.mail(start + subject))
        identifier = probe.ground.item(draft, wanted).find(f"{T}ConversationId")
        found.add(None if identifier is None else identifier.get("Id"))
    return Seen(len(found) == 1 and None not in found, f"{len(found)} conversations")


@step(
    151,
    "a folder keeps its id when it is moved, and FindFolder Deep finds it by a property of one's own",
    needs=Needs.WRITE,
)
def folder_by_property(probe: ProbeContext) -> Seen:
    folder, parent = probe.ground.subfolder(), probe.ground.subfolder()
    mark, value = stamps.uri(stamps.STATE), probe.ground.next_name()
    made = element("t:Folder", element("t:ExtendedProperty", mark, element("t:Value", text=value)))
    change = element("t:SetFolderField", stamps.uri(stamps.STATE), made)
    changes = element("t:FolderChange", folder, element("t:Updates", change))
    marked = probe.code(element("m:UpdateFolder", element("m:FolderChanges", changes)))
    into = folder_ids("m:ToFolderId", parent)
    moved = probe.code(element("m:MoveFolder", into, folder_ids("m:FolderIds", folder)))
    search = element(
        "m:FindFolder",
        element("m:FolderShape", element("t:BaseShape", text="IdOnly")),
        element("m:IndexedPageFolderView", MaxEntriesReturned="10", Offset="0", BasePoint="Beginning"),
        element("m:Restriction", stamps.equals(stamps.STATE, value)),
        folder_ids("m:ParentFolderIds", probe.ground.folder()),
        Traversal="Deep",
    )
    found = [one.get("Id") for one in probe.ok(search).all("FolderId")]
    same = found == [folder.get("Id")]
    return Seen(same, f"UpdateFolder: {marked}; MoveFolder: {moved}; found: {len(found)}, with its id: {same}")
