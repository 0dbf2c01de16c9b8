"""Guesses about synchronisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.adapters.ews.folder_ids import distinguished, folder_ids
from bridge.adapters.ews.soap import T, element
from bridge.probe import requests_ews as ews
from bridge.probe.guesses import Needs, Seen, step

if TYPE_CHECKING:
    from lxml import etree

    from bridge.probe.context import ProbeContext
    from bridge.probe.requests_ews import ItemId
    from bridge.probe.wire import Answer


_MOST_ROUNDS = 20


def _changes(answer: Answer) -> list[tuple[str, str]]:
    """Return what a synchronisation tells: the kind of each change and the id that it is about."""
    found = answer.first("Changes")
    ids = [(str(one.tag).rpartition("}")[2], one.find(f".//{T}ItemId")) for one in found]
    return [(kind, shown.get("Id") or "") for kind, shown in ids if shown is not None]


def _state(answer: Answer) -> str:
    return answer.first("SyncState").text or ""


def _drafts(probe: ProbeContext, folder: etree._Element, count: int) -> list[ItemId]:
    return [probe.ground.draft(probe.ground.mail(probe.ground.next_name()), folder=folder) for _ in range(count)]


@step(45, "a sync tells new items first, in the order of their making, then changes", needs=Needs.WRITE)
def order_of_changes(probe: ProbeContext) -> Seen:
    folder = probe.ground.subfolder()
    made = _drafts(probe, folder, 4)
    first = probe.ok(ews.sync(folder, limit=2))
    probe.ok(ews.set_subject(made[0], probe.ground.next_name(), conflict="AlwaysOverwrite"))
    made += _drafts(probe, folder, 1)
    changes, answer = _changes(first), first
    for _ in range(_MOST_ROUNDS):
        answer = probe.ok(ews.sync(folder, state=_state(answer)))
        if not (more := _changes(answer)):
            break
        changes += more
    names = {found[0]: str(number) for number, found in enumerate(made, 1)}
    told = [f"{kind} {names.get(one, 'another')}" for kind, one in changes]
    expected = ["Create 1", "Create 2", "Create 3", "Create 4", "Create 5", "Update 1"]
    return Seen(told == expected, ", ".join(told))


@step(46, "ReadFlagChange comes when nothing but the read flag changed, Update otherwise", needs=Needs.WRITE)
def read_flag(probe: ProbeContext) -> Seen:
    folder = probe.ground.subfolder()
    flagged, both = _drafts(probe, folder, 2)
    state = _state(probe.ok(ews.sync(folder)))
    for found in (flagged, both):
        shown = probe.ground.item(found, ews.field("message:IsRead")).findtext(f"{T}IsRead")
        flipped = element("t:IsRead", text="false" if shown == "true" else "true")
        probe.ok(ews.update(found, ews.field("message:IsRead"), flipped))
    probe.ok(ews.set_subject(both, probe.ground.next_name(), conflict="AlwaysOverwrite"))
    told = {one: kind for kind, one in _changes(probe.ok(ews.sync(folder, state=state)))}
    read, renamed = told.get(flagged[0], "nothing"), told.get(both[0], "nothing")
    return Seen((read, renamed) == ("ReadFlagChange", "Update"), f"read alone: {read}; read and renamed: {renamed}")


@step(47, "a state of another folder and a damaged one are ErrorInvalidSyncStateData")
def refused_states(probe: ProbeContext) -> Seen:
    state = _state(probe.ok(ews.sync(distinguished("inbox"), limit=1)))
    other = probe.code(ews.sync(distinguished("sentitems"), state=state, limit=1))
    damaged = probe.code(ews.sync(distinguished("inbox"), state=state[: len(state) // 8 * 4], limit=1))
    same = other == damaged == "ErrorInvalidSyncStateData"
    return Seen(same, f"another folder's: {other}; damaged: {damaged}")


@step(48, "SyncFolderItems gives bodies and MIME where they are asked for", needs=Needs.WRITE)
def bodies_in_sync(probe: ProbeContext) -> Seen:
    folder = probe.ground.subfolder()
    _drafts(probe, folder, 1)
    fields = [ews.field("item:Body"), ews.field("item:MimeContent")]
    answer = probe.call(ews.sync(folder, fields=fields))
    there = [name for name in ("Body", "MimeContent") if answer.all(name)]
    return Seen(there == ["Body", "MimeContent"], f"{answer.code}, with {' and '.join(there) or 'neither'}")


@step(49, "SyncFolderHierarchy without a folder begins at the root; a folder deleted takes all below it along",
      needs=Needs.WRITE)  # fmt: skip
def hierarchy(probe: ProbeContext) -> Seen:
    def request(state: str = "", *, root: bool = False) -> etree._Element:
        return element(
            "m:SyncFolderHierarchy",
            element("m:FolderShape", element("t:BaseShape", text="IdOnly")),
            *([folder_ids("m:SyncFolderId", distinguished("root"))] if root else []),
            *([element("m:SyncState", text=state)] if state else []),
        )

    own = probe.ground.subfolder()
    below = probe.ok(
        element(
            "m:CreateFolder",
            folder_ids("m:ParentFolderId", own),
            element("m:Folders", element("t:Folder", element("t:DisplayName", text=probe.ground.next_name()))),
        )
    ).first("FolderId")
    plain, rooted = probe.ok(request()), probe.ok(request(root=True))
    ids = [{found.get("Id") for found in answer.all("FolderId")} for answer in (plain, rooted)]
    probe.ok(element("m:DeleteFolder", folder_ids("m:FolderIds", own), DeleteType="HardDelete"))
    after = probe.ok(request(_state(plain)))
    gone = {
        found.get("Id") for change in after.first("Changes").iter(f"{T}Delete") for found in change.iter(f"{T}FolderId")
    }
    deleted = len(gone & {own.get("Id"), below.get("Id")})
    same = ids[0] == ids[1] and deleted == 2
    words = "the same folders" if ids[0] == ids[1] else f"{len(ids[0])} and {len(ids[1])} folders"
    return Seen(same, f"without a folder and with the root: {words}; of two deleted, {deleted} were told")
