"""Entries of the ledger whose calls were refused or never made, until they are marked as that."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bridge.errors import BridgeError, CallRefused, OperatorError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.ports.outbox import SendingMailbox


class UnsentEntries:
    """Of one mailbox. An entry without its mark counts as a send, which is the safe side."""

    def __init__(self, mailbox: SendingMailbox, quiet: Callable[[], bool]) -> None:
        """`quiet` returns whether Exchange asked to be left alone: nothing is marked then."""
        self._mailbox = mailbox
        self._quiet = quiet
        self._entry_ids: set[str] = set()

    def add(self, entry_id: str) -> None:
        """Have an entry marked when `mark` is called next."""
        self._entry_ids.add(entry_id)

    async def mark(self) -> None:
        """Mark what can be marked; the others are tried again the next time."""
        if not self._entry_ids or self._quiet():
            return
        entry_ids = list(self._entry_ids)
        self._entry_ids.clear()
        marks = (self._mailbox.mark_unsent(entry_id) for entry_id in entry_ids)
        for entry_id, error in zip(entry_ids, await asyncio.gather(*marks, return_exceptions=True), strict=True):
            if isinstance(error, TransientError | OperatorError) and not isinstance(error, CallRefused):
                self._entry_ids.add(entry_id)
            elif isinstance(error, BaseException) and not isinstance(error, BridgeError):
                raise error
