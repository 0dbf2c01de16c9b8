"""What lies beside the inbox of one mailbox, and how full it is, over EWS: in one call, as a rule."""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from bridge.adapters.ews import stamps
from bridge.adapters.ews.calls import find
from bridge.adapters.ews.errors import UNKNOWN
from bridge.adapters.ews.folder_ids import distinguished, folder_ids
from bridge.adapters.ews.folders import DISTINGUISHED, find_child, folder_path
from bridge.adapters.ews.refs import number_of
from bridge.adapters.ews.soap import T, element
from bridge.domain.mailbox_state import FolderCounts, MailboxSize
from bridge.domain.parking import PARKED_FOLDER
from bridge.errors import BridgeError, FolderNotFound, MailboxUnavailable, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lxml import etree

    from bridge.adapters.ews.client import EwsClient
    from bridge.adapters.ews.soap import ResponseMessage

_FOUND_GOOD_SECONDS: Final = 600.0
"""People may put the folder elsewhere, where it keeps its id; who parks a mail has it looked for at once."""
_MOST_FOLDERS: Final = 1_000
_GROWING: Final = ("inbox", "deleteditems", "sentitems")
"""Folders that the work of the bridge fills: measured at each look, all others now and then."""
_SIZE: Final = "0x0E08"
"""PidTagMessageSizeExtended: of a folder, what its items take, without its subfolders."""
_RECEIVE_LIMIT, _SEND_LIMIT = "0x666A", "0x666E"
"""PidTagProhibitReceiveQuota and PidTagProhibitSendQuota, in kilobytes: the mailbox's, shown on its root folder."""


class EwsFolderCounts:
    """
    Looks, and remembers where folders are and how much lies in those that change rarely.

    The mailbox is measured as the sum of its visible folders. What Exchange counts beyond those makes it larger, never
    smaller, so that "full" is never said too early.
    """

    def __init__(
        self,
        client: EwsClient,
        address: str,
        *,
        target: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Look at one mailbox; `target` is the folder into which published mails are moved, None for none."""
        self._client = client
        self._address = address
        self._target = target if target is not None and target.lower() not in DISTINGUISHED else None
        self._monotonic = monotonic
        self._parked: etree._Element | None = None
        self._looked_at: float | None = None
        self._path: list[etree._Element] = []
        """Of the target; empty where it has to be looked for."""
        self._elsewhere_bytes: int | None = None
        """What lies in folders that are not measured at each look; None where that cannot be told."""
        self._with_sizes = True
        """Whether sizes and limits are asked for; tried anew with each look for the folders."""
        self._sizes_worked = False
        """Whether the server ever answered a question for them: a refusal is about something else then."""
        self._codes: tuple[int, dict[str, int]] | None = None
        """The reasons of the parked mails, and how many mails there were then."""

    def look_anew(self) -> None:
        """Look for the folder of parked mails at the next count: it may have been made."""
        self._looked_at = None

    async def count(self) -> FolderCounts:
        """Return what lies there; see the port."""
        sizes = await self._look_for_folders()
        watched = [distinguished("junkemail"), *map(distinguished, _GROWING)]
        if self._parked is not None:
            watched.append(self._parked)
        root, messages = await self._get([*watched, *self._path])
        measured, path = messages[: len(watched)], messages[len(watched) :]
        ids = {_folder_id(message) for message in measured}
        if sizes is not None and all(ids):
            self._elsewhere_bytes = sum(size for folder, size in sizes.items() if folder not in ids)
        count, codes = 0 if self._parked is None else _count_in(measured[-1]), None
        if count is None:
            self._looked_at = None  # it is gone, or another answers the next time
        elif count:
            codes = await self._codes_of(count)
        missing = await self._target_missing(path)
        return FolderCounts(_count_in(measured[0]), count, codes, self._size(root, measured), missing)

    async def _get(self, folders: Sequence[etree._Element]) -> tuple[ResponseMessage | None, list[ResponseMessage]]:
        """
        Return the answer for the root and for each folder.

        A server that refuses the question as a whole may know no sizes, or no root: it is asked for counts alone, and
        None takes the place of the root.
        """
        if self._with_sizes:
            try:
                root, *messages = await self._ask([distinguished("root"), *folders], with_sizes=True)
            except BridgeError as error:
                if self._sizes_worked or not _is_refusal(error):
                    raise
            else:
                self._sizes_worked = self._sizes_worked or any(message.error is None for message in messages)
                if self._sizes_worked or not all(_is_refusal(message.error) for message in messages):
                    return root, messages
        messages = await self._ask(folders, with_sizes=False)
        self._with_sizes = False
        return None, messages

    async def _ask(self, folders: Sequence[etree._Element], *, with_sizes: bool) -> list[ResponseMessage]:
        request = element("m:GetFolder", _shape(with_sizes=with_sizes), folder_ids("m:FolderIds", *folders))
        messages = await self._client.call(self._address, request)
        if len(messages) != len(folders):
            for message in messages:  # a refusal may stand for all of them
                message.raise_error()
            raise MailboxUnavailable("another number of answers than of folders")
        return messages

    async def _look_for_folders(self) -> dict[str, int] | None:
        """Look for the folders now and then; return the sizes of all visible ones then, where they can be had."""
        now = self._monotonic()
        if self._looked_at is not None and now - self._looked_at < _FOUND_GOOD_SECONDS:
            return None
        self._looked_at = None
        self._with_sizes = True
        root = distinguished("msgfolderroot")
        self._parked = await find_child(self._client, self._address, root, PARKED_FOLDER)
        self._path, self._codes, self._elsewhere_bytes = [], None, None
        sizes = await self._all_sizes(root)
        self._looked_at = now
        return sizes

    async def _all_sizes(self, root: etree._Element) -> dict[str, int] | None:
        request = element(
            "m:FindFolder",
            element(
                "m:FolderShape",
                element("t:BaseShape", text="IdOnly"),
                element("t:AdditionalProperties", _tag(_SIZE, "Long")),
            ),
            element(
                "m:IndexedPageFolderView",
                MaxEntriesReturned=str(_MOST_FOLDERS),
                Offset="0",
                BasePoint="Beginning",
            ),
            folder_ids("m:ParentFolderIds", root),
            Traversal="Deep",
        )
        try:
            message = await self._client.call_one(self._address, request)
        except BridgeError:
            return None  # how full it is remains unknown; what lies aside is told all the same
        return {
            one.get("Id") or "": _value(parent, _SIZE) or 0
            for one in message.element.iter(f"{T}FolderId")
            if (parent := one.getparent()) is not None and parent.tag != f"{T}SearchFolder"
        }

    async def _codes_of(self, count: int) -> dict[str, int]:
        """Return the reasons of the parked mails, of the oldest ones as many as a page shows."""
        if self._parked is not None and (self._codes is None or self._codes[0] != count):
            fields = [stamps.uri(stamps.REASON)]
            order = "item:DateTimeReceived"
            try:
                message = await find(self._client, self._address, self._parked, None, fields=fields, sort_by=order)
            except BridgeError:
                return {}  # that they are there matters more
            found = Counter(stamps.properties_of(item).get(stamps.REASON, "") for item in stamps.items_of(message))
            self._codes = count, dict(found)
        return self._codes[1] if self._codes is not None else {}

    async def _target_missing(self, messages: Sequence[ResponseMessage]) -> bool:
        """Return whether the target is gone: not there, renamed, or moved away, as people delete in Outlook."""
        if self._target is None:
            return False
        names = [(message.element.findtext(f".//{T}DisplayName") or "").casefold() for message in messages]
        wanted = [name.casefold() for name in self._target.split("/") if name]
        parents = [next(message.element.iter(f"{T}ParentFolderId"), None) for message in messages]
        in_place = all(
            parent is not None and parent.get("Id") == _folder_id(above)
            for parent, above in zip(parents[1:], messages, strict=False)
        )
        if len(messages) > 1 and in_place and names[1:] == wanted[-len(names[1:]) :]:
            return False
        self._path = []
        try:
            self._path = await folder_path(self._client, self._address, self._target)
        except FolderNotFound:
            return True
        return False

    def _size(self, root: ResponseMessage | None, measured: Sequence[ResponseMessage]) -> MailboxSize | None:
        sizes = [_value(message.element, _SIZE) for message in measured]
        if root is None or self._elsewhere_bytes is None or any(size is None for size in sizes):
            return None
        limits = [_value(root.element, tag) for tag in (_SEND_LIMIT, _RECEIVE_LIMIT)]
        send, receive = (None if one is None else one * 1024 for one in limits)
        return MailboxSize(self._elsewhere_bytes + sum(filter(None, sizes)), send, receive)


def _shape(*, with_sizes: bool) -> etree._Element:
    fields = [
        element("t:FieldURI", FieldURI=f"folder:{name}") for name in ("TotalCount", "DisplayName", "ParentFolderId")
    ]
    tags = [_tag(_SIZE, "Long"), _tag(_RECEIVE_LIMIT, "Integer"), _tag(_SEND_LIMIT, "Integer")] if with_sizes else []
    return element(
        "m:FolderShape",
        element("t:BaseShape", text="IdOnly"),
        element("t:AdditionalProperties", *fields, *tags),
    )


def _is_refusal(error: BridgeError | None) -> bool:
    """Whether the server will not do what it is asked; one that is not Exchange may say so in words of its own."""
    return error is not None and (not isinstance(error, TransientError) or error.code == UNKNOWN)


def _tag(tag: str, kind: str) -> etree._Element:
    return element("t:ExtendedFieldURI", PropertyTag=tag, PropertyType=kind)


def _value(within: etree._Element, tag: str) -> int | None:
    """Return the number in an extended property; None where there is none, or it says "no limit" (-1)."""
    for prop in within.iter(f"{T}ExtendedProperty"):
        uri = prop.find(f"{T}ExtendedFieldURI")
        if uri is not None and _same_tag(uri.get("PropertyTag") or "", tag):
            number = number_of(prop.findtext(f"{T}Value"), -1)
            return None if number < 0 else number
    return None


def _same_tag(one: str, other: str) -> bool:
    """Servers write 0xE08, 0x0e08 and 3592 alike."""
    numbers = [int(tag, 0) for tag in (one, other) if re.fullmatch("0[xX][0-9A-Fa-f]{1,4}|[1-9][0-9]{0,4}", tag)]
    return len(numbers) == 2 and numbers[0] == numbers[1]


def _folder_id(message: ResponseMessage) -> str:
    found = next(message.element.iter(f"{T}FolderId"), None)
    return "" if found is None else found.get("Id") or ""


def _count_in(message: ResponseMessage) -> int | None:
    total = next(message.element.iter(f"{T}TotalCount"), None)
    return None if message.error is not None or total is None else number_of(total.text, 0)
