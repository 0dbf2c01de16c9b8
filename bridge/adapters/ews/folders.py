"""Folders by distinguished name or by path below the mailbox's root, never by a name that depends on a language."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.adapters.ews.folder_ids import distinguished, folder_ids
from bridge.adapters.ews.soap import T, element
from bridge.errors import FolderNotFound, MailboxUnavailable

if TYPE_CHECKING:
    from lxml import etree

    from bridge.adapters.ews.client import EwsClient

# DistinguishedFolderIdNameType of types.xsd, as far as mail passes through them.
DISTINGUISHED = frozenset({
    "deleteditems",
    "drafts",
    "inbox",
    "junkemail",
    "msgfolderroot",
    "outbox",
    "recoverableitemsdeletions",
    "sentitems",
})  # fmt: skip


async def folder_id(client: EwsClient, address: str, folder: str) -> etree._Element:
    """
    Return the id of a folder: a distinguished name, or a path of display names below the mailbox's visible root.

    Raises:
        FolderNotFound: No folder of that name is there.
    """
    return (await folder_path(client, address, folder))[-1]


async def folder_path(client: EwsClient, address: str, folder: str) -> list[etree._Element]:
    """
    Return the ids of the folders that a path leads through, the distinguished one that it begins in first.

    Raises:
        FolderNotFound: No folder of that name is there.
    """
    if folder.lower() in DISTINGUISHED:
        return [distinguished(folder.lower())]
    path = [distinguished("msgfolderroot")]
    for name in filter(None, folder.split("/")):
        if name.lower() in DISTINGUISHED and path[-1].get("Id") == "msgfolderroot":
            path = [distinguished(name.lower())]
            continue
        found = await find_child(client, address, path[-1], name)
        if found is None:
            raise FolderNotFound("a configured folder does not exist")
        path.append(found)
    return path


async def find_child(
    client: EwsClient, address: str, parent: etree._Element, display_name: str
) -> etree._Element | None:
    """Return the id of a child folder by its display name, None where there is none."""
    request = element(
        "m:FindFolder",
        element("m:FolderShape", element("t:BaseShape", text="IdOnly")),
        element("m:IndexedPageFolderView", MaxEntriesReturned="10", Offset="0", BasePoint="Beginning"),
        element("m:Restriction", is_named(display_name)),
        folder_ids("m:ParentFolderIds", parent),
        Traversal="Shallow",
    )
    message = await client.call_one(address, request)
    return _copy_id(next(message.element.iter(f"{T}FolderId"), None))


def is_named(display_name: str) -> etree._Element:
    """
    Return the restriction that a folder has this name, whatever its case.

    Exchange has no two folders side by side whose names differ in nothing but case, and whether IsEqualTo minds it is a
    guess (23): a folder that can be neither found nor made would be missed for ever.
    """
    equal = element("t:FieldURIOrConstant", element("t:Constant", Value=display_name))
    return element(
        "t:Or",
        element("t:IsEqualTo", element("t:FieldURI", FieldURI="folder:DisplayName"), equal),
        element(
            "t:Contains",
            element("t:FieldURI", FieldURI="folder:DisplayName"),
            element("t:Constant", Value=display_name),
            ContainmentMode="FullString",
            ContainmentComparison="IgnoreCase",
        ),
    )


async def ensure_child(client: EwsClient, address: str, parent: etree._Element, display_name: str) -> etree._Element:
    """Return the id of a child folder, making it where it is missing; two that make it at once get the same one."""
    found = await find_child(client, address, parent, display_name)
    if found is not None:
        return found
    request = element(
        "m:CreateFolder",
        folder_ids("m:ParentFolderId", parent),
        element("m:Folders", element("t:Folder", element("t:DisplayName", text=display_name))),
    )
    for message in await client.call(address, request):
        if message.code != "ErrorFolderExists":
            message.raise_error()
    found = await find_child(client, address, parent, display_name)
    if found is None:
        raise MailboxUnavailable("a folder that was just made is not to be found")
    return found


def _copy_id(found: etree._Element | None) -> etree._Element | None:
    return None if found is None else element("t:FolderId", Id=found.get("Id") or "")
