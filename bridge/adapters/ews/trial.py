"""Trying what a mailbox allows: a folder that is made and deleted again, a draft that is moved and deleted."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from bridge.adapters.ews import stamps
from bridge.adapters.ews.calls import change, find
from bridge.adapters.ews.folder_ids import distinguished, folder_ids
from bridge.adapters.ews.folders import find_child
from bridge.adapters.ews.ledger import CREATED, created_since, entry_fields
from bridge.adapters.ews.soap import T, element
from bridge.errors import MailUnreadable, SendOutcomeUnknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lxml import etree

    from bridge.adapters.ews.client import EwsClient
    from bridge.adapters.ews.watched import WatchedFolders


class EwsTrial:
    """Calls that nothing but an examination makes, in one mailbox."""

    def __init__(self, client: EwsClient, address: str, watched: WatchedFolders) -> None:
        self._client = client
        self._address = address
        self._watched = watched

    async def check_folders(self) -> None:
        """Compare the folders that mail is taken from with the one that it is moved to, by their ids."""
        await self._watched.check()

    async def has_folder(self, name: str) -> bool:
        """Return whether a folder of that name is beside the inbox."""
        return await find_child(self._client, self._address, distinguished("msgfolderroot"), name) is not None

    async def search_drafts(self) -> None:
        """Make the searches that sending makes in the ledger, in Drafts; what they find is of no matter."""
        for restriction in (
            created_since(self._client.now()),
            stamps.any_of([stamps.equals(stamps.REQUEST_ID, "check"), stamps.equals(stamps.ENTRY, "begun")]),
        ):
            await find(
                self._client,
                self._address,
                distinguished("drafts"),
                restriction,
                fields=entry_fields(),
                sort_by=CREATED,
            )

    async def make_folder(self, name: str) -> str:
        """
        Make a folder beside the inbox; return its id.

        Raises:
            SendOutcomeUnknown: It may be there, or come later.
        """
        request = element(
            "m:CreateFolder",
            folder_ids("m:ParentFolderId", distinguished("msgfolderroot")),
            element("m:Folders", element("t:Folder", element("t:DisplayName", text=name))),
        )
        message = await change(self._client, self._address, request)
        found = next(message.element.iter(f"{T}FolderId"), None)
        if found is None or not found.get("Id"):
            raise SendOutcomeUnknown("a folder was made and its id not told")
        return str(found.get("Id"))

    async def folders_named(self, prefix: str) -> Sequence[tuple[str, str]]:
        """Return name and id of the folders beside the inbox whose names begin so."""
        contains = element(
            "t:Contains",
            element("t:FieldURI", FieldURI="folder:DisplayName"),
            element("t:Constant", Value=prefix),
            ContainmentMode="Prefixed",
            ContainmentComparison="Exact",
        )
        names = element("t:FieldURI", FieldURI="folder:DisplayName")
        request = element(
            "m:FindFolder",
            element("m:FolderShape", element("t:BaseShape", text="IdOnly"), element("t:AdditionalProperties", names)),
            element("m:IndexedPageFolderView", MaxEntriesReturned="100", Offset="0", BasePoint="Beginning"),
            element("m:Restriction", contains),
            folder_ids("m:ParentFolderIds", distinguished("msgfolderroot")),
            Traversal="Shallow",
        )
        message = await self._client.call_one(self._address, request)
        found = []
        for folder in message.element.iter(f"{T}Folder"):
            folder_id = folder.find(f"{T}FolderId")
            name = folder.findtext(f"{T}DisplayName") or ""
            if folder_id is not None and name.startswith(prefix):
                found.append((name, folder_id.get("Id") or ""))
        return found

    async def delete_folder(self, folder_id: str) -> None:
        """Delete a folder with what is in it, for good; one that is gone is no error."""
        ids = folder_ids("m:FolderIds", element("t:FolderId", Id=folder_id))
        request = element("m:DeleteFolder", ids, DeleteType="HardDelete")
        for message in await self._client.call(self._address, request):
            if message.code not in {"ErrorFolderNotFound", "ErrorItemNotFound"}:
                message.raise_error()

    async def move(self, item_id: str, folder_id: str) -> str:
        """Move an item into a folder; return its new id, empty where it is not told."""
        request = element(
            "m:MoveItem",
            folder_ids("m:ToFolderId", element("t:FolderId", Id=folder_id)),
            element("m:ItemIds", element("t:ItemId", Id=item_id)),
        )
        message = await change(self._client, self._address, request)
        return next((stamps.item_id_of(item)[0] for item in stamps.items_of(message)), "")

    async def delete_item(self, item_id: str) -> None:
        """Delete an item for good; one that is gone is no error."""
        ids = element("m:ItemIds", element("t:ItemId", Id=item_id))
        for message in await self._client.call(self._address, element("m:DeleteItem", ids, DeleteType="HardDelete")):
            if message.code != "ErrorItemNotFound":
                message.raise_error()

    async def read_mime(self, item_id: str) -> bytes:
        """
        Return the MIME of an item.

        Raises:
            MailUnreadable: Exchange answers, and without any.
        """
        message = await self._client.call_one(self._address, _mime_of(item_id))
        text = next((found.text for found in message.element.iter(f"{T}MimeContent")), None)
        try:
            mime = base64.b64decode("".join((text or "").split()), validate=True)
        except (binascii.Error, ValueError):
            mime = b""
        if not mime:
            raise MailUnreadable("Exchange answered without MIME")
        return mime


def _mime_of(item_id: str) -> etree._Element:
    shape = element(
        "m:ItemShape",
        element("t:BaseShape", text="IdOnly"),
        element("t:AdditionalProperties", element("t:FieldURI", FieldURI="item:MimeContent")),
    )
    return element("m:GetItem", shape, element("m:ItemIds", element("t:ItemId", Id=item_id)))
