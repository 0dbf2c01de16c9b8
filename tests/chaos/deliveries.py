"""What the world handed in, and what it was told of it: kept outside of the sandbox, which may have lost it since."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field

from bridge.sandbox.store import content

_TRACE = re.compile(rb"(?:(?:Received|Return-Path):[^\n]*\n(?:[ \t][^\n]*\n)*)*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as it was handed in: no two have the same Message-ID, nor the same bytes."""

    alias: str
    internet_message_id: str
    digest: str
    """By `Deliveries.digest_of`."""


@dataclass
class Deliveries:
    """How often each mail was handed in, and how often that was answered by 250."""

    offered: Counter[Mail] = field(default_factory=Counter)
    """So often a mail was handed in; where the answer was lost, Exchange may have taken it all the same."""
    accepted: Counter[Mail] = field(default_factory=Counter)
    """So often that was answered by 250."""
    in_calm: list[Mail] = field(default_factory=list)
    """Those that nothing happened to, in the order in which they were delivered: there once, and in that order."""
    realistic: bool = False
    """Whether Exchange drops a mail that is there already, lets mails overtake each other, and makes MIME anew."""

    def digest_of(self, mime: bytes) -> str:
        """Return the hash by which a mail is known again: of its bytes, or where they do not last of what it says."""
        return digest_of_content(mime) if self.realistic else digest_of_bytes(mime)

    def least(self, mail: Mail) -> int:
        """Return how often a mail must be there."""
        return min(self.accepted[mail], 1) if self.realistic else self.accepted[mail]

    def most(self, mail: Mail) -> int:
        """Return how often a mail may be there."""
        return min(self.offered[mail], 1) if self.realistic else self.offered[mail]

    def of(self, alias: str) -> list[Mail]:
        """Return the mails of a mailbox."""
        return [mail for mail in self.offered if mail.alias == alias]


def digest_of_bytes(mime: bytes) -> str:
    """Return the hash of a mail without the lines that servers put before it on its way."""
    trace = _TRACE.match(mime)
    return hashlib.sha256(mime[trace.end() if trace else 0 :]).hexdigest()


def digest_of_content(mime: bytes) -> str:
    """Return the hash of what a mail says; Exchange gives one without a text an empty one."""
    said = content.content_of(mime)
    return content.digest_of(said | {"text": said["text"] or ""})
