"""How many mails are asked for at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.domain.mail import MailRef


LARGE_FROM_BYTES: Final = 4 << 20
"""A mail from this size on, as Exchange tells it, is fetched alone and kept in a file; it may have to go to a store."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Bounds of one call that fetches mails."""

    count: int = 50
    size_bytes: int = 8 << 20


def batches(refs: Sequence[MailRef], limits: BatchLimits) -> Iterator[Sequence[MailRef]]:
    """Yield the refs in order, in batches within the limits; a large mail, or one larger than a batch, goes alone."""
    start, size = 0, 0
    for index, ref in enumerate(refs):
        full = index - start >= limits.count or size + ref.size_bytes > limits.size_bytes
        if index > start and (full or is_large(ref) or is_large(refs[start])):
            yield refs[start:index]
            start, size = index, 0
        size += ref.size_bytes
    if start < len(refs):
        yield refs[start:]


def is_large(ref: MailRef) -> bool:
    """Return whether a mail is too large to be fetched beside others."""
    return ref.size_bytes >= LARGE_FROM_BYTES


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
