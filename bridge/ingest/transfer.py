"""
One page of mails from the inbox to the broker: fetched in batches, published in order, removed against receipts.

The stages overlap and push back on each other: fetches run ahead within a byte budget, many confirms are outstanding,
removals take whatever receipts have come in meanwhile. A crash in between publishes mails again on restart, under the
same message_id. Repeats are the consumer's to drop; loss is not an option.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from bridge.errors import PublishUnconfirmed
from bridge.ingest.fetch import MailFetch
from bridge.ingest.page import Page
from bridge.ingest.publish import MailPublish
from bridge.ingest.removal import MailRemoval

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.domain.batches import Window
    from bridge.domain.mail import MailRef
    from bridge.domain.publish_brake import PublishBrake
    from bridge.flow.byte_budget import ByteBudget
    from bridge.ingest.known_mails import KnownMails
    from bridge.ingest.large_mails import LargeMails
    from bridge.ingest.limits import TransferLimits
    from bridge.ingest.parking import MailParking
    from bridge.ports.broker import Publisher
    from bridge.ports.clock import Clock
    from bridge.ports.inbox import Inbox
    from bridge.telemetry.events import Emit


class Transfer:
    """Moves one page of mails of one mailbox; made anew for each page."""

    def __init__(
        self,
        *,
        alias: str,
        inbox: Inbox,
        publisher: Publisher,
        known: KnownMails,
        parking: MailParking,
        brake: PublishBrake,
        window: Window,
        budget: ByteBudget,
        large: LargeMails,
        limits: TransferLimits,
        clock: Clock,
        emit: Emit,
        progress: Callable[[], None],
        stop: asyncio.Event,
    ) -> None:
        """Prepare it; once `stop` is set nothing more is begun."""
        self._page = Page(known, parking, stop)
        self._parking = parking
        self._window = window
        self._limits = limits
        self._progress = progress
        self._fetch = MailFetch(
            alias=alias,
            inbox=inbox,
            window=window,
            budget=budget,
            large=large,
            limits=limits,
            clock=clock,
            emit=emit,
        )
        self._publish = MailPublish(
            self._page,
            alias=alias,
            publisher=publisher,
            known=known,
            parking=parking,
            brake=brake,
            window=window,
            large=large,
            limits=limits,
            clock=clock,
            emit=emit,
        )
        self._removal = MailRemoval(
            alias=alias, inbox=inbox, receipts=known.receipts, clock=clock, emit=emit, progress=progress
        )

    @property
    def unconfirmed(self) -> int:
        """How many publishes have no answer yet."""
        return self._page.unconfirmed

    @property
    def published(self) -> int:
        """How many mails the broker has confirmed."""
        return self._publish.published

    async def run(self, refs: Sequence[MailRef]) -> None:
        """
        Publish the mails, remove what was confirmed, park what can never pass; what stays is known, with its reason.

        Raises:
            BridgeError: The pass ended early; mails that were confirmed are removed or held for removal.
        """
        page = self._page
        removing = asyncio.create_task(self._removal.run(page))
        try:
            allowed = [ref for ref in refs if self._publish.may_be_published(ref)]
            async with aclosing(self._fetch.batches(allowed, page)) as batches:
                async for batch in batches:
                    await self._publish.publish(batch)
                    self._progress()
            await self._settle()
        finally:
            page.feeding = False
            page.change()
            await removing
        if (failure := page.bug or page.failure) is not None:
            # Where it repeats, each worker publishes one mail before it meets it, not hundreds.
            self._window.narrow()
            raise failure
        await self._parking.park(page.stop)

    async def _settle(self) -> None:
        """Wait for the outstanding confirms, though not for ever."""
        try:
            async with asyncio.timeout(self._limits.settle_seconds):
                while self._page.unconfirmed:
                    await self._page.wait_for_change()
        except TimeoutError:
            self._page.fail(PublishUnconfirmed("no answer in time"))
