"""The middle stage: fetched mails are composed and published, one after the other, in the order of the listing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bridge.domain.mail import FailedFetch, FetchedMail, SpooledMail, UnconvertibleMail, VanishedMail
from bridge.errors import (
    BlobStoreUnavailable,
    BlobStoreUnusable,
    BridgeError,
    MailUnreadable,
    MessageError,
    MessageTooLarge,
    PublishedTooOften,
    PublishRefused,
    PublishUnroutable,
)
from bridge.flow.waiting import report_bug
from bridge.flow.writable import until_writable
from bridge.ingest.fetch import UNEXPECTED
from bridge.telemetry.ingest_events import MailPublished

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.domain.batches import Window
    from bridge.domain.mail import MailRef, ReadMail
    from bridge.domain.publish_brake import PublishBrake
    from bridge.ingest.fetch import FetchedBatch
    from bridge.ingest.known_mails import KnownMails
    from bridge.ingest.large_mails import LargeMails
    from bridge.ingest.limits import TransferLimits
    from bridge.ingest.page import Page
    from bridge.ingest.parking import MailParking
    from bridge.ports.broker import Message, Publisher, PublishReceipt
    from bridge.ports.clock import Clock
    from bridge.telemetry.events import Emit


class MailPublish:
    """Of one page of one mailbox."""

    def __init__(
        self,
        page: Page,
        *,
        alias: str,
        publisher: Publisher,
        known: KnownMails,
        parking: MailParking,
        brake: PublishBrake,
        window: Window,
        large: LargeMails,
        limits: TransferLimits,
        clock: Clock,
        emit: Emit,
    ) -> None:
        self._page = page
        self._alias = alias
        self._publisher = publisher
        self._known = known
        self._parking = parking
        self._brake = brake
        self._window = window
        self._large = large
        self._limits = limits
        self._clock = clock
        self._emit = emit
        self._untaken_streak = 0
        self.published = 0
        """How many mails the broker has confirmed."""

    def may_be_published(self, ref: MailRef) -> bool:
        """Return whether a mail may be published; one that was, again and again, stays, and the others pass."""
        allowed = self._brake.allows(ref.message_id, self._clock.monotonic())
        if not allowed:
            self._known.deferrals.defer(ref, PublishedTooOften.code)
        return allowed

    async def publish(self, batch: FetchedBatch) -> None:
        """Publish what was read; the bytes are given back when the last of the batch is settled."""
        left = len(batch.mails)

        def settled() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                batch.give_back()

        for mail in batch.mails:
            match mail:
                case FetchedMail() | SpooledMail() | UnconvertibleMail() if not self._page.over:
                    await self._publish(mail, settled)
                    continue
                case FailedFetch(ref=ref, error=BlobStoreUnavailable() | BlobStoreUnusable() as error):
                    self._known.deferrals.defer(ref, error.code)
                case FailedFetch(ref=ref, error=MessageError() as error):
                    self._page.retry_or_park(ref, error.code)
                case FailedFetch(ref=ref, error=error):
                    self._page.fail(error, ref if len(batch.mails) == 1 else None)
                case VanishedMail(ref=ref):
                    # Listed again and again, and never found: a right is missing.
                    if self._known.suspects.count_failure(ref):
                        self._known.deferrals.defer(ref, MailUnreadable.code)
            settled()

    async def _publish(self, mail: ReadMail, settled: Callable[[], None]) -> None:
        ref = mail.ref
        if not self.may_be_published(ref):  # copies of a mail have its message_id, and may be on one page
            settled()
            return
        *announcements, message = await self._composed(mail) or (None,)
        if message is not None:
            await self._until_there_is_room()
            await self._announce(announcements)
            await self._until_writable()
        # The mailbox may be another's by now: its lease goes with the connection, and there may be a new one already.
        if message is None or self._page.over or self._page.stop.is_set():
            self._large.when_done(ref, settled)
            return
        started = self._clock.monotonic()
        self._brake.count(ref.message_id, started)
        confirm = self._publisher.publish(message)
        self._page.unconfirmed += 1

        def on_answer(answer: asyncio.Future[PublishReceipt]) -> None:
            self._page.unconfirmed -= 1
            settled()
            self._note_answer(ref, message, started, answer)
            self._page.change()

        confirm.add_done_callback(on_answer)

    async def _composed(self, mail: ReadMail) -> Sequence[Message] | None:
        """Return the messages for a mail, its own last; None where it stays or the page ends."""
        try:
            return await self._large.compose(mail)
        except MessageTooLarge as error:
            self._parking.wants(mail.ref, error.code)
        except MessageError as error:
            self._page.retry_or_park(mail.ref, error.code)
        except (BlobStoreUnavailable, BlobStoreUnusable) as error:
            self._page.store_trouble = error
            # Small mails need no store, and a page may be among them.
            self._known.deferrals.defer(mail.ref, error.code)
        except BridgeError as error:
            self._page.fail(error)
        except Exception as bug:  # noqa: BLE001 - over one mail the others must not wait, nor the process end
            self._page.retry_or_park(mail.ref, UNEXPECTED)
            report_bug("a mail was not composed", bug)
        return None

    async def _until_there_is_room(self) -> None:
        """Wait while as many mails are between publish and removal as a crash may repeat."""
        while not self._page.over and self._page.unconfirmed + self._known.receipts.held_count >= min(
            self._limits.unconfirmed, self._window.size
        ):
            self._page.change()  # the removal has not heard of a receipt that came late, for an earlier page
            await self._page.wait_for_change()

    async def _announce(self, announcements: Sequence[Message]) -> None:
        """Publish what is announced of a mail before the mail itself; whoever dies in between announces it again."""
        for announcement in announcements:
            await self._until_writable()
            if self._page.over:
                return
            try:
                await self._publisher.publish(announcement)
            except (PublishUnroutable, PublishRefused, MessageError):
                continue  # nobody listens, or has no room: the mail itself says the same, and must not wait for that
            except BridgeError as error:
                self._page.fail(error)

    async def _until_writable(self) -> None:
        """Return once the broker takes a publish; one that takes none for a while ends the page."""
        try:
            await until_writable(self._publisher, lambda: self._page.over or self._page.stop.is_set())
        except BridgeError as error:
            self._page.fail(error)

    def _note_answer(
        self, ref: MailRef, message: Message, started: float, answer: asyncio.Future[PublishReceipt]
    ) -> None:
        if answer.cancelled():
            self._page.fail_by_bug(asyncio.CancelledError())
            return
        match answer.exception():
            case None:
                self._known.hold(ref, answer.result())
                self._note_taken(ref, message, started)
            case PublishUnroutable() as error:
                self._brake.take_back(ref.message_id)
                self._known.deferrals.defer(ref, error.code, unroutable_key=message.routing_key)
                self._note_untaken(error)
            case PublishRefused() as error:
                self._known.deferrals.refuse(ref, message.routing_key)
                self._note_untaken(error)
            case MessageTooLarge() as error:
                self._parking.wants(ref, error.code)
            case MessageError() as error:
                self._page.retry_or_park(ref, error.code)
            case BridgeError() as error:
                self._page.fail(error)
            case bug:
                self._page.fail_by_bug(bug)

    def _note_taken(self, ref: MailRef, message: Message, started: float) -> None:
        self._known.deferrals.confirm(message.routing_key)
        self._window.widen()
        self._untaken_streak = 0
        self.published += 1
        waited = (self._clock.now() - ref.received_at).total_seconds() if ref.received_at is not None else None
        self._emit(
            MailPublished(
                mailbox=self._alias,
                message_id=message.message_id,
                routing_key=message.routing_key,
                size_bytes=len(message.body),
                publish_seconds=self._clock.monotonic() - started,
                delivery_seconds=waited,
            )
        )

    def _note_untaken(self, error: BridgeError) -> None:
        """End the page where many mails in a row are taken by no queue, or refused, and none has passed."""
        self._untaken_streak += 1
        if self._untaken_streak == self._known.deferrals.untaken_limit and self.published == 0:
            self._known.deferrals.look_further()
            self._untaken_streak = 0  # for those that are under way still
            self._page.fail(error)
