"""
The calls that make drafts: each in one call, or in parts where its mail is too large for one.

In parts comes the mail, then each attachment by itself, and the stamp last. Each step changes the draft's change key;
the last one's is what sends it. A draft that was begun and never finished carries the request's id alone: no look takes
that for a stamp, and the sweep finds it by its age.
"""

from __future__ import annotations

import base64
import contextlib
from typing import TYPE_CHECKING

from bridge.adapters.ews import stamps
from bridge.adapters.ews.calls import change_with, change_with_content
from bridge.adapters.ews.folder_ids import distinguished, folder_ids
from bridge.adapters.ews.soap import T, element
from bridge.adapters.http_insertion import Insertion
from bridge.domain.outbound_records import CreatedDraft
from bridge.errors import BridgeError, MailUnreadable, SendOutcomeUnknown, SendRefused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from lxml import etree

    from bridge.adapters.ews.client import EwsClient
    from bridge.adapters.ews.soap import ResponseMessage
    from bridge.domain.outbound import AttachedFile
    from bridge.domain.outbound_records import Stamp


class DraftInParts:
    """Builds one draft; see `build`."""

    def __init__(self, client: EwsClient, address: str) -> None:
        self._client = client
        self._address = address

    async def build(self, mime: bytes, attachments: AsyncIterator[AttachedFile], stamp: Stamp) -> CreatedDraft:
        """
        Return the draft, finished and stamped; what was begun is deleted again where it cannot be finished.

        Raises:
            SendRefused, SendOutcomeUnknown, BridgeError: As `ports.outbox.SendingMailbox` says.
        """
        item_id, key = await self._begin(mime, stamp.request_id)
        try:
            async for attachment in attachments:
                key = await self._attach(item_id, attachment)
            return CreatedDraft(stamp, *await self._stamp(item_id, key, stamp))
        except SendOutcomeUnknown:
            raise  # a call that is under way still, and may write the stamp
        except BridgeError:
            with contextlib.suppress(BridgeError):  # the sweep gets it otherwise
                await self._change(lambda: deletion([item_id]))
            raise

    async def _begin(self, mime: bytes, request_id: str) -> tuple[str, str]:
        properties = {stamps.REQUEST_ID: request_id}
        return created(await self._change(lambda: creation((mime, properties)), size=len(mime)))

    async def _attach(self, item_id: str, attachment: AttachedFile) -> str:
        content = Insertion(attachment.size, attachment.pieces)
        request = _addition(item_id, attachment, content.mark)
        message = await self._refused_or(change_with_content(self._client, self._address, request, content))
        found = next(message.element.iter(f"{T}AttachmentId"), None)
        key = found.get("RootItemChangeKey") if found is not None else None
        if not key:
            raise SendOutcomeUnknown("an attachment was made and the draft's change key not told")
        return key

    async def _stamp(self, item_id: str, key: str, stamp: Stamp) -> tuple[str, str]:
        fields = [stamps.set_field(name, value) for name, value in stamps.of_stamp(stamp).items()]
        request = element(
            "m:UpdateItem",
            element(
                "m:ItemChanges",
                element("t:ItemChange", element("t:ItemId", Id=item_id, ChangeKey=key), element("t:Updates", *fields)),
            ),
            ConflictResolution="NeverOverwrite",
            MessageDisposition="SaveOnly",
        )
        return created(await self._change(lambda: request))

    async def _change(self, request: Callable[[], etree._Element], *, size: int = 0) -> ResponseMessage:
        return await self._refused_or(change_with(self._client, self._address, request, size=size))

    @staticmethod
    async def _refused_or(call: Awaitable[ResponseMessage]) -> ResponseMessage:
        try:
            return await call
        except MailUnreadable as error:
            # As an answer to a read these mean that a mail cannot be had; here, that it is not taken.
            raise SendRefused(error.detail) from error


def _addition(item_id: str, attachment: AttachedFile, content: str) -> etree._Element:
    identified = attachment.content_id is not None
    return element(
        "m:CreateAttachment",
        element("m:ParentItemId", Id=item_id),
        element(
            "m:Attachments",
            element(
                "t:FileAttachment",
                element("t:Name", text=attachment.name),
                element("t:ContentType", text=attachment.content_type),
                *([element("t:ContentId", text=attachment.content_id)] if identified else []),
                element("t:IsInline", text="true" if identified else "false"),
                element("t:Content", text=content),
            ),
        ),
    )


def creation(*drafts: tuple[bytes, dict[str, str]]) -> etree._Element:
    """Return the request that saves drafts, each of its MIME and properties."""
    return element(
        "m:CreateItem",
        folder_ids("m:SavedItemFolderId", distinguished("drafts")),
        element(
            "m:Items",
            *(
                element(
                    "t:Message",
                    element("t:MimeContent", text=base64.b64encode(mime).decode("ascii"), CharacterSet="UTF-8"),
                    *stamps.written(properties),
                )
                for mime, properties in drafts
            ),
        ),
        MessageDisposition="SaveOnly",
    )


def created(message: ResponseMessage) -> tuple[str, str]:
    """
    Return the id and change key that an answer tells of a draft.

    Raises:
        SendOutcomeUnknown: It tells none.
    """
    for item in stamps.items_of(message):
        item_id, change_key = stamps.item_id_of(item)
        if item_id and change_key:
            return item_id, change_key
    raise SendOutcomeUnknown("a draft was made and its id not told")


def deletion(item_ids: list[str]) -> etree._Element:
    """Return the request that deletes items for good."""
    return element(
        "m:DeleteItem",
        element("m:ItemIds", *(element("t:ItemId", Id=item_id) for item_id in item_ids)),
        DeleteType="HardDelete",
    )
