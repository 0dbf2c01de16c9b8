# ruff: noqa: E501 - requests stand here as they go over the wire
"""How the sandbox is brought to answer by the SOAP fault of a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.recordings.mailbox import Mailbox, NotBuiltError
from tests.recordings.resend import resent

if TYPE_CHECKING:
    import requests
    from lxml import etree

    from tests.recordings.collection import Recording

_INBOX = '<t:DistinguishedFolderId Id="{}"/>'
_FOLDER = "<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape><m:FolderIds>{}</m:FolderIds></m:GetFolder>"
# What the recorded violations are of.
_VIOLATIONS = {
    "inbox1": '<m:FindConversation><m:ParentFolderId><t:DistinguishedFolderId Id="inbox1"/></m:ParentFolderId></m:FindConversation>',
    "UUnifiedMessagingConfiguration": "<m:GetServiceConfiguration><m:RequestedConfiguration><m:ConfigurationName>"
    "UUnifiedMessagingConfiguration</m:ConfigurationName></m:RequestedConfiguration></m:GetServiceConfiguration>",
    "EmailAddress4": '<m:UpdateItem ConflictResolution="AlwaysOverwrite"><m:ItemChanges><t:ItemChange><t:ItemId Id="A"/>'
    '<t:Updates><t:SetItemField><t:IndexedFieldURI FieldURI="contacts:EmailAddress" FieldIndex="EmailAddress4"/><t:Contact>'
    '<t:EmailAddresses><t:Entry Key="EmailAddress4">a@example.org</t:Entry></t:EmailAddresses></t:Contact></t:SetItemField>'
    "</t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>",
}  # fmt: skip
_OPEN = b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
_NO_XML = {
    "EntityName": _OPEN + b"\n" * 10 + b" " * 31 + b"&</s:Body></s:Envelope>",
    "End element 'Envelope'": _OPEN + b"\n",
}


def fault(
    mailbox: Mailbox, recording: Recording, request: Recording | None, recorded: etree._Element
) -> requests.Response:
    """
    Return the answer that stands against a recorded fault.

    Raises:
        NotBuiltError: Nothing brings it about; the text says why.
    """
    envelope = None if request is None else request.envelope()
    if envelope is not None:
        return mailbox.client.send(resent(mailbox, envelope, None))
    code = next(((one.text or "").strip() for one in recorded.iter() if str(one.tag).endswith("ResponseCode")), "")
    text = " ".join("".join(str(one) for one in recorded.itertext()).split())
    if code == "ErrorSchemaValidation":
        broken = next((body for word, body in _NO_XML.items() if word in text), None)
        if broken is not None:
            return mailbox.client.send_bytes(broken)
        violation = next((body for word, body in _VIOLATIONS.items() if word in text), None)
        return mailbox.client.post(violation or _FOLDER.format(_INBOX.format("invalidparentid")))
    if code == "ErrorExceededConnectionCount":
        return _over_connections(mailbox)
    if code == "ErrorIncorrectSchemaVersion":
        return mailbox.client.post(
            '<m:FindConversation><m:ParentFolderId><t:DistinguishedFolderId Id="inbox"/></m:ParentFolderId>'
            "</m:FindConversation>",
            "Exchange2007_SP1",
        )
    if code == "ErrorServerBusy":
        rule: dict[str, Any] = {"kind": "server_busy", "back_off_milliseconds": 297749}
        mailbox.sandbox.faults({"match": {"operation": "GetFolder"}, "fault": rule})
        return mailbox.client.post(_FOLDER.format(_INBOX.format("inbox")))
    if recording.file.startswith("fixtures/"):
        raise NotBuiltError("a fault with nothing in it, for a unit test")
    raise NotBuiltError("a fault of the first Exchange 2007, with an exception of .NET in the place of a response code")


def _over_connections(mailbox: Mailbox) -> requests.Response:
    mailbox.setting("mailboxes", {mailbox.address: {"connections": 1}})
    with mailbox.client.busy(_FOLDER.format(_INBOX.format("inbox"))):
        return mailbox.client.post(_FOLDER.format(_INBOX.format("inbox")))
