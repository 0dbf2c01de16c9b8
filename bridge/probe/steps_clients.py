"""Guesses that other clients' own tests asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.adapters.ews.folder_ids import distinguished, folder_ids
from bridge.adapters.ews.soap import T, element
from bridge.probe import requests_ews as ews
from bridge.probe.errors import NotCheckable
from bridge.probe.guesses import Needs, Seen, step
from bridge.probe.subscribing import subscribe_request

if TYPE_CHECKING:
    from bridge.probe.context import ProbeContext
    from bridge.probe.requests_ews import ItemId

_LONG = 300
_CUT_AT = 255


@step(93, "what breaks the schema is the fault ErrorSchemaValidation, such as bare text in GetMailTips")
def broken_schema(probe: ProbeContext) -> Seen:
    address = probe.wire.target.address
    code = probe.code(
        element(
            "m:GetMailTips",
            element("m:SendingAs", element("t:EmailAddress", text=address)),
            element("m:Recipients", text=address),
            element("m:MailTipsRequested", text="All"),
        )
    )
    return Seen(code == "ErrorSchemaValidation", code)


@step(94, "FindItem with item:Body among its properties is ErrorInvalidPropertyRequest", needs=Needs.WRITE)
def body_in_find(probe: ProbeContext) -> Seen:
    folder = probe.ground.subfolder()
    probe.ground.draft(probe.ground.mail(probe.ground.next_name()), folder=folder)
    code = probe.code(ews.find(folder, fields=[ews.field("item:Body")]))
    return Seen(code == "ErrorInvalidPropertyRequest", code)


@step(95, "a subject set as a property is cut at 255 letters, one of MIME is kept whole", needs=Needs.WRITE)
def long_subjects(probe: ProbeContext) -> Seen:
    subject = f"{probe.ground.next_name()} {'x' * _LONG}"
    message = element("t:Message", element("t:Subject", text=subject))
    made = ews.id_of(probe.ok(ews.create(probe.ground.folder(), message)).first("ItemId"))

    def length(found: ItemId) -> int:
        return len(probe.ground.item(found, ews.field("item:Subject")).findtext(f"{T}Subject") or "")

    cut, whole = length(made), length(probe.ground.draft(probe.ground.mail(subject)))
    return Seen(cut == _CUT_AT and whole == len(subject), f"of {len(subject)} letters: {cut} and {whole}")


@step(96, "an attached mail keeps its categories until the outer mail is sent, not at the recipient", needs=Needs.WRITE)
def attached_mail(probe: ProbeContext) -> Seen:
    subject = probe.ground.next_name()
    categories = element("t:Categories", element("t:String", text="Bridge probe"))
    inner = element("t:Message", element("t:Subject", text=probe.ground.next_name()), categories)
    attachment = element("t:ItemAttachment", element("t:Name", text="attached"), inner)
    recipient = element("t:Mailbox", element("t:EmailAddress", text=probe.wire.target.address))
    outer = element(
        "t:Message",
        element("t:Subject", text=subject),
        element("t:Body", text="A mail of bridge probe-exchange, which removes it.", BodyType="Text"),
        element("t:Attachments", attachment),
        element("t:ToRecipients", recipient),
    )
    made = probe.ok(ews.create(probe.ground.folder(), outer)).first("ItemId")
    draft = ews.id_of(made)
    before = _has_categories(probe, draft)
    arrived = probe.ground.arrived(subject, since=probe.ground.send(draft, subject))
    after = _has_categories(probe, arrived.id)
    words = {True: "kept", False: "gone"}
    return Seen(before and not after, f"in the draft: {words[before]}; at the recipient: {words[after]}")


def _has_categories(probe: ProbeContext, found: ItemId) -> bool:
    shown = probe.ground.item(found, ews.field("item:Attachments"))
    attached = next(shown.iter(f"{T}AttachmentId"), None)
    if attached is None:
        raise NotCheckable("the mail shows no attachment")
    answer = probe.ok(
        element("m:GetAttachment", element("m:AttachmentIds", element("t:AttachmentId", Id=attached.get("Id") or "")))
    )
    return bool(answer.all("Categories"))


@step(97, "the root of public folders is ErrorNoPublicFolderReplicaAvailable where there are none")
def public_folders(probe: ProbeContext) -> Seen:
    shape = element("m:FolderShape", element("t:BaseShape", text="IdOnly"))
    code = probe.code(
        element("m:GetFolder", shape, folder_ids("m:FolderIds", distinguished("publicfoldersroot")))
    )  # fmt: skip
    if code == "NoError":
        raise NotCheckable("there are public folders")
    return Seen(code == "ErrorNoPublicFolderReplicaAvailable", code)


@step(98, "a push subscription with an address that nobody answers is refused at once")
def unanswered_push(probe: ProbeContext) -> Seen:
    url = "https://bridge-probe.invalid:1/"
    code = probe.code(subscribe_request("Push", distinguished("inbox"), push_url=url))
    return Seen(code == "ErrorInvalidPushSubscriptionUrl", code)
