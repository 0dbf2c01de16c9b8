"""The draft of a request: in one call where it fits, or its attachments one by one, each read when its turn comes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from bridge.domain.blobs import BlobRef, key_in
from bridge.domain.outbound import AttachedFile
from bridge.errors import BlobRefused, BlobStoreUnavailable, BlobStoreUnusable, TooLargeForTransport
from bridge.mime.compose import compose

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Sequence
    from datetime import datetime

    from bridge.domain.outbound import Mailbox
    from bridge.domain.outbound_records import CreatedDraft, Stamp
    from bridge.flow.byte_budget import ByteBudget
    from bridge.ports.blobs import BlobStore
    from bridge.ports.outbox import SendingMailbox
    from bridge.wire.outbound_v1 import Attachment, OutboundRequest

_Result = TypeVar("_Result")
_LARGE_BYTES: Final = 256 * 1024
_ENCODED: Final = 1.38
"""What base64 in lines makes of a byte."""
_IN_ONE_CALL_BYTES: Final = 8 * 1024 * 1024
"""A mail of one call is in memory several times over: as attachments, MIME, base64, XML. In parts it is not at all."""
_BESIDE_BYTES: Final = 512 * 1024
"""Headers, and the edges of parts."""


@dataclass(frozen=True, slots=True)
class BlobReader:
    """Where the attachments of requests may lie, and what all of them together may take of memory."""

    store: BlobStore
    budget: ByteBudget


async def create_draft(
    request: OutboundRequest,
    stamp: Stamp,
    *,
    mailbox: SendingMailbox,
    sender: Mailbox,
    date: datetime,
    blobs: BlobReader | None,
) -> CreatedDraft:
    """
    Save the draft of a request and return it with what sends it.

    Raises:
        TooLargeForTransport: Exchange does not take it in any number of calls.
        BlobMissing, BlobChanged, BlobRefused: An attachment is not where, or what, the request says.
        BridgeError: As `SendingMailbox.create_draft` says; or the blob store gives nothing at the moment.
    """
    stored = [one for one in request.attachments if one.blob is not None]
    if not stored or blobs is None:
        return await _in_one_call(request, stamp, mailbox, sender, date)
    _check_sizes(request, stored, mailbox)
    size = _mime_bytes(request, request.attachments)
    apart = size > min(mailbox.largest_mime_bytes, _IN_ONE_CALL_BYTES)
    largest = max(one.blob.size for one in stored if one.blob is not None) if apart else size
    taken = await blobs.budget.take(largest)
    try:
        if not apart:
            whole = [await _with_content(one, blobs.store) for one in request.attachments]
            complete = request.model_copy(update={"attachments": tuple(whole)})
            return await _in_one_call(complete, stamp, mailbox, sender, date)
        rest = tuple(one for one in request.attachments if one.blob is None)
        mime = await _composed(request.model_copy(update={"attachments": rest}), stamp, sender, date)
        return await mailbox.create_draft_in_parts(mime, _each(stored, blobs.store), stamp)
    finally:
        blobs.budget.give_back(taken)


async def _in_one_call(
    request: OutboundRequest, stamp: Stamp, mailbox: SendingMailbox, sender: Mailbox, date: datetime
) -> CreatedDraft:
    mime = await _composed(request, stamp, sender, date)
    if len(mime) > mailbox.largest_mime_bytes:
        raise TooLargeForTransport(f"{len(mime)} bytes")
    return await mailbox.create_draft(mime, stamp)


async def _composed(request: OutboundRequest, stamp: Stamp, sender: Mailbox, date: datetime) -> bytes:
    mail = request.to_mail(sender=sender, date=date, digest=stamp.digest)
    size = sum(len(one.content) for one in mail.attachments) + len(mail.text or "") + len(mail.html or "")
    return await asyncio.to_thread(compose, mail) if size > _LARGE_BYTES else compose(mail)


def _check_sizes(request: OutboundRequest, stored: Sequence[Attachment], mailbox: SendingMailbox) -> None:
    rest = [one for one in request.attachments if one.blob is None]
    if _mime_bytes(request, rest) > mailbox.largest_mime_bytes:
        raise TooLargeForTransport("without its stored attachments")
    for number, one in enumerate(stored):
        if one.blob is not None and one.blob.size > mailbox.largest_attachment_bytes:
            raise TooLargeForTransport(f"stored attachment {number} alone: {one.blob.size} bytes")
    size = _mime_bytes(request, request.attachments)
    if size > mailbox.largest_mail_bytes:
        raise TooLargeForTransport(f"about {size} bytes in all")


def _mime_bytes(request: OutboundRequest, attachments: Sequence[Attachment]) -> int:
    content = sum(one.blob.size if one.blob is not None else len(one.content or b"") for one in attachments)
    text = len((request.text or "").encode()) + len((request.html or "").encode())
    return int(_ENCODED * (content + text)) + _BESIDE_BYTES


async def _each(stored: Sequence[Attachment], store: BlobStore) -> AsyncIterator[AttachedFile]:
    for one in stored:
        ref = _ref(one, store)
        content = await _from(store.copy(ref))
        yield AttachedFile(one.name, one.content_type, ref.size, content.pieces, one.content_id)


async def _with_content(one: Attachment, store: BlobStore) -> Attachment:
    if one.blob is None:
        return one
    return one.model_copy(update={"content": await _read(one, store), "blob": None})


async def _read(one: Attachment, store: BlobStore) -> bytes:
    return await _from(store.read(_ref(one, store)))


def _ref(one: Attachment, store: BlobStore) -> BlobRef:
    if one.blob is None:
        raise BlobRefused("it is no blob")
    return BlobRef(key_in(store.url, one.blob.url), one.blob.size, one.blob.sha256)


async def _from(call: Awaitable[_Result]) -> _Result:
    try:
        return await call
    except BlobStoreUnusable as error:
        # The mailbox can be used all the same: its other requests must not wait for the store.
        raise BlobStoreUnavailable(error.detail, code=error.code) from error
