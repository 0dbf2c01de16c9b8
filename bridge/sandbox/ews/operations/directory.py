"""ResolveNames over the sandbox's own mailboxes, ConvertId."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.context import batch, child, children, entry_of, error_message
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.fields import mailbox_xml
from bridge.sandbox.store import folders

if TYPE_CHECKING:
    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store import Mailbox

_MOST_NAMES: Final = 100


def resolve_names(context: Context, request: etree._Element) -> str:
    """Answer the mailboxes whose address, alias or name begins with the entry."""
    entry = (request.findtext(xml.M + "UnresolvedEntry") or "").strip().lower().removeprefix("smtp:")
    with context.store.reading() as db:
        found = [mailbox for mailbox in folders.mailboxes(db) if _matches(mailbox, entry)]
    if not found:
        name = "m:ResolveNamesResponseMessage"
        return (
            f"<m:ResponseMessages>{error_message(name, EwsError('ErrorNameResolutionNoResults'))}</m:ResponseMessages>"
        )
    shown = found[:_MOST_NAMES]
    listed = "".join(
        f"<t:Resolution>{mailbox_xml(one.display_name, one.address, 'Mailbox')}</t:Resolution>" for one in shown
    )
    several = "ErrorNameResolutionMultipleResults" if len(found) > 1 else "NoError"
    text = f"<m:MessageText>{EwsError(several).text}</m:MessageText>" if len(found) > 1 else ""
    key = "<m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>" if len(found) > 1 else ""
    return (
        f'<m:ResponseMessages><m:ResolveNamesResponseMessage ResponseClass="{"Warning" if key else "Success"}">{text}'
        f'<m:ResponseCode>{several}</m:ResponseCode>{key}<m:ResolutionSet TotalItemsInView="{len(shown)}" '
        f'IncludesLastItemInRange="{xml.boolean(len(shown) == len(found))}">{listed}</m:ResolutionSet>'
        "</m:ResolveNamesResponseMessage></m:ResponseMessages>"
    )


def convert_id(context: Context, request: etree._Element) -> str:
    """Answer ids in another format; all formats are codings of the same bytes here."""
    target = str(request.get("DestinationFormat"))

    def convert(node: etree._Element) -> str:
        if node.tag != xml.T + "AlternateId":
            raise EwsError("ErrorInvalidOperation")
        if "@" not in str(node.get("Mailbox")):
            raise EwsError("ErrorInvalidSmtpAddress")
        raw = _decode_id(str(node.get("Id")), str(node.get("Format")))
        entry_of(b64encode(raw).decode())
        mailbox = xml.attribute(str(node.get("Mailbox")))
        shown = xml.attribute(_encode_id(raw, target))
        return f'<m:AlternateId xsi:type="t:AlternateIdType" Format="{target}" Id="{shown}" Mailbox="{mailbox}"/>'

    return batch(context, "ConvertId", children(child(request, "SourceIds")), convert)


def _decode_id(text: str, form: str) -> bytes:
    try:
        if form == "HexEntryId":
            return bytes.fromhex(text)
        return b64decode(text.replace("-", "+").replace("_", "/") if form == "OwaId" else text, validate=True)
    except ValueError as error:
        raise EwsError("ErrorInvalidIdMalformed") from error


def _encode_id(raw: bytes, form: str) -> str:
    if form == "HexEntryId":
        return raw.hex().upper()
    text = b64encode(raw).decode()
    return text.replace("+", "-").replace("/", "_") if form == "OwaId" else text


def _matches(mailbox: Mailbox, entry: str) -> bool:
    names = (mailbox.address, mailbox.alias, mailbox.username, mailbox.display_name, *mailbox.display_name.split())
    return bool(entry) and any(name.lower().startswith(entry) for name in names)
