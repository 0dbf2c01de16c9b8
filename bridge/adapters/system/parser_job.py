"""What a process that reads large mails is asked to do."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.mime import parse
from bridge.mime.mapped import MappedMail
from bridge.mime.parsed import Extent
from bridge.mime.sink import Sink
from bridge.wire.inbound_build import RawMime
from bridge.wire.inbound_messages import composed, composed_claimed

if TYPE_CHECKING:
    from bridge.domain.mail import FetchedMail, MailRef, UnconvertibleMail
    from bridge.mime import ParsedMail
    from bridge.wire.claims import ClaimRules
    from bridge.wire.inbound_messages import Composed


_HELD_OF_MANY_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Files:
    """A mail in a file, and a file for what is found in it; both are inherited."""

    ref: MailRef
    size: int
    sha256: str
    mime: int
    parts: int

    @property
    def raw(self) -> RawMime:
        """What the payload says of the mail's bytes, and where they are."""
        return RawMime(self.size, self.sha256, Extent(0, self.size))


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be read, and within which bounds."""

    mail: FetchedMail | UnconvertibleMail | Files
    alias: str
    seconds: float
    memory_bytes: int
    rules: ClaimRules | None


def composed_by(job: Job) -> Composed:
    """Do a job."""
    if not isinstance(job.mail, Files):
        return composed(job.mail, job.alias, seconds=job.seconds, rules=job.rules)
    if job.rules is None:
        raise ValueError("a mail in a file goes to a store")
    files, rules = job.mail, job.rules
    with os.fdopen(os.dup(files.parts), "r+b") as parts:

        def read() -> ParsedMail:
            sink = Sink(parts, from_bytes=_in_file_from(files.size, rules))
            parsed = parse(MappedMail(files.mime, files.size) if files.size else b"", sink=sink)
            parts.flush()
            return parsed

        return composed_claimed(files.ref, job.alias, files.raw, read, seconds=job.seconds, rules=rules)


def _in_file_from(size: int, rules: ClaimRules) -> int:
    """Return from which encoded size on an attachment is never held, and so goes to the store."""
    if size > rules.largest_body_bytes:  # very many that are not large would be held together, in several copies
        return min(_HELD_OF_MANY_BYTES, rules.above_bytes * 3 // 2)
    return rules.above_bytes * 3 // 2  # what it becomes without its encoding, and more
