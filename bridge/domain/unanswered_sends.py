"""Calls that send and get no usable answer: how many in a row, over all requests of a mailbox."""

from __future__ import annotations

from typing import Final

MOST_IN_A_ROW: Final = 3
"""As many as one request may make: what stops a flood of one mail is no brake for a hundred of them."""


class UnansweredSends:
    """
    Counts SendItem calls without a usable answer since the last one that had any; a refusal is an answer.

    Calls that were under way at the same time count as one: they may have shared one call, or one short trouble.
    """

    def __init__(self) -> None:
        self.in_a_row = 0
        self._round = 0

    @property
    def too_many(self) -> bool:
        """Whether the mailbox is not to be sent from as if nothing were wrong."""
        return self.in_a_row >= MOST_IN_A_ROW

    def begin(self) -> int:
        """A call begins; return what tells it from those that begin after its answer failed to come."""
        return self._round

    def answered(self) -> None:
        """A call had an answer, whatever it said."""
        self.in_a_row = 0

    def unanswered(self, begun: int) -> None:
        """The call that began with this number had none."""
        if begun == self._round:
            self._round += 1
            self.in_a_row += 1
