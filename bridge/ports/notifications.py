"""Notifications of new mail, as the ingest worker needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from bridge.domain.notices import Affinity, Notice, Subscribed


class Notifications(Protocol):
    """
    Subscriptions to mailboxes, and streams that carry what happens in them. Mailboxes are named by their addresses.

    A notice is no mail, and silence is no sign that none came: the listing is the truth.
    """

    async def subscribe(
        self, mailbox: str, folders: Sequence[str], *, lead_mailbox: str, affinity: Affinity | None
    ) -> Subscribed:
        """
        Return a subscription to what comes into folders, made where `affinity` leads, else where `lead_mailbox` lies.

        Raises:
            BridgeError: There is none; `StreamRefused` where Exchange does not want to make any.
        """

    async def unsubscribe(self, mailbox: str, subscription: str, *, affinity: Affinity | None) -> None:
        """
        End a subscription; one that is gone is no error.

        Raises:
            BridgeError: It may be there still. Exchange ends it when no stream has carried it for half an hour.
        """

    def stream(
        self, subscriptions: Sequence[str], *, lead_mailbox: str, affinity: Affinity | None
    ) -> AbstractAsyncContextManager[AsyncIterator[Notice]]:
        """
        Yield what happens until the stream is over, which is in order after a notice that says so, and after its time.

        The first notice comes when Exchange has accepted the stream. Leaving the context ends it.

        Raises:
            StreamRefused: Exchange does not want to stream, to this one or in this form.
            StreamSilent: It did not begin in time, or there was no sign of life for longer than there may be.
            StreamGarbled: What came was no message of a stream.
            BridgeError: It could not be had, or broke off.
        """
