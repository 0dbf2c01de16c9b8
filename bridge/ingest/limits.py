"""How much of one mailbox is under way at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

from bridge.domain.batches import BatchLimits


@dataclass(frozen=True, slots=True)
class TransferLimits:
    """Bounds of what is under way for one mailbox."""

    batch: BatchLimits = field(default_factory=BatchLimits)
    fetches_in_flight: int = 3
    unconfirmed: int = 256
    """Mails between publish and removal: what a crash may repeat."""
    settle_seconds: float = 90.0
    """How long outstanding confirms are waited for at the end; the publisher's own timeout is shorter."""
