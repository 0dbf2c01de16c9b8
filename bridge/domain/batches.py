"""How many mails are asked for at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.domain.mail import MailRef


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Bounds of one call that fetches mails."""

    count: int = 50
    size_bytes: int = 8 << 20


def batches(refs: Sequence[MailRef], limits: BatchLimits) -> Iterator[Sequence[MailRef]]:
    """Yield the refs in order, in batches within the limits; a mail that is larger than a batch goes alone."""
    start, size = 0, 0
    for index, ref in enumerate(refs):
        if index > start and (index - start >= limits.count or size + ref.size_bytes > limits.size_bytes):
            yield refs[start:index]
            start, size = index, 0
        size += ref.size_bytes
    if start < len(refs):
        yield refs[start:]


@dataclass(slots=True)
class Window:
    """
    How many mails may be under way: all of them while things go well, one after a failure, doubling with success.

    One mail that spoils its whole batch thus stands alone within a few tries, and a broker that refuses is asked with
    one mail, not with hundreds.
    """

    largest: int
    size: int = 0

    def __post_init__(self) -> None:
        """Start wide open."""
        self.size = self.size or self.largest

    def narrow(self) -> None:
        """Go down to one mail."""
        self.size = 1

    def widen(self) -> None:
        """Double, up to the largest."""
        self.size = min(self.largest, self.size * 2)
