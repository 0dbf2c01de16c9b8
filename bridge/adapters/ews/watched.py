"""The configured folders of one mailbox, compared by their ids before anything is published from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.adapters.ews import stamps
from bridge.adapters.ews.folder_ids import distinguished, folder_ids
from bridge.adapters.ews.folders import find_child, folder_id
from bridge.adapters.ews.ledger_folder import FOLDER as LEDGER_FOLDER
from bridge.adapters.ews.soap import T, element
from bridge.domain.watched_folders import OWN_FOLDERS, folder_conflict
from bridge.errors import (
    CallNotPossible,
    CallRefused,
    FolderNotFound,
    FoldersConflict,
    MailboxAccessDenied,
    MailboxUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lxml import etree

    from bridge.adapters.ews.client import EwsClient
    from bridge.adapters.ews.soap import ResponseMessage

_NO_MAIL_ARRIVES: Final = ("deleteditems", "drafts", "outbox", "sentitems")
_CLOSED: Final = (FolderNotFound, MailboxAccessDenied, CallNotPossible, CallRefused)
"""What is said of a folder that cannot be opened."""


class WatchedFolders:
    """Compares until it has seen all of them; one that is missing is told by whoever needs it."""

    def __init__(self, client: EwsClient, address: str, watched: Sequence[str], move_to: str | None) -> None:
        self._client = client
        self._address = address
        self._watched = watched
        self._move_to = move_to
        self._compared = False

    async def check(self) -> None:
        """
        Return if no folder is read that published mails are moved to, or in which no mail arrives.

        Raises:
            FoldersConflict: One is.
            BridgeError: It cannot be told at the moment.
        """
        if self._compared or not self._watched:
            return
        names = [*self._watched, *([self._move_to] if self._move_to else [])]
        ids, ledgers = await self._look([await self._named(name) for name in names])
        elsewhere = await self._where_no_mail_arrives()
        own = dict.fromkeys(ledgers, LEDGER_FOLDER)
        for name in OWN_FOLDERS:
            folder = await find_child(self._client, self._address, distinguished("msgfolderroot"), name)
            own |= {folder.get("Id") or "": name} if folder is not None else {}
        conflict = folder_conflict(
            ids[: len(self._watched)],
            ids[-1] if self._move_to else None,
            elsewhere=elsewhere,
            own=own,
        )
        if conflict is not None:
            raise FoldersConflict(conflict)
        self._compared = None not in ids

    async def _named(self, name: str) -> etree._Element | None:
        try:
            return await folder_id(self._client, self._address, name)
        except FolderNotFound:
            return None

    async def _where_no_mail_arrives(self) -> dict[str, str]:
        """Return the names of those folders, by id. One that cannot be opened is not the one that is read."""
        folders = [distinguished(name) for name in _NO_MAIL_ARRIVES]
        messages = _one_for_each(folders, await self._get(folders))
        ids = [None if isinstance(message.error, _CLOSED) else _id_of(_shown(message)) for message in messages]
        return {one: name for one, name in zip(ids, _NO_MAIL_ARRIVES, strict=True) if one is not None}

    async def _look(self, folders: Sequence[etree._Element | None]) -> tuple[list[str | None], list[str]]:
        """Return the ids of folders, None of one that is not there, and which of them hold the ledger of sends."""
        asked = [folder for folder in folders if folder is not None]
        messages = await self._get(asked, stamps.uri(stamps.LEDGER)) if asked else []
        if messages and all(message.code == "ErrorInvalidPropertyRequest" for message in messages):
            messages = await self._get(asked)  # a server that does not know the property has no ledger to be told by it
        answers = iter(_one_for_each(asked, messages))
        ids: list[str | None] = []
        ledgers = []
        for folder in folders:
            message = next(answers) if folder is not None else None
            shown = _shown(message) if message is not None else None
            ids.append(_id_of(shown))
            if shown is not None and stamps.LEDGER in stamps.properties_of(shown):
                ledgers.append(ids[-1] or "")
        return ids, ledgers

    async def _get(self, folders: Sequence[etree._Element], *fields: etree._Element) -> list[ResponseMessage]:
        more = [element("t:AdditionalProperties", *fields)] if fields else []
        shape = element("m:FolderShape", element("t:BaseShape", text="IdOnly"), *more)
        return await self._client.call(
            self._address, element("m:GetFolder", shape, folder_ids("m:FolderIds", *folders))
        )


def _one_for_each(folders: Sequence[etree._Element], messages: list[ResponseMessage]) -> list[ResponseMessage]:
    if len(messages) != len(folders):
        raise MailboxUnavailable("another number of answers than of folders")
    return messages


def _id_of(shown: etree._Element | None) -> str | None:
    found = shown.find(f"{T}FolderId") if shown is not None else None
    return found.get("Id") if found is not None else None


def _shown(message: ResponseMessage) -> etree._Element | None:
    """Return the folder that an answer shows, None where there is none."""
    if not isinstance(message.error, FolderNotFound) and message.code != "ErrorItemNotFound":
        message.raise_error()
    folder_id = next(message.element.iter(f"{T}FolderId"), None)
    return folder_id.getparent() if folder_id is not None else None
