"""Joins the adapters to the readers of one process; what only readers need is loaded with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.adapters.ews.inbox import EwsInbox, RemoveBy
from bridge.adapters.system.parser_subprocess import ParserSubprocesses
from bridge.bootstrap.notifications import PART as NOTIFICATIONS_PART
from bridge.bootstrap.notifications import NotificationStreamPool
from bridge.domain.batches import BatchLimits
from bridge.domain.parking import ParkingLimit
from bridge.ingest.compose import Claims, Composer
from bridge.ingest.limits import TransferLimits
from bridge.ingest.reader import IngestOptions, MailboxReader
from bridge.wire.claims import ClaimRules

if TYPE_CHECKING:
    from bridge.bootstrap.shared import Shared
    from bridge.config.blobs import BlobSettings
    from bridge.ports.blobs import BlobStore

_DELETE_TYPES: Final = {
    "deleted_items": RemoveBy("MoveToDeletedItems"),
    "soft_delete": RemoveBy("SoftDelete"),
    "hard_delete": RemoveBy("HardDelete"),
}


class Reading:
    """A reader for each mailbox that is to be read, and what they share with each other."""

    def __init__(self, shared: Shared) -> None:
        settings = shared.settings
        claims = blob_claims(settings.blobs, shared.blobs, shared.publisher.largest_body_bytes)
        self._parsers = parser_subprocesses()
        self.streams = NotificationStreamPool(settings, shared.clock, shared.emit, shared.observe)
        self.readers: list[MailboxReader] = []
        options = settings.ingest
        limits = TransferLimits(
            batch=BatchLimits(options.batch_mails, options.batch_bytes),
            fetches_in_flight=options.fetches_in_flight,
            unconfirmed=options.unconfirmed_mails,
            settle_seconds=settings.rabbitmq.confirm_timeout_seconds * 3,
        )
        for mailbox in settings.mailboxes:
            if not mailbox.read:
                continue
            remove_by = RemoveBy(None, mailbox.move_to) if mailbox.move_to else _DELETE_TYPES[mailbox.after_publish]
            inbox = EwsInbox(
                shared.client(mailbox),
                mailbox.address,
                remove_by=remove_by,
                ignore_before=mailbox.ignore_before,
                folders=mailbox.folders,
            )
            reader = MailboxReader(
                alias=mailbox.alias,
                inbox=inbox,
                publisher=shared.events,
                compose=Composer(
                    mailbox.alias,
                    self._parsers,
                    shared.emit,
                    largest_body_bytes=shared.publisher.largest_body_bytes,
                    claims=claims,
                    trust_internal=options.trust_exchange_headers,
                ),
                budget=shared.budget,
                large_budget=shared.large_budget,
                clock=shared.clock,
                emit=shared.emit,
                health=shared.health,
                options=IngestOptions(
                    folders=mailbox.folders,
                    poll_interval_seconds=options.poll_interval_seconds,
                    listing_interval_seconds=options.listing_interval_seconds,
                    page_count=options.page_mails,
                    keep_seconds=options.keep_seconds,
                    limits=limits,
                    parking=ParkingLimit(mails=options.parked_per_hour),
                ),
                notices=self.streams.notices(mailbox, shared.client(mailbox), shared.tokens(mailbox)),
                roster=shared.roster,
            )
            shared.health.expect(reader.part)
            shared.metrics.ingest_listing_age.start(mailbox.alias)
            self.readers.append(reader)
        if options.streaming and self.readers:
            shared.health.expect(NOTIFICATIONS_PART)

    async def close(self) -> None:
        """Close the connections of the streams, and end the processes that parse."""
        self.streams.close()
        await self._parsers.close()


def parser_subprocesses() -> ParserSubprocesses:
    """Return what reads large mails in processes of their own; close it at the end."""
    return ParserSubprocesses()


def blob_claims(settings: BlobSettings | None, store: BlobStore | None, largest_body_bytes: int) -> Claims | None:
    """Return where large mails go; None where there is no such place."""
    if settings is None or store is None:
        return None
    return Claims(store, ClaimRules(store.url, settings.above_bytes, largest_body_bytes))
