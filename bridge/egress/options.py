"""How one mailbox is drained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.domain.disposition import RetryPolicy
from bridge.domain.send_rate import RateLimits
from bridge.egress.availability.pauses import PauseOptions
from bridge.egress.send import SendOptions
from bridge.egress.settle import SettleOptions
from bridge.flow.waiting import ANSWER_LATE_SECONDS
from bridge.wire.outbound_v1 import OutboundLimits

if TYPE_CHECKING:
    from bridge.egress.draft import BlobReader


_URGENT_HELD = 4


@dataclass(frozen=True, slots=True)
class EgressOptions:
    """How one mailbox is drained."""

    rate: RateLimits = field(default_factory=RateLimits)
    concurrent_sends: int = 64
    attempts_limit: int = 100
    give_up_after_seconds: float = 86_400.0
    ledger_days: int = 14
    self_test: bool = True
    """Whether it is proved before the first send that Exchange keeps to what sending rests on."""
    stop_within_seconds: float = 20.0
    """How long what is in flight may take once the worker is to stop."""
    probe_seconds: float = 30.0
    """Most between two proofs that the mailbox can be used, while nothing is sent."""
    answer_late_seconds: float = ANSWER_LATE_SECONDS
    """After how long `/health` says that such a proof has no answer."""
    yield_after_seconds: float = 10.0
    """How long a worker finds the mailbox unusable before it leaves it to another, where there is one."""
    yield_seconds: float = 5.0
    """How long it leaves the queues alone then; whoever stands by looks every second or two."""
    limits: OutboundLimits = field(default_factory=OutboundLimits)
    blobs: BlobReader | None = None
    """Where stored attachments are; None where there is no store."""
    send: SendOptions = field(default_factory=SendOptions)
    settle: SettleOptions = field(default_factory=SettleOptions)
    pauses: PauseOptions = field(default_factory=PauseOptions)
    sweep_every_seconds: float = 3600.0
    consuming: RetryPolicy = field(default_factory=lambda: RetryPolicy(longest_seconds=10.0, pause_seconds=1.0))

    @property
    def urgent_prefetch(self) -> int:
        """How many urgent requests are held; the others wait in their queue, which is as good where a rate is kept."""
        return min(_URGENT_HELD, self.concurrent_sends) if self.rate.per_minute is not None else self.concurrent_sends

    @property
    def ordinary_prefetch(self) -> int:
        """
        How many ordinary requests are held: the one whose turn is next, and at most one more.

        Where Exchange's pace is not the limit, so many as are sent at a time, and one slot is left to urgent ones.
        """
        most = max(1, self.concurrent_sends - 1)
        return min(2, most) if self.rate.per_minute is not None else most
