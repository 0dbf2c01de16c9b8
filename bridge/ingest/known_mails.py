"""What a mailbox reader knows of mails between two passes over its folders. Lost without harm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.ingest.deferrals import Deferrals
from bridge.ingest.receipts import Receipts
from bridge.ingest.suspects import Suspects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.domain.known_front import Standing
    from bridge.domain.mail import MailRef
    from bridge.ports.broker import PublishReceipt
    from bridge.ports.clock import Clock
    from bridge.telemetry.events import Emit


class KnownMails:
    """Bounded, in memory only: the mailbox and the broker hold all that matters."""

    def __init__(self, alias: str, clock: Clock, emit: Emit, *, keep_seconds: float) -> None:
        self.receipts = Receipts(alias, clock, emit, keep_seconds=keep_seconds)
        self.deferrals = Deferrals(alias, clock, emit, keep_seconds=keep_seconds)
        self.suspects = Suspects()

    def hold(self, ref: MailRef, receipt: PublishReceipt) -> None:
        """Remember a receipt until its mail is removed; whatever was held against the mail is dropped."""
        self.receipts.hold(ref, receipt)
        self.suspects.count_pass()
        self.forget(ref)

    def forget(self, ref: MailRef) -> None:
        """Drop what was held against a mail."""
        self.deferrals.forget(ref)
        self.suspects.forget(ref)

    def due(self, refs: Sequence[MailRef]) -> Sequence[MailRef]:
        """
        Return which listed mails are to be published now, each once.

        A mail that was removed and is listed again is removed again, and not published.
        """
        return self.deferrals.due([ref for ref in refs if not self.receipts.covers(ref)])

    def code(self, ref: MailRef) -> str | None:
        """Return why a mail stays, None where it does not."""
        return self.receipts.code(ref) or self.deferrals.code(ref)

    def standing(self, ref: MailRef) -> tuple[Standing, str]:
        """Return whether a mail that was listed stays for longer than a moment, and why; or is gone by now."""
        if self.receipts.is_gone(ref):
            return "gone", ""
        code = self.code(ref)
        return ("else" if code is None or self.deferrals.may_pass_soon(ref) else "stays"), code or ""
