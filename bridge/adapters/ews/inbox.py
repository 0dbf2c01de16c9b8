"""The watched folders of one mailbox, over EWS."""

from __future__ import annotations

import base64
import binascii
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bridge.adapters.ews.folder_counts import EwsFolderCounts
from bridge.adapters.ews.folder_ids import folder_ids
from bridge.adapters.ews.folders import folder_id
from bridge.adapters.ews.parked import EwsParked
from bridge.adapters.ews.properties import PROPERTY_FIELDS, read_properties
from bridge.adapters.ews.refs import number_of, ref_fields, ref_of
from bridge.adapters.ews.response_codes import CONVERSION_REFUSALS
from bridge.adapters.ews.soap import MalformedAnswer, ResponseMessage, element
from bridge.adapters.ews.streamed import StreamedMime
from bridge.adapters.ews.times import to_text
from bridge.adapters.ews.watched import WatchedFolders
from bridge.adapters.spool import Spool
from bridge.domain.batches import is_large
from bridge.domain.mail import (
    FailedFetch,
    Fetched,
    FetchedMail,
    Listing,
    Removal,
    SpooledMail,
    UnconvertibleMail,
    VanishedMail,
)
from bridge.errors import BlobStoreUnusable, BridgeError, FolderNotFound, MailboxUnavailable, MailUnreadable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from lxml import etree

    from bridge.adapters.ews.client import EwsClient
    from bridge.domain.mail import MailRef
    from bridge.domain.mailbox_state import FolderCounts
    from bridge.ports.broker import PublishReceipt

from bridge.adapters.ews.soap import M, T

_HELD_AT_MOST_BYTES = 16 << 20
"""A mail up to this size, which the broker may carry whole, is held in memory where there is no room for its file."""
_IMPLAUSIBLE_FROM_BYTES = 1 << 20
_IMPLAUSIBLE_FRACTION = 20
_GARBLED_LIMIT = 3
"""A mail whose answer was no XML so often is taken for one that cannot be had as MIME; then its bytes are given up."""
_GARBLED_REMEMBERED = 1_000
_TARGET_GOOD_SECONDS = 10.0
"""A folder keeps its id when people rename it, or delete it in Outlook: mails would go on into Deleted Items."""


@dataclass(frozen=True, slots=True)
class RemoveBy:
    """How a published mail leaves: by a DeleteType, or into a folder."""

    delete_type: Literal["MoveToDeletedItems", "SoftDelete", "HardDelete"] | None = "MoveToDeletedItems"
    move_to: str | None = None


class EwsInbox:
    """
    Keeps the promise of `ports.inbox.Inbox`.

    The listing sorts by DateTimeReceived on the server. MIME comes by GetItem, many mails a call; a call that fails as
    a whole because of one mail is halved until that mail stands alone.
    """

    def __init__(
        self,
        client: EwsClient,
        address: str,
        *,
        remove_by: RemoveBy | None = None,
        ignore_before: datetime | None = None,
        folders: Sequence[str] = (),
    ) -> None:
        """`folders`: all that are read, which are compared before the first listing."""
        self._client = client
        self._address = address
        self._remove_by = remove_by or RemoveBy()
        self._ignore_before = ignore_before
        self._target_folder: tuple[etree._Element, float] | None = None
        """Where published mails go, and when it was looked up."""
        self._parked = EwsParked(client, address)
        self._folder_counts = EwsFolderCounts(client, address, target=self._remove_by.move_to)
        self._watched = WatchedFolders(client, address, folders, self._remove_by.move_to)
        self._garbled: OrderedDict[str, int] = OrderedDict()

    async def list_waiting(self, folder: str, *, limit: int, offset: int = 0) -> Listing:
        """Return the mails of a folder oldest first, `limit` of them after the first `offset`, with the total count."""
        await self._watched.check()
        parent = await folder_id(self._client, self._address, folder)
        request = element(
            "m:FindItem",
            element(
                "m:ItemShape",
                element("t:BaseShape", text="IdOnly"),
                element("t:AdditionalProperties", *ref_fields()),
            ),
            element(
                "m:IndexedPageItemView",
                MaxEntriesReturned=str(limit),
                Offset=str(offset),
                BasePoint="Beginning",
            ),
            *self._restriction(),
            element(
                "m:SortOrder",
                element("t:FieldOrder", element("t:FieldURI", FieldURI="item:DateTimeReceived"), Order="Ascending"),
            ),
            folder_ids("m:ParentFolderIds", parent),
            Traversal="Shallow",
        )
        message = await self._client.call_one(self._address, request)
        root = message.element.find(f"{M}RootFolder")
        items = root.find(f"{T}Items") if root is not None else None
        if root is None or items is None:
            raise MailboxUnavailable("FindItem answered without items")
        refs = [ref_of(item, self._address) for item in items if item.find(f"{T}ItemId") is not None]
        return Listing(
            refs,
            total=number_of(root.get("TotalItemsInView"), len(refs)),
            complete=(root.get("IncludesLastItemInRange") or "true").lower() in {"true", "1"},
        )

    async def count(self, folder: str) -> int:
        """Return how many mails a folder holds."""
        parent = await folder_id(self._client, self._address, folder)
        request = element(
            "m:GetFolder",
            element("m:FolderShape", element("t:BaseShape", text="Default")),
            folder_ids("m:FolderIds", parent),
        )
        message = await self._client.call_one(self._address, request)
        total = next(message.element.iter(f"{T}TotalCount"), None)
        if total is None:
            raise MailboxUnavailable("GetFolder answered without a count")
        return number_of(total.text, 0)

    async def count_folders(self) -> FolderCounts:
        """Return what lies in the junk folder and in `Bridge Parked`, and how the mailbox stands; see the port."""
        return await self._folder_counts.count()

    async def fetch(self, refs: Sequence[MailRef]) -> Sequence[Fetched]:
        """Return one outcome for each ref, in their order; a mail that fails does not fail the others."""
        if not refs:
            return []
        large = next((n for n, ref in enumerate(refs) if is_large(ref)), None)
        if large is not None:
            before, after = await self.fetch(refs[:large]), refs[large + 1 :]
            return [*before, await self._fetch_large(refs[large]), *await self.fetch(after)]
        return await self._fetch_together(refs)

    async def _fetch_together(self, refs: Sequence[MailRef]) -> Sequence[Fetched]:
        try:
            messages = await self._call_for_each(refs, _get_item(refs, with_mime=True))
        except (MalformedAnswer, MailUnreadable) as error:
            if len(refs) == 1:
                return [await self._alone(refs[0], error)]
            half = len(refs) // 2
            return [*await self.fetch(refs[:half]), *await self.fetch(refs[half:])]
        except BridgeError as error:
            return [FailedFetch(ref, error) for ref in refs]
        done = _looked_at(messages)
        outcomes = [await self._outcome(ref, message) for ref, message in zip(refs[:done], messages, strict=False)]
        return [*outcomes, *await self.fetch(refs[done:])]

    async def _fetch_large(self, ref: MailRef) -> Fetched:
        """Return the outcome for a mail that is kept in a file as it arrives."""
        try:
            spool = Spool()
            mime = StreamedMime(spool.append)
            request = _get_item([ref], with_mime=True)
            [message] = await self._client.call_for_mime(self._address, request, mime, size_bytes=ref.size_bytes)
        except ValueError:
            return FailedFetch(ref, MalformedAnswer("another number of answers than of mails"))
        except (MalformedAnswer, MailUnreadable) as error:
            return await self._alone(ref, error)
        except BlobStoreUnusable as error:
            if ref.size_bytes > _HELD_AT_MOST_BYTES:
                return FailedFetch(ref, error)
            [outcome] = await self._fetch_together([ref])  # without a file it is as any other
            return outcome
        except BridgeError as error:
            return FailedFetch(ref, error)
        if message.error is not None:
            return await self._outcome(ref, message)
        if (wrong := _wrong_with(ref, mime.size, broken=mime.broken)) is not None:
            return await self._without_mime(ref, wrong)
        self._garbled.pop(ref.item_id, None)
        return SpooledMail(ref, spool, mime.size, mime.sha256)

    async def remove(self, published: Sequence[tuple[MailRef, PublishReceipt]]) -> Sequence[Removal]:
        """Take published mails out of the folder; a mail already gone is not an error."""
        for ref, receipt in published:
            if ref.message_id != receipt.message_id:
                raise ValueError("a receipt for another mail")
        if not published:
            return []
        refs = [ref for ref, _ in published]
        messages = await self._call_for_each(refs, await self._removal(refs))
        if any(isinstance(message.error, FolderNotFound) for message in messages):
            self._target_folder = None  # it may be made anew, under another id
        done = _looked_at(messages)
        removals = [
            Removal(ref, None if message.code in {"NoError", "ErrorItemNotFound"} else message.error)
            for ref, message in zip(refs[:done], messages, strict=False)
        ]
        return [*removals, *(await self.remove(published[done:]) if done < len(refs) else ())]

    async def park(self, announced: Sequence[tuple[MailRef, str, PublishReceipt]]) -> Sequence[Removal]:
        """Move mails unchanged to the folder `Bridge Parked`; a mail already gone is not an error."""
        if not announced:
            return []
        self._folder_counts.look_anew()
        return await self._parked.put([(ref, code) for ref, code, _ in announced])

    async def parked_lately(self, within_seconds: float, *, limit: int) -> Sequence[float]:
        """Return how long ago mails were parked."""
        return await self._parked.lately(within_seconds, limit=limit)

    async def _call_for_each(self, refs: Sequence[MailRef], request: etree._Element) -> list[ResponseMessage]:
        messages = await self._client.call(self._address, request)
        if len(messages) != len(refs):
            raise MalformedAnswer("another number of answers than of mails")
        return messages

    async def _removal(self, refs: Sequence[MailRef]) -> etree._Element:
        ids = element("m:ItemIds", *(element("t:ItemId", Id=ref.item_id) for ref in refs))
        if self._remove_by.move_to is not None:
            now = time.monotonic()
            if self._target_folder is None or now - self._target_folder[1] > _TARGET_GOOD_SECONDS:
                self._target_folder = (await folder_id(self._client, self._address, self._remove_by.move_to), now)
            return element("m:MoveItem", folder_ids("m:ToFolderId", self._target_folder[0]), ids)
        return element(
            "m:DeleteItem",
            ids,
            DeleteType=self._remove_by.delete_type or "MoveToDeletedItems",
            SendMeetingCancellations="SendToNone",
            AffectedTaskOccurrences="AllOccurrences",
            # Deleting an unread mail would otherwise tell its sender that it was not read.
            SuppressReadReceipts="true",
        )

    async def _outcome(self, ref: MailRef, message: ResponseMessage) -> Fetched:
        if message.error is None:
            return await self._with_mime(ref, message)
        if message.code == "ErrorItemNotFound":
            return VanishedMail(ref)
        if message.code in CONVERSION_REFUSALS or isinstance(message.error, MailUnreadable):
            return await self._fetch_properties(ref, message.code, message.error)
        return FailedFetch(ref, message.error)

    async def _with_mime(self, ref: MailRef, message: ResponseMessage) -> Fetched:
        text = next((found.text for found in message.element.iter(f"{T}MimeContent")), None)
        try:
            mime, broken = base64.b64decode("".join((text or "").split()), validate=True), False
        except (binascii.Error, ValueError):
            mime, broken = b"", True
        if (wrong := _wrong_with(ref, len(mime), broken=broken)) is not None:
            return await self._without_mime(ref, wrong)
        self._garbled.pop(ref.item_id, None)
        return FetchedMail(ref, mime)

    async def _without_mime(self, ref: MailRef, wrong: str) -> Fetched:
        if wrong == "mime_implausible":  # a part of it would be taken for the whole
            return FailedFetch(ref, MailUnreadable(wrong))
        return await self._fetch_properties(ref, wrong, MailUnreadable(wrong))

    async def _alone(self, ref: MailRef, error: BridgeError) -> Fetched:
        """Return a mail's properties where its answer is garbled each time; once, it may be the network or a server."""
        if isinstance(error, MalformedAnswer):
            times = self._garbled.pop(ref.item_id, 0) + 1
            if times < _GARBLED_LIMIT:
                self._garbled[ref.item_id] = times
                while len(self._garbled) > _GARBLED_REMEMBERED:
                    self._garbled.popitem(last=False)
                return FailedFetch(ref, MailUnreadable(error.code))
        return await self._fetch_properties(ref, error.code, error)

    async def _fetch_properties(self, ref: MailRef, code: str, error: BridgeError) -> Fetched:
        """Return what can be had of a mail whose MIME cannot."""
        try:
            [message] = await self._call_for_each([ref], _get_item([ref], with_mime=False))
        except MalformedAnswer:
            return FailedFetch(ref, MailUnreadable(code))
        except BridgeError as failure:
            return FailedFetch(ref, failure)
        if message.code == "ErrorItemNotFound":
            return VanishedMail(ref)
        item = next((found for found in message.element.iter(f"{M}Items")), None)
        if message.error is not None or item is None or not len(item):
            return FailedFetch(ref, message.error or error)
        return UnconvertibleMail(ref, read_properties(item[0]), code)

    def _restriction(self) -> list[etree._Element]:
        if self._ignore_before is None:
            return []
        constant = element("t:FieldURIOrConstant", element("t:Constant", Value=to_text(self._ignore_before)))
        field = element("t:FieldURI", FieldURI="item:DateTimeReceived")
        return [element("m:Restriction", element("t:IsGreaterThanOrEqualTo", field, constant))]


def _wrong_with(ref: MailRef, size: int, *, broken: bool) -> str | None:
    """Return why a MIME cannot be the mail, None where it can."""
    if broken:
        return "mime_not_base64"
    if not size:
        return "mime_empty"
    implausible = ref.size_bytes > _IMPLAUSIBLE_FROM_BYTES and size * _IMPLAUSIBLE_FRACTION < ref.size_bytes
    return "mime_implausible" if implausible else None


def _looked_at(messages: Sequence[ResponseMessage]) -> int:
    """
    Return how many answers came before Exchange stopped looking, which it does after about a minute.

    The rest of a batch then reads ErrorBatchProcessingStopped and is asked for anew. All of it where nothing was done.
    """
    stopped = (n for n, message in enumerate(messages) if message.code == "ErrorBatchProcessingStopped")
    return next(stopped, 0) or len(messages)


def _get_item(refs: Sequence[MailRef], *, with_mime: bool) -> etree._Element:
    shape = [element("t:BaseShape", text="IdOnly")]
    if with_mime:
        # Named by its field and not by IncludeMimeContent, which would bring the body's properties along.
        shape.append(element("t:AdditionalProperties", element("t:FieldURI", FieldURI="item:MimeContent")))
    else:
        fields = (element("t:FieldURI", FieldURI=field) for field in PROPERTY_FIELDS)
        shape.append(element("t:AdditionalProperties", *fields))
    ids = element("m:ItemIds", *(element("t:ItemId", Id=ref.item_id) for ref in refs))
    return element("m:GetItem", element("m:ItemShape", *shape), ids)
