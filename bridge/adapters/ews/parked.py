"""The folder `Bridge Parked` of one mailbox, over EWS: mails lie there unchanged, with the code of their reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.adapters.ews import stamps
from bridge.adapters.ews.calls import find, find_all
from bridge.adapters.ews.folder_ids import distinguished, folder_ids
from bridge.adapters.ews.folders import ensure_child, find_child
from bridge.adapters.ews.refs import ref_fields, ref_of
from bridge.adapters.ews.soap import T, element
from bridge.adapters.ews.times import parse_time
from bridge.domain.mail import Removal
from bridge.domain.parking import PARKED_FOLDER
from bridge.errors import BridgeError, MailboxUnavailable
from bridge.ports.parked import ParkedMail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lxml import etree

    from bridge.adapters.ews.client import EwsClient
    from bridge.domain.mail import MailRef

_AT_A_TIME = 100
_CHANGED = "item:LastModifiedTime"


class EwsParked:
    """Keeps the promise of `ports.parked.ParkedMails`, and moves mails in."""

    def __init__(self, client: EwsClient, address: str) -> None:
        self._client = client
        self._address = address

    async def put(self, mails: Sequence[tuple[MailRef, str]]) -> list[Removal]:
        """
        Move mails in, making the folder where it is missing; one outcome for each.

        Raises:
            BridgeError: The call was refused as a whole.
        """
        # Looked for each time: who deletes it in Outlook moves it to Deleted Items, where it keeps its id, and where
        # mails age away unseen.
        folder = await ensure_child(self._client, self._address, distinguished("msgfolderroot"), PARKED_FOLDER)
        moved = await self._move([ref.item_id for ref, _ in mails], folder)
        await self._note(
            [(new_id, code) for (new_id, error), (_, code) in zip(moved, mails, strict=True) if new_id and not error]
        )
        return [Removal(ref, error) for (ref, _), (_, error) in zip(mails, moved, strict=True)]

    async def lately(self, within_seconds: float, *, limit: int) -> list[float]:
        """
        Return how many seconds ago mails came here within this time, the latest first, up to `limit` or a page.

        A mail that comes here is changed: it is moved, and its reason is written beside it. What a person changes here
        counts as new: then fewer are parked, not more.
        """
        folder = await self._existing()
        if folder is None or not limit:
            return []
        message = await find(
            self._client,
            self._address,
            folder,
            None,
            fields=[element("t:FieldURI", FieldURI=_CHANGED)],
            limit=limit,
            sort_by=_CHANGED,
            last_first=True,
        )
        now = self._client.now()
        changed = (parse_time(item.findtext(f"{T}LastModifiedTime")) or now for item in stamps.items_of(message))
        ages = (max(0.0, (now - moment).total_seconds()) for moment in changed)
        return [age for age in ages if age < within_seconds]

    async def list_parked(self) -> list[ParkedMail]:
        """Return the parked mails, oldest first."""
        folder = await self._existing()
        if folder is None:
            return []
        fields = [*ref_fields(), stamps.uri(stamps.REASON)]
        items = await find_all(
            self._client, self._address, folder, None, fields=fields, sort_by="item:DateTimeReceived"
        )
        return [
            ParkedMail(ref_of(item, self._address), stamps.properties_of(item).get(stamps.REASON)) for item in items
        ]

    async def put_back(self, mails: Sequence[MailRef]) -> list[Removal]:
        """Move parked mails back to the inbox; one outcome for each."""
        outcomes: list[Removal] = []
        for start in range(0, len(mails), _AT_A_TIME):
            some = mails[start : start + _AT_A_TIME]
            moved = await self._move([ref.item_id for ref in some], distinguished("inbox"))
            outcomes += [Removal(ref, error) for ref, (_, error) in zip(some, moved, strict=True)]
        return outcomes

    async def _existing(self) -> etree._Element | None:
        return await find_child(self._client, self._address, distinguished("msgfolderroot"), PARKED_FOLDER)

    async def _move(self, item_ids: Sequence[str], target: etree._Element) -> list[tuple[str, BridgeError | None]]:
        """Return for each mail its new id, where it is told, and what went wrong; one that is gone is no error."""
        ids = element("m:ItemIds", *(element("t:ItemId", Id=item_id) for item_id in item_ids))
        request = element("m:MoveItem", folder_ids("m:ToFolderId", target), ids)
        messages = await self._client.call(self._address, request)
        if len(messages) != len(item_ids):
            raise MailboxUnavailable("another number of answers than of mails")
        return [
            (
                next((stamps.item_id_of(item)[0] for item in stamps.items_of(message)), ""),
                None if message.code == "ErrorItemNotFound" else message.error,
            )
            for message in messages
        ]

    async def _note(self, reasons: Sequence[tuple[str, str]]) -> None:
        """Write the reasons beside the mails: best effort, a mail may be too corrupt for it."""
        if not reasons:
            return
        changes = [
            element(
                "t:ItemChange",
                element("t:ItemId", Id=item_id),
                element("t:Updates", stamps.set_field(stamps.REASON, code)),
            )
            for item_id, code in reasons
        ]
        request = element(
            "m:UpdateItem",
            element("m:ItemChanges", *changes),
            ConflictResolution="AlwaysOverwrite",
            MessageDisposition="SaveOnly",
            SuppressReadReceipts="true",
        )
        try:
            await self._client.call(self._address, request)
        except BridgeError:
            return  # the event has the reason, too
