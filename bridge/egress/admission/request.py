"""When the mail of one request may go out: the mailbox's rate, seen from the send protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bridge.egress.admission.queue import RATE_LIMITED
from bridge.egress.conclusion import Released, RetryLater
from bridge.errors import MessageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bridge.domain.send_rate import Begun
    from bridge.egress.admission.queue import ConcurrencySlot
    from bridge.egress.admission.rate import SendRate
    from bridge.wire.outbound_v1 import OutboundRequest

_HOLD_SECONDS = 5.0  # a mail that is ahead in the line may be done sooner than it must


class SendAdmission(Protocol):
    """
    Asked by the send protocol before a mail goes out.

    A turn is taken before there is a draft, and counts against the rate until it is given back or settled. Between its
    entry in the ledger and the call that sends, an attempt is cleared: other workers may have sent meanwhile.
    """

    @property
    def limited(self) -> bool:
        """Whether there is any rate to keep to."""

    async def take_turn(self) -> Begun | RetryLater | Released | None:
        """Return when the mail may go, or what to do instead of waiting for that; None once it has expired."""

    def give_back(self, turn: Begun) -> None:
        """Count a turn no more: it was not used."""

    def begin(self, attempt: str) -> None:
        """Take note that an attempt is about to be entered in the ledger."""

    async def clear(self, attempt: str) -> bool | RetryLater | Released:
        """Return whether an attempt that is entered may go out now, or what to do instead; False is to look again."""

    def in_time(self, attempt: str) -> bool:
        """Return whether an attempt that was cleared may still go out; called on any thread."""

    def settle(self, turn: Begun, attempt: str) -> None:
        """Take note that nothing more goes out for a turn and the attempt that used it."""


class RequestAdmission:
    """Keeps the promise of `SendAdmission` for one attempt at a request; others have its slot while it waits."""

    def __init__(
        self,
        rate: SendRate,
        slot: ConcurrencySlot,
        request: OutboundRequest,
        *,
        urgent: bool,
        may_send: Callable[[], Awaitable[None]],
    ) -> None:
        """`may_send` returns once the mailbox has proved that it may be sent from."""
        self._rate = rate
        self._slot = slot
        self._request = request
        self._urgent = urgent
        self._may_send = may_send

    @property
    def limited(self) -> bool:
        """See `SendAdmission`, as for all that follow."""
        return self._rate.limited

    async def take_turn(self) -> Begun | RetryLater | Released | None:
        """Wait for the proof that the mailbox may be sent from, and for the turn."""
        async with self._slot.away():
            await self._may_send()
            return await self._rate.gate.take_turn(
                recipients=self._request.recipients, urgent=self._urgent, expires_at=self._request.expires_at
            )

    def give_back(self, turn: Begun) -> None:
        """Give a turn back to the rate."""
        self._rate.gate.give_back(turn)

    def begin(self, attempt: str) -> None:
        """Tell the rate of the attempt."""
        self._rate.begins(attempt)

    async def clear(self, attempt: str) -> bool | RetryLater | Released:
        """Compare the attempt with what the ledger shows of all workers."""
        try:
            wait = await self._rate.wait_to_send(attempt)
        except MessageError as error:  # of the reading, not of the mail
            return RetryLater(error.code)
        if wait is None:
            return RetryLater(RATE_LIMITED)
        if wait <= 0:
            return True
        async with self._slot.away():
            going_on = await self._rate.gate.hold(min(wait, _HOLD_SECONDS), expires_at=self._request.expires_at)
        return False if going_on else Released()

    def in_time(self, attempt: str) -> bool:
        """Return whether the entry still counts where others read it."""
        return self._rate.in_time(attempt)

    def settle(self, turn: Begun, attempt: str) -> None:
        """Count the turn as used up by now."""
        self._rate.settle(turn, attempt)
