"""What the world handed in, and what it was told of it: kept outside of the sandbox, which may have lost it since."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field

_TRACE = re.compile(rb"(?:(?:Received|Return-Path):[^\n]*\n(?:[ \t][^\n]*\n)*)*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as it was handed in: no two have the same Message-ID, nor the same bytes."""

    alias: str
    internet_message_id: str
    digest: str


@dataclass
class Deliveries:
    """How often each mail was handed in, and how often that was answered by 250."""

    offered: Counter[Mail] = field(default_factory=Counter)
    """So often a mail may be there at most: where the answer was lost, Exchange may have taken it all the same."""
    accepted: Counter[Mail] = field(default_factory=Counter)
    """So often it must be there."""
    in_calm: list[Mail] = field(default_factory=list)
    """Those that nothing happened to, in the order in which they were delivered: there once, and in that order."""

    def of(self, alias: str) -> list[Mail]:
        """Return the mails of a mailbox."""
        return [mail for mail in self.offered if mail.alias == alias]


def digest_of(mime: bytes) -> str:
    """Return the hash of a mail without the lines that servers put before it on its way."""
    trace = _TRACE.match(mime)
    return hashlib.sha256(mime[trace.end() if trace else 0 :]).hexdigest()
