"""How a mailbox stands beside the mails that are read: what lies elsewhere in it, and how full it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.domain.concern import Concern

if TYPE_CHECKING:
    from collections.abc import Mapping

NEARLY_FULL: Final = 0.9
"""From this share of its quota on a mailbox is worth a warning."""


@dataclass(frozen=True, slots=True)
class MailboxSize:
    """What a mailbox holds, and from where on Exchange sends and receives no more; None: not told, or no limit."""

    held_bytes: int
    send_limit_bytes: int | None = None
    receive_limit_bytes: int | None = None

    @property
    def limit_bytes(self) -> int | None:
        """The limit that comes first."""
        return min((n for n in (self.send_limit_bytes, self.receive_limit_bytes) if n is not None), default=None)

    @property
    def full(self) -> bool:
        """Whether mail to it comes back to its sender."""
        return self.receive_limit_bytes is not None and self.held_bytes >= self.receive_limit_bytes

    @property
    def nearly_full(self) -> bool:
        """Whether a person should make room before the limit comes."""
        return self.limit_bytes is not None and self.held_bytes >= self.limit_bytes * NEARLY_FULL

    @property
    def words(self) -> str:
        """The figures for people."""
        held = f"{self.held_bytes / 1e9:.1f} GB"
        return held if self.limit_bytes is None else f"{held} of {self.limit_bytes / 1e9:.1f} GB"


class FolderCounts(NamedTuple):
    """What was seen of a mailbox beside its inbox; None where it cannot be told just now."""

    junk: int | None
    """How many mails lie in the junk folder."""
    parked: int | None
    """How many lie in `Bridge Parked`."""
    parked_codes: Mapping[str, int] | None = None
    """The parked mails by reason; an empty reason where none could be kept beside a mail."""
    size: MailboxSize | None = None
    target_missing: bool = False
    """Whether the folder into which published mails are moved is not there."""


@dataclass(slots=True)
class MailboxState:
    """What is known of a mailbox after several looks: what one look could not tell stands as it was."""

    junk: int = 0
    parked: int = 0
    parked_codes: dict[str, int] = field(default_factory=dict)
    size: MailboxSize | None = None
    target_missing: bool = False

    def update(self, seen: FolderCounts) -> None:
        """Take in a look."""
        self.junk = self.junk if seen.junk is None else seen.junk
        self.size = seen.size or self.size
        self.target_missing = seen.target_missing
        if seen.parked is not None:
            self.parked = seen.parked
            if seen.parked_codes is not None or not seen.parked:
                self.parked_codes = dict(seen.parked_codes or {})

    def concerns(self, *, junk_is_read: bool) -> list[Concern]:
        """Return what a person should see to, the worst first."""
        found = []
        if self.target_missing:
            found.append(Concern("folder_not_found", "the folder of after_publish is gone", stops_mail=True))
        if self.size is not None and self.size.full:
            found.append(Concern("mailbox_full", self.size.words, stops_mail=True))
        elif self.size is not None and self.size.nearly_full:
            found.append(Concern("mailbox_nearly_full", self.size.words))
        if self.parked:
            codes = ", ".join(f"{code}: {n}" for code, n in sorted(self.parked_codes.items()))
            found.append(Concern("mail_parked", f"{self.parked} mail(s)" + (f" ({codes})" if codes else "")))
        if self.junk and not junk_is_read:
            found.append(Concern("junk_waits", f"{self.junk} mail(s) that nobody reads"))
        return found
