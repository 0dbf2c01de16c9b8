"""How one mailbox is drained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.domain.disposition import RetryPolicy
from bridge.domain.send_rate import RateLimits
from bridge.flow.waiting import ANSWER_LATE_SECONDS
from bridge.wire.outbound_v1 import OutboundLimits

if TYPE_CHECKING:
    from bridge.egress.draft import BlobReader


_URGENT_HELD = 4


@dataclass(frozen=True, slots=True)
class PauseOptions:
    """How slowly a paused mailbox is tried again; the wait doubles with each failure in a row."""

    first_transient_seconds: float = 1.0
    first_operator_seconds: float = 5.0
    longest_transient_seconds: float = 60.0
    longest_operator_seconds: float = 60.0
    longest_stated_seconds: float = 3600.0
    """What Exchange asks for is obeyed up to here: a slip of its must not silence a mailbox for days."""

    @property
    def transient(self) -> RetryPolicy:
        """The waits after what passes by itself."""
        return RetryPolicy(self.first_transient_seconds, self.longest_transient_seconds)

    @property
    def operator(self) -> RetryPolicy:
        """The waits after what a person must mend."""
        return RetryPolicy(self.first_operator_seconds, self.longest_operator_seconds)


@dataclass(frozen=True, slots=True)
class SendOptions:
    """How patient one attempt at a request is."""

    unknown_after_seconds: float = 120.0
    """How long after a begun send its missing mail is looked for before the outcome is unknown."""
    stumbles: int = 3
    """Failed calls that one attempt tolerates; then the request waits in the broker."""
    longest_wait_seconds: float = 5.0
    """Between two tries of a call within one attempt."""
    steps: int = 60
    """In one attempt; a plain send takes six."""
    young_seconds: float = 14 * 86_400.0
    """How long after the ledger was lost the mails themselves are asked whether a request was sent before."""
    doubt_seconds: float = 2 * 86_400.0
    """How long after it a request that may have been in hand before is not sent; longer than any is kept waiting."""


@dataclass(frozen=True, slots=True)
class SettleOptions:
    """How the result of an attempt is settled."""

    delayed_after_seconds: float = 300.0
    """Age of a request at which its waiting is told, once."""
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 30.0
    """Between two tries to publish; the wait doubles."""
    longest_publish_seconds: float = 120.0
    """A publisher answers within its own timeout; this bounds the wait even if it does not."""

    @property
    def retry(self) -> RetryPolicy:
        """The waits between two tries to publish, without a spread."""
        return RetryPolicy(self.first_wait_seconds, self.longest_wait_seconds, spread_factors=(1.0, 1.0))


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

        Where Exchange's rate is not the limit, so many as are sent at a time, and one slot is left to urgent ones.
        """
        most = max(1, self.concurrent_sends - 1)
        return min(2, most) if self.rate.per_minute is not None else most
