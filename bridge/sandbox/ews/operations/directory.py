"""ResolveNames, ExpandDL, GetRoomLists, GetRooms, ConvertId."""

from __future__ import annotations

import contextlib
from base64 import b64decode, b64encode
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.addressbook import Entry, by_address, contacts, directory
from bridge.sandbox.ews.context import batch, child, children, entry_of, error_message, single
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.fields import element_for
from bridge.sandbox.store import folders
from bridge.sandbox.store import personal as k
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from lxml import etree

    from bridge.sandbox.ews.context import Context, Single

_MOST_NAMES: Final = 100


def resolve_names(context: Context, request: etree._Element) -> str:
    """
    Answer who has a name that begins with the entry: in the directory, among the contacts, or both.

    An entry that is an address as a whole has one answer, whatever else begins so.
    """
    entry = (request.findtext(xml.M + "UnresolvedEntry") or "").strip().lower().removeprefix("smtp:")
    full = xml.truth(request.get("ReturnFullContactData"))
    with context.store.reading() as db:
        if not entry.strip(" ,-"):
            return _refused(EwsError("ErrorInvalidNameForNameResolution"))
        try:
            found = [one for one in _candidates(context, db, request) if one.matches(entry)]
        except EwsError as error:
            return _refused(error)
        exact = [one for one in found if one.address.lower() == entry]
        found = exact[:1] or found
        shown = found[:_MOST_NAMES]
        listed = "".join(
            f"<t:Resolution>{one.mailbox_xml()}{one.contact_xml() if full else ''}</t:Resolution>" for one in shown
        )
    if not found:
        return _refused(EwsError("ErrorNameResolutionNoResults"))
    several = "ErrorNameResolutionMultipleResults" if len(found) > 1 else "NoError"
    text = f"<m:MessageText>{EwsError(several).text}</m:MessageText>" if len(found) > 1 else ""
    key = "<m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>" if len(found) > 1 else ""
    return (
        f'<m:ResponseMessages><m:ResolveNamesResponseMessage ResponseClass="{"Warning" if key else "Success"}">{text}'
        f'<m:ResponseCode>{several}</m:ResponseCode>{key}<m:ResolutionSet TotalItemsInView="{len(shown)}" '
        f'IncludesLastItemInRange="{xml.boolean(len(shown) == len(found))}">{listed}</m:ResolutionSet>'
        "</m:ResolveNamesResponseMessage></m:ResponseMessages>"
    )


def _refused(error: EwsError) -> str:
    return f"<m:ResponseMessages>{error_message('m:ResolveNamesResponseMessage', error)}</m:ResponseMessages>"


def _candidates(context: Context, db: sqlite3.Connection, request: etree._Element) -> list[Entry]:
    """Return all that the scope of a request holds, in its order."""
    scope = request.get("SearchScope") or "ActiveDirectoryContacts"
    of_directory = directory(db, groups_of(context)) if "ActiveDirectory" in scope else []
    of_contacts: list[Entry] = []
    if "Contacts" in scope and context.mailbox is not None:
        nodes = children(request.find(xml.M + "ParentFolderIds"))
        if len(nodes) > 1:
            raise EwsError("ErrorResolveNamesOnlyOneContactsFolderAllowed")
        mailbox, folder = (
            context.folder_of(db, nodes[0])
            if nodes
            else (context.mailbox, folders.folder(db, context.mailbox.id, "contacts"))
        )
        if not folder.folder_class.lower().startswith("ipf.contact"):
            raise EwsError("ErrorResolveNamesInvalidFolderType")
        of_contacts = list(contacts(db, mailbox, folder.id))
    return [*of_contacts, *of_directory] if scope.startswith("Contacts") else [*of_directory, *of_contacts]


def groups_of(context: Context) -> Mapping[str, list[str]]:
    """Return the members of each group of the organisation, lists of rooms included."""
    book = context.behaviour.book
    found: dict[str, list[str]] = {**book.of_all("groups"), **book.of_all("room_lists")}
    return found


def expand_dl(context: Context, request: etree._Element) -> str:
    """Answer the members of a group of the organisation, or of a distribution list among somebody's contacts."""
    node = child(request, "Mailbox")
    address = (node.findtext(xml.T + "EmailAddress") or "").strip()

    def expand(_node: etree._Element) -> str:
        groups = groups_of(context)
        identifier = node.find(xml.T + "ItemId")
        if identifier is not None:
            _, item = context.item_of(db, identifier)
            if element_for(str(item.bag.get(p.MESSAGE_CLASS, ""))) != "DistributionList":
                raise EwsError("ErrorNameResolutionNoResults")
            members = [Entry(name or where, where, kind) for name, where, _, kind in item.bag.get(k.MEMBERS) or ()]
        else:
            found = next((group for name, group in groups.items() if name.lower() == address.lower()), None)
            if found is None:
                known = bool(address) and folders.mailbox_by(db, "address", address) is not None
                # A mailbox is there and is no group: the documented answer is that nothing of the kind was found, too.
                raise EwsError("ErrorNameResolutionNoMailbox" if known else "ErrorNameResolutionNoResults")
            members = [by_address(db, groups, one) for one in found]
        listed = "".join(one.mailbox_xml() for one in members)
        return (
            f'<m:DLExpansion TotalItemsInView="{len(members)}" IncludesLastItemInRange="true">{listed}</m:DLExpansion>'
        )

    with context.store.reading() as db:
        return batch(context, "ExpandDL", [node], expand)


def get_room_lists(context: Context, request: etree._Element) -> Single:  # noqa: ARG001 - the operations' signature
    """Answer the lists that the organisation keeps of its rooms."""

    def get() -> str:
        addresses = context.behaviour.book.of_all("room_lists")
        entries = (Entry(address.partition("@")[0], address, "PublicDL") for address in addresses)
        return f"<m:RoomLists>{''.join(one.mailbox_xml('t:Address') for one in entries)}</m:RoomLists>"

    return single(context, get)


def get_rooms(context: Context, request: etree._Element) -> Single:
    """Answer the rooms of a list."""
    address = (child(request, "RoomList").findtext(xml.T + "EmailAddress") or "").strip().lower()

    def get() -> str:
        lists = {name.lower(): rooms for name, rooms in context.behaviour.book.of_all("room_lists").items()}
        if address not in lists:
            raise EwsError("ErrorNameResolutionNoResults")
        with context.store.reading() as db:
            rooms = [replace(by_address(db, {}, one), kind="Mailbox") for one in lists[address]]
        listed = "".join(f"<t:Room>{one.mailbox_xml('t:Id')}</t:Room>" for one in rooms)
        return f"<m:Rooms>{listed}</m:Rooms>"

    return single(context, get)


def convert_id(context: Context, request: etree._Element) -> str:
    """Answer ids in another format; all formats are codings of the same bytes here."""
    target = str(request.get("DestinationFormat"))

    def convert(node: etree._Element) -> str:
        if node.tag != xml.T + "AlternateId":
            raise EwsError("ErrorInvalidOperation")
        if "@" not in str(node.get("Mailbox")):
            raise EwsError("ErrorInvalidSmtpAddress")
        raw = _decode_id(str(node.get("Id")), str(node.get("Format")))
        entry = entry_of(b64encode(raw).decode())
        whose = str(node.get("Mailbox"))
        if node.get("Format") == "EwsId":
            # Such an id says in which mailbox its object lies. One of another tenant is converted all the same.
            with contextlib.suppress(EwsError):
                whose = context.address_of(entry)
        mailbox = xml.attribute(whose)
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
