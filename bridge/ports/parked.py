"""The parked mails of one mailbox, as a person looks at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.domain.mail import MailRef, Removal


@dataclass(frozen=True, slots=True)
class ParkedMail:
    """One parked mail."""

    ref: MailRef
    code: str | None
    """Why it was parked; None where that could not be kept beside it."""


class ParkedMails(Protocol):
    """The folder `Bridge Parked` of one mailbox. Raises what every call to a mailbox may raise."""

    async def list_parked(self) -> Sequence[ParkedMail]:
        """Return the parked mails, oldest first."""

    async def put_back(self, mails: Sequence[MailRef]) -> Sequence[Removal]:
        """Move parked mails back to the inbox, where they are read again; one outcome for each."""
