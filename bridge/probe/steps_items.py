"""Guesses about items and folders that are tried in the probe's own folder; nothing is sent."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from bridge.adapters.ews.folder_ids import folder_ids
from bridge.adapters.ews.soap import T, element
from bridge.probe import requests_ews as ews
from bridge.probe.errors import NotCheckable
from bridge.probe.guesses import Needs, Seen, step

if TYPE_CHECKING:
    from lxml import etree

    from bridge.probe.context import ProbeContext
    from bridge.probe.requests_ews import ItemId

_ARTICLE_NUMBER = "0x0E23"
_CONVERSATION_INDEX = "0x0071"
_THREAD_INDEX = base64.b64encode(b"\x01\xd0" + bytes(range(20))).decode("ascii")
_TOO_LARGE_BYTES = 40 << 20


def _draft(probe: ProbeContext, folder: etree._Element | None = None) -> ItemId:
    return probe.ground.draft(probe.ground.mail(probe.ground.next_name()), folder=folder)


def _yes(value: bool) -> str:  # noqa: FBT001 - a word for it
    return "yes" if value else "no"


@step(22, "AutoResolve with a stale change key lets the later writer win; NeverOverwrite is ErrorIrresolvableConflict",
      needs=Needs.WRITE)  # fmt: skip
def conflicts(probe: ProbeContext) -> Seen:
    stale = _draft(probe)
    probe.ok(ews.set_subject(stale, probe.ground.next_name(), conflict="AlwaysOverwrite"))
    late = probe.ground.next_name()
    resolved = probe.code(ews.set_subject(stale, late, conflict="AutoResolve"))
    won = probe.ground.item(stale, ews.field("item:Subject")).findtext(f"{T}Subject") == late
    never = probe.code(ews.set_subject(stale, probe.ground.next_name(), conflict="NeverOverwrite"))
    same = resolved == "NoError" and won and never == "ErrorIrresolvableConflict"
    return Seen(same, f"AutoResolve: {resolved}, later one won: {_yes(won)}; NeverOverwrite: {never}")


@step(23, "IsEqualTo minds the case; without an order the newest comes first; a page with a restriction holds 250",
      needs=Needs.WRITE)  # fmt: skip
def searching(probe: ProbeContext) -> Seen:
    folder = probe.ground.subfolder()
    made = [_draft(probe, folder) for _ in range(2)]
    subject = probe.ground.next_name()
    made.append(probe.ground.draft(probe.ground.mail(subject), folder=folder))
    upper = ews.find(folder, ews.equals(ews.field("item:Subject"), subject.upper()))
    minds = not probe.ok(upper).all("ItemId")
    order = [found.get("Id") for found in probe.ok(ews.find(folder)).all("ItemId")]
    newest = order == [found[0] for found in reversed(made)]
    for _ in range(5):
        messages = [ews.mime_message(probe.ground.mail(probe.ground.next_name())) for _ in range(50)]
        probe.ok(ews.create(folder, *messages))
    restriction = ews.contains("item:Subject", probe.ground.name)
    page = len(probe.ok(ews.find(folder, restriction, limit=1000)).all("ItemId"))
    same = minds and newest and page == 250
    return Seen(same, f"minds the case: {_yes(minds)}; newest first: {_yes(newest)}; a page of 253 holds {page}")


@step(25, "the MIME of a mail is, byte for byte, what came in", needs=Needs.WRITE)
def mime_kept(probe: ProbeContext) -> Seen:
    mime = probe.ground.mail(probe.ground.next_name(), X_Bridge_Probe="odd  spacing\tand =?utf-8?q?w=C3=B6rds?=")
    found = probe.ground.draft(mime)
    first, second = (
        base64.b64decode(probe.ground.item(found, mime=True).findtext(f"{T}MimeContent") or "") for _ in range(2)
    )
    same = first == second == mime
    body = first.partition(b"\r\n\r\n")[2] == mime.partition(b"\r\n\r\n")[2]
    twice = "the same twice" if first == second else "another at the second time"
    return Seen(same, f"all bytes: {_yes(first == mime)}; the body's: {_yes(body)}; {twice}")


@step(35, "an item of 40 MB is ErrorMessageSizeExceeded as soon as it is stored", needs=Needs.THOROUGH)
def too_large(probe: ProbeContext) -> Seen:
    mime = probe.ground.mail(probe.ground.next_name())
    line = b"x" * 74 + b"\r\n"
    answer = probe.call(ews.create(probe.ground.folder(), ews.mime_message(mime + line * (_TOO_LARGE_BYTES // 76))))
    return Seen(answer.code == "ErrorMessageSizeExceeded", answer.code)


@step(60, "PidTagInternetArticleNumber rises through the whole mailbox and is new with each move", needs=Needs.WRITE)
def article_numbers(probe: ProbeContext) -> Seen:
    one, two = probe.ground.subfolder(), probe.ground.subfolder()
    first, second = _draft(probe, one), _draft(probe, two)
    moved = ews.id_of(probe.ok(ews.move(first, two)).first("ItemId"))

    def number(found: ItemId) -> int:
        value = ews.value_of(probe.ground.item(found, ews.tag(_ARTICLE_NUMBER, "Integer")), _ARTICLE_NUMBER) or ""
        if not value.isdecimal():
            raise NotCheckable("an item has no article number")
        return int(value)

    in_other, after_move = number(second), number(moved)
    third = number(_draft(probe, one))
    same = in_other < after_move < third
    words = "rises through the mailbox" if same else "counts another way"
    return Seen(same, f"over two folders and a move it {words}")


@step(61, "a mail without Thread-Index gets a conversation index, one with it keeps it", needs=Needs.WRITE)
def conversation_index(probe: ProbeContext) -> Seen:
    def index(found: ItemId) -> str:
        shown = probe.ground.item(found, ews.tag(_CONVERSATION_INDEX, "Binary"))
        return ews.value_of(shown, _CONVERSATION_INDEX) or ""

    without = index(_draft(probe))
    kept = index(probe.ground.draft(probe.ground.mail(probe.ground.next_name(), Thread_Index=_THREAD_INDEX)))
    same = bool(without) and kept == _THREAD_INDEX
    return Seen(same, f"without it, there is one: {_yes(bool(without))}; with it, kept: {_yes(kept == _THREAD_INDEX)}")


@step(63, "CopyFolder onto a folder of the same name is ErrorMoveCopyFailed", needs=Needs.WRITE)
def copy_folder(probe: ProbeContext) -> Seen:
    source = probe.ground.subfolder()
    into = folder_ids("m:ToFolderId", probe.ground.folder())
    code = probe.code(element("m:CopyFolder", into, folder_ids("m:FolderIds", source)))
    return Seen(code == "ErrorMoveCopyFailed", code)


@step(64, "CreateItem lists attachments only where the request brought some beside MIME", needs=Needs.WRITE)
def listed_attachments(probe: ProbeContext) -> Seen:
    subject = probe.ground.next_name()
    mime = (
        f"Subject: {subject}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        "Content-Type: text/plain\r\n\r\nA\r\n--b\r\nContent-Type: text/plain; name=a.txt\r\n"
        "Content-Disposition: attachment; filename=a.txt\r\n\r\nB\r\n--b--\r\n"
    ).encode()
    within = bool(probe.ok(ews.create(probe.ground.folder(), ews.mime_message(mime))).all("AttachmentId"))
    attachment = element(
        "t:FileAttachment", element("t:Name", text="a.txt"), element("t:Content", text="QUJD")
    )  # fmt: skip
    beside = element(
        "t:Message",
        element("t:Subject", text=probe.ground.next_name()),
        element("t:Attachments", attachment),
    )
    listed = bool(probe.ok(ews.create(probe.ground.folder(), beside)).all("AttachmentId"))
    return Seen(not within and listed, f"in its MIME: {_yes(within)}; beside it: {_yes(listed)}")


@step(65, "a user configuration is an associated item of a class of its own", needs=Needs.WRITE)
def configurations(probe: ProbeContext) -> Seen:
    folder = probe.ground.subfolder()
    name = element("t:UserConfigurationName", folder, Name=f"BridgeProbe{probe.ground.run}")
    made = probe.code(element("m:CreateUserConfiguration", element("m:UserConfiguration", name)))
    if made != "NoError":
        raise NotCheckable(f"CreateUserConfiguration answers {made}")
    found = probe.ok(ews.find(element("t:FolderId", Id=folder.get("Id") or ""), traversal="Associated"))
    shown = len(found.all("ItemId"))
    return Seen(shown == 1 and bool(found.all("Message")), f"associated items after it was made: {shown}")


@step(67, "the first two parts of a folder's class cannot change: ErrorObjectTypeChanged", needs=Needs.WRITE)
def folder_class(probe: ProbeContext) -> Seen:
    change = element(
        "t:SetFolderField",
        ews.field("folder:FolderClass"),
        element("t:Folder", element("t:FolderClass", text="IPF.Note.BridgeProbe")),
    )
    other = element(
        "t:SetFolderField",
        ews.field("folder:FolderClass"),
        element("t:Folder", element("t:FolderClass", text="IPF.Task")),
    )
    codes = []
    for one in (change, other):
        changes = element("t:FolderChange", probe.ground.subfolder(), element("t:Updates", one))
        codes.append(probe.code(element("m:UpdateFolder", element("m:FolderChanges", changes))))
    return Seen(codes == ["NoError", "ErrorObjectTypeChanged"], f"to IPF.Note.X: {codes[0]}; to IPF.Task: {codes[1]}")


@step(69, "data that no ExportItems gave is ErrorCorruptData", needs=Needs.WRITE)
def corrupt_upload(probe: ProbeContext) -> Seen:
    item = element(
        "t:Item",
        element("t:ParentFolderId", Id=probe.ground.folder().get("Id") or ""),
        element("t:Data", text=base64.b64encode(b"no data of an export").decode("ascii")),
        CreateAction="CreateNew",
    )
    code = probe.code(element("m:UploadItems", element("m:Items", item)))
    return Seen(code == "ErrorCorruptData", code)
