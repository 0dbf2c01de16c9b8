"""Guesses about whose mailbox is opened."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from bridge.adapters.ews.folder_ids import distinguished, folder_ids, name_mailbox
from bridge.adapters.ews.soap import element
from bridge.probe.guesses import Seen, step

if TYPE_CHECKING:
    from lxml import etree

    from bridge.probe.context import ProbeContext

_NOBODY = "nobody@bridge.invalid"


def _inbox() -> etree._Element:
    shape = element("m:FolderShape", element("t:BaseShape", text="IdOnly"))
    return element("m:GetFolder", shape, folder_ids("m:FolderIds", distinguished("inbox")))


@step(
    160, "ConvertId of an EwsId answers the primary address of the mailbox that the id lies in, whatever it was asked"
)
def whose_an_id_is(probe: ProbeContext) -> Seen:
    inbox = probe.ok(_inbox()).first("FolderId").get("Id") or ""
    source = element("t:AlternateId", Format="EwsId", Id=inbox, Mailbox=_NOBODY)
    answer = probe.ok(element("m:ConvertId", element("m:SourceIds", source), DestinationFormat="HexEntryId"))
    told = (answer.first("AlternateId").get("Mailbox") or "").lower()
    known = {probe.wire.target.address.lower(): "the mailbox's address", _NOBODY: "what it was asked", "": "nothing"}
    return Seen(told == probe.wire.target.address.lower(), known.get(told, "another address"))


@step(161, "the inbox of a mailbox that does not exist is ErrorNonExistentMailbox, whoever asks")
def nobodys_inbox(probe: ProbeContext) -> Seen:
    request = _inbox()
    name_mailbox(request, f"no-such-mailbox-{uuid.uuid4().hex}@{probe.wire.target.address.rpartition('@')[2]}")
    code = probe.code(request)
    return Seen(code == "ErrorNonExistentMailbox", code)
