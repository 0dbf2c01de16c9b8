"""Joins the adapters to the senders of one process; what only senders need is loaded with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from bridge.adapters.ews.sender import EwsSender
from bridge.adapters.rabbitmq.consumer import RabbitConsumer
from bridge.domain.outbound import Mailbox
from bridge.domain.send_rate import RateLimits
from bridge.egress.draft import BlobReader
from bridge.egress.options import EgressOptions, SendOptions
from bridge.egress.returned import PART as RETURNED
from bridge.egress.returned import ReturnedDrain
from bridge.egress.sender import MailboxSender
from bridge.wire.outbound_v1 import OutboundLimits

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from bridge.bootstrap.shared import Shared
    from bridge.config.settings import EgressSettings, MailboxSettings

_MOST_ATTACHED_BYTES: Final = 1 << 40


class Sending:
    """A sender for each mailbox that is sent from, and the drain of requests that came back."""

    def __init__(self, shared: Shared, consumer: RabbitConsumer) -> None:
        settings, limits = shared.settings, _limits(shared)
        blobs = BlobReader(shared.blobs, shared.large_budget) if shared.blobs is not None else None
        by_alias = {
            mailbox.alias: MailboxSender(
                alias=mailbox.alias,
                sender=Mailbox(mailbox.address),
                mailbox=EwsSender(shared.client(mailbox), mailbox.address, certain_now=shared.clock.certain_now),
                publisher=shared.events,
                consumer=consumer,
                clock=shared.clock,
                emit=shared.emit,
                health=shared.health,
                options=_options(settings.egress, mailbox, limits, blobs),
                roster=shared.roster,
            )
            for mailbox in settings.mailboxes
            if mailbox.send
        }
        self.senders = [*by_alias.values()]
        self.returned = ReturnedDrain(
            senders=by_alias,
            publisher=shared.events,
            consumer=consumer,
            clock=shared.clock,
            emit=shared.emit,
            health=shared.health,
            limits=limits,
            roster=shared.roster,
        )
        for part in (*(sender.part for sender in self.senders), RETURNED):
            shared.health.expect(part)

    @classmethod
    async def start(cls, shared: Shared, stack: AsyncExitStack) -> Sending:
        """Return it with a connection to take requests by, which ends with the stack."""
        return cls(shared, await stack.enter_async_context(RabbitConsumer(shared.rabbit, shared.emit)))

    def change_rate(self, before: MailboxSettings, now: MailboxSettings) -> None:
        """Send no faster from a mailbox than is configured now."""
        for sender in self.senders:
            if sender.alias == now.alias:
                sender.change_rate(_rate(before, now))


def _limits(shared: Shared) -> OutboundLimits:
    """Return what a request may hold: with a store as much as Exchange takes, which is said of the request then."""
    if shared.blobs is None:
        return OutboundLimits()
    return OutboundLimits(blob_store_url=shared.blobs.url, attachment_bytes=_MOST_ATTACHED_BYTES)


def _options(
    settings: EgressSettings, mailbox: MailboxSettings, limits: OutboundLimits, blobs: BlobReader | None
) -> EgressOptions:
    return EgressOptions(
        limits=limits,
        blobs=blobs,
        rate=_rate(mailbox, mailbox),
        concurrent_sends=settings.concurrent_sends,
        attempts_limit=settings.attempts_limit,
        give_up_after_seconds=settings.give_up_after_seconds,
        ledger_days=settings.ledger_days,
        self_test=settings.self_test,
        send=SendOptions(unknown_after_seconds=settings.unknown_after_seconds),
    )


def _rate(before: MailboxSettings, now: MailboxSettings) -> RateLimits:
    """Return how many mails may be sent; one that had no limit, or has none now, keeps what it had at the start."""

    def either(old: int | Literal["unlimited"], new: int | Literal["unlimited"]) -> int | None:
        current = old if "unlimited" in {old, new} else new
        return None if current == "unlimited" else current

    return RateLimits(
        per_minute=either(before.send_rate_per_minute, now.send_rate_per_minute),
        recipients_per_day=either(before.recipients_per_day, now.recipients_per_day),
    )
