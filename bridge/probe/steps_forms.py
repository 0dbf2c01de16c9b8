"""Guesses about the form of requests and answers: types, headers, ids, what is shown by itself."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from bridge.adapters.ews.folder_ids import distinguished, folder_ids
from bridge.adapters.ews.soap import T, element
from bridge.probe import requests_ews as ews
from bridge.probe.guesses import Needs, Seen, step

if TYPE_CHECKING:
    from lxml import etree

    from bridge.probe.context import ProbeContext

_SORTED_BY: Final = 101
_REFUSED_IDS: Final = frozenset({"ErrorInvalidIdMalformed", "ErrorItemNotFound", "ErrorNonExistentMailbox"})
_ATTACHMENT_PARTS: Final = frozenset({"AttachmentId", "Name", "ContentType", "ContentId", "Content"})


def _inbox(shape: str = "IdOnly") -> etree._Element:
    parts = element("m:FolderShape", element("t:BaseShape", text=shape))
    return element("m:GetFolder", parts, folder_ids("m:FolderIds", distinguished("inbox")))


@step(114, "a Content-Type that is not text/xml is HTTP 415 without a body")
def wrong_types(probe: ProbeContext) -> Seen:
    answers = [probe.wire.call(_inbox(), headers={"Content-Type": kind}) for kind in ("application/json", "text/plain")]
    same = all(answer.status == 415 and not answer.content for answer in answers)
    told = [f"HTTP {answer.status}, body {'there' if answer.content else 'empty'}" for answer in answers]
    return Seen(same, f"application/json: {told[0]}; text/plain: {told[1]}")


@step(115, "an id with any byte changed is malformed, not found, or of a mailbox that there is not", needs=Needs.WRITE)
def changed_ids(probe: ProbeContext) -> Seen:
    found, _ = probe.ground.draft(probe.ground.mail(probe.ground.next_name()))
    raw = base64.b64decode(found)
    changed = [raw[:place] + bytes([raw[place] ^ 0xFF]) + raw[place + 1 :] for place in range(len(raw))]
    ids = [element("t:ItemId", Id=base64.b64encode(one).decode("ascii")) for one in changed]
    codes = probe.call(element("m:GetItem", ews.shape(), element("m:ItemIds", *ids))).codes
    counts = {code: codes.count(code) for code in sorted(set(codes))}
    words = ", ".join(f"{count} {code}" for code, count in counts.items())
    return Seen(len(codes) == len(ids) and set(codes) <= _REFUSED_IDS, f"of {len(ids)} changed ones: {words}")


@step(116, "more than 100 different fields to sort by are ErrorUnsupportedPathForSortGroup")
def sorted_by_many(probe: ProbeContext) -> Seen:
    request = ews.find(distinguished("inbox"), limit=1)
    orders = [
        element("t:FieldOrder", ews.tag(f"0x{0x6600 + number:04x}", "Integer"), Order="Ascending")
        for number in range(_SORTED_BY)
    ]
    request.insert(len(request) - 1, element("m:SortOrder", *orders))
    code = probe.code(request)
    return Seen(code == "ErrorUnsupportedPathForSortGroup", code)


@step(119, "GetAttachment tells Name, ContentType and ContentId beside the content, no size, times and flags",
      needs=Needs.WRITE)  # fmt: skip
def attachment_alone(probe: ProbeContext) -> Seen:
    attachment = element("t:FileAttachment", element("t:Name", text="a.txt"), element("t:Content", text="QUJD"))
    message = element(
        "t:Message",
        element("t:Subject", text=probe.ground.next_name()),
        element("t:Attachments", attachment),
    )
    made = ews.id_of(probe.ok(ews.create(probe.ground.folder(), message)).first("ItemId"))
    listed = next(probe.ground.item(made, ews.field("item:Attachments")).iter(f"{T}AttachmentId"))
    request = element("t:AttachmentId", Id=listed.get("Id") or "")
    shown = probe.ok(element("m:GetAttachment", element("m:AttachmentIds", request))).first("FileAttachment")
    names = [str(part.tag).rpartition("}")[2] for part in shown]
    return Seen(set(names) <= _ATTACHMENT_PARTS and "Content" in names, " ".join(names))


@step(120, "ViewPrivateItems comes to clients of Exchange2010_SP2 and later")
def private_items(probe: ProbeContext) -> Seen:
    there = {
        version: bool(probe.wire.call(_inbox("AllProperties"), version=version).all("ViewPrivateItems"))
        for version in ("Exchange2010_SP1", "Exchange2010_SP2")
    }
    words = ", ".join(f"{version}: {'there' if shown else 'absent'}" for version, shown in there.items())
    return Seen(list(there.values()) == [False, True], words)


@step(135, "a header that is named comes in InternetMessageHeaders, alone; FindItem refuses it", needs=Needs.WRITE)
def named_header(probe: ProbeContext) -> Seen:
    draft = probe.ground.draft(probe.ground.mail(probe.ground.next_name(), X_Bridge_Probe="named"))
    path = element("t:IndexedFieldURI", FieldURI="item:InternetMessageHeader", FieldIndex="X-Bridge-Probe")
    shown = len(list(probe.ground.item(draft, path).iter(f"{T}InternetMessageHeader")))
    found = probe.code(ews.find(distinguished("inbox"), fields=[path], limit=1))
    return Seen(shown == 1 and found == "ErrorInvalidPropertyRequest", f"headers shown: {shown}; FindItem: {found}")
