"""Makes messages of mails, and has what they refer to in the blob store before it hands them out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from bridge.domain.blobs import BytesInMemory
from bridge.domain.mail import FetchedMail, SpooledMail
from bridge.errors import MessageTooLarge
from bridge.mime.parsed import Extent
from bridge.telemetry.ingest_events import BlobWritten, MailUnread
from bridge.wire.bounce_events import verified
from bridge.wire.inbound_messages import composed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.domain.mail import ReadMail, UnconvertibleMail
    from bridge.ports.blobs import BlobStore
    from bridge.ports.broker import Message
    from bridge.telemetry.events import Emit
    from bridge.wire.claims import ClaimRules, PendingBlob
    from bridge.wire.inbound_messages import Composed

_LARGE_FROM_BYTES: Final = 256 * 1024
# Of such a mail the worst that is known takes a tenth; nothing else of the worker runs meanwhile.
_PARSE_SECONDS: Final = 2.0
_WRITES_AT_A_TIME: Final = 4


@dataclass(frozen=True, slots=True)
class Claims:
    """A store, and what goes there."""

    store: BlobStore
    rules: ClaimRules


class LargeMailReader(Protocol):
    """Makes messages of large mails where that holds up nothing else of the worker."""

    async def composed(
        self, mail: FetchedMail | UnconvertibleMail, alias: str, rules: ClaimRules | None = None
    ) -> Composed:
        """
        Return the messages for a mail, and what of it goes to the blob store.

        Raises:
            MailUnreadable: A mail of properties alone cannot be read: there are no bytes to publish instead.
        """

    async def composed_of_file(self, mail: SpooledMail, alias: str, rules: ClaimRules) -> Composed:
        """
        Return the same for a mail in a file; what of it goes to the blob store lies in files, too.

        Raises:
            BlobStoreUnusable: There is no room for them.
        """


class Composer:
    """Of one mailbox. Large mails are read by others, so that heartbeats go on."""

    def __init__(
        self,
        alias: str,
        large_mails: LargeMailReader,
        emit: Emit,
        *,
        largest_body_bytes: int,
        claims: Claims | None = None,
        trust_internal: bool = False,
    ) -> None:
        """Prepare it; `trust_internal` says that nobody outside can write what Exchange writes on mail from within."""
        self._alias = alias
        self._large_mails = large_mails
        self._emit = emit
        self._largest_body_bytes = largest_body_bytes
        self._claims = claims
        self._trust_internal = trust_internal

    async def __call__(self, mail: ReadMail) -> Sequence[Message]:
        """
        Return the messages for a mail, its own last; all blobs that it names are in the store.

        Raises:
            MessageTooLarge: There is no store, and the broker does not carry the mail.
            BlobStoreUnavailable, BlobStoreUnusable: The store cannot take it at the moment.
        """
        made = await self._composed(mail)
        await self._write(made.blobs)
        if made.unread is not None:
            self._emit(MailUnread(self._alias, mail.ref.message_id, made.unread))
        return [*verified(made.messages)] if made.says_internal and self._trust_internal else made.messages

    async def _composed(self, mail: ReadMail) -> Composed:
        rules = self._claims.rules if self._claims is not None else None
        if isinstance(mail, SpooledMail):
            if rules is not None:
                return await self._large_mails.composed_of_file(mail, self._alias, rules)
            if mail.size * 4 // 3 > self._largest_body_bytes:
                raise MessageTooLarge(f"a mail of {mail.size} bytes, and there is no blob store")
            mail = FetchedMail(mail.ref, await asyncio.to_thread(mail.file.read))
        size = len(mail.mime) if isinstance(mail, FetchedMail) else mail.ref.size_bytes
        if size >= _LARGE_FROM_BYTES:
            return await self._large_mails.composed(mail, self._alias, rules)
        return composed(mail, self._alias, seconds=_PARSE_SECONDS, rules=rules)

    async def _write(self, blobs: Sequence[PendingBlob]) -> None:
        """Write all, a few at a time; the first that fails ends it, and what was written is written again next time."""
        if not blobs or self._claims is None:
            return
        store, turns = self._claims.store, asyncio.Semaphore(_WRITES_AT_A_TIME)

        async def write(blob: PendingBlob) -> None:
            content = BytesInMemory(blob.content) if isinstance(blob.content, bytes) else blob.content
            if isinstance(content, Extent):
                raise TypeError("a stretch of a file that is not here")
            async with turns:
                await store.write(blob.ref, content)
            self._emit(BlobWritten(self._alias, blob.ref.size))

        tasks = [asyncio.ensure_future(write(blob)) for blob in blobs]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        # Only where all went well: a store that did not answer in time may be reading still.
        for blob in blobs:
            if not isinstance(blob.content, bytes | Extent):
                blob.content.close()
