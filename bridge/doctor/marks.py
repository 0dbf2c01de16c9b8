"""
What an examination makes in a mailbox, under names that say when: what a killed one left is found by the next.

Nothing of it is deleted that another examination may be using: only what is older than any can be.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from bridge.domain.outbound_records import Stamp

FOLDER_PREFIX: Final = "Bridge Check "
REQUEST_ID: Final = "bridge-check"
"""The stamp of all drafts of examinations: no request has it."""
_FORM: Final = "%Y%m%dT%H%M%SZ"
_LEFT_BEHIND_AFTER: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Mark:
    """The name of one examination's things in one mailbox."""

    text: str

    @classmethod
    def new(cls) -> Mark:
        """Return one that nobody else has."""
        return cls(f"{datetime.now(UTC).strftime(_FORM)}-{secrets.token_hex(4)}")

    @property
    def folder(self) -> str:
        """The display name of the folder."""
        return FOLDER_PREFIX + self.text

    @property
    def stamp(self) -> Stamp:
        """The stamp of the draft."""
        return Stamp(REQUEST_ID, self.text, "check")


def is_left_behind(name: str) -> bool:
    """Return whether a folder's name, or a stamp's attempt, is that of an examination that must have ended."""
    moment = name.removeprefix(FOLDER_PREFIX).partition("-")[0]
    try:
        made_at = datetime.strptime(moment, _FORM).replace(tzinfo=UTC)
    except ValueError:
        return False
    return datetime.now(UTC) - made_at > _LEFT_BEHIND_AFTER
