"""
Which mails at the front of a folder are known to stay, so that not every listing has to go over them.

There is no cursor in this. The front is a number of mails and the id of its last one: a listing that begins there shows
that mail first, as long as nothing came or went before it. Whatever else it shows, the folder is listed from its
beginning, and so it is now and then in any case: that listing is the truth.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.domain.mail import MailRef

Standing = Literal["stays", "gone", "else"]
"""What is known of a listed mail: passed over for a while, taken out of the folder, or anything else."""
_WORTH_MAILS: Final = 50
"""A shorter front is listed with what comes behind it."""
_SHARE: Final = 10.0
"""Listings of the whole folder take a tenth of the time at most."""


@dataclass(slots=True)
class KnownFront:
    """Of one folder, since it was last listed from its beginning."""

    changes: int = 0
    """How often mails that stayed were found to pass, until it was listed: afterwards it is out of date."""
    count: int = 0
    anchor: str = ""
    """The item id of the last mail of the front."""
    codes: Counter[str] = field(default_factory=Counter)
    """Why its mails stay."""
    listing_seconds: float = 0.0
    """What it took to list the folder from its beginning."""
    _unbroken: bool = True
    _due_at: float = 0.0

    @property
    def long(self) -> bool:
        """Whether it is worth passing over."""
        return self.count >= _WORTH_MAILS

    def is_good(self, now: float, changes: int) -> bool:
        """Return whether the next listing may begin at its last mail."""
        return self.long and now < self._due_at and changes == self.changes

    def begins(self, refs: Sequence[MailRef]) -> bool:
        """Return whether a listing from there shows what was to be expected, so that the front is as it was."""
        return bool(refs) and refs[0].item_id == self.anchor

    def extend(self, refs: Sequence[MailRef], standing: Callable[[MailRef], tuple[Standing, str]]) -> None:
        """Take in what follows the front in a listing, as far as it stays; what is gone does not part it."""
        for ref in refs:
            place, code = standing(ref)
            if place == "gone" or ref.item_id == self.anchor:
                continue
            self._unbroken = self._unbroken and place == "stays"
            if not self._unbroken:
                return
            self.count += 1
            self.anchor = ref.item_id
            self.codes[code] += 1

    def listed(self, now: float, keep_seconds: float) -> None:
        """Note that the folder was listed to its end: it is again after a while, when what stays may be tried again."""
        self._due_at = now + max(keep_seconds, self.listing_seconds * _SHARE)

    def go_on(self) -> None:
        """Let the next listing extend the front again."""
        self._unbroken = True
