"""What the mailbox shows of a request (drafts, mails, entries of the ledger), and how the protocol sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Literal

from bridge.domain.send_protocol import Seen

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a draft is stamped with, in named properties of the bridge's own; it travels with the mail."""

    request_id: str
    attempt: str
    """Random, one for each draft."""
    digest: str
    """Of the request's content."""


class DraftState(Enum):
    """What can still become of a draft."""

    UNSENT = "unsent"
    VOID = "void"
    """Changed since its creation, so that nobody can send it any more."""
    SUBMITTED = "submitted"
    """On its way; it has not left the folder yet."""


@dataclass(frozen=True, slots=True)
class CreatedDraft:
    """A draft of one's own, in the version of the step that completed it: no other can be sent."""

    stamp: Stamp
    item_id: str
    version: str


@dataclass(frozen=True, slots=True)
class SeenDraft:
    """A stamped draft as a look finds it, whoever made it."""

    stamp: Stamp
    item_id: str
    version: str
    """To void it with; never to send it."""
    state: DraftState


@dataclass(frozen=True, slots=True)
class SeenMail:
    """A stamped mail in Outbox or Sent Items."""

    stamp: Stamp
    internet_message_id: str | None = None


@dataclass(frozen=True, slots=True)
class EndReason:
    """Why a request ended without a send: what its event says."""

    event: Literal["failed", "expired", "unknown"]
    code: str
    detail: str = ""
    """Such as Exchange's response code; never content."""


EntryKind = Literal["begun", "done", "unsent", "ended"]


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """
    One item of the ledger: a call that sends, entered before it is made, or the end of a request.

    A begun send is marked `done` once Exchange took the mail, and `unsent` where the call was refused or never made.
    """

    kind: EntryKind
    stamp: Stamp
    at: datetime
    """When it was entered, by Exchange's clock."""
    recipients: int = 0
    entry_id: str = ""
    done_at: datetime | None = None
    """When it was marked as done, where that is told."""
    reason: EndReason | None = None
    """Of an ended request."""
    call: int = 1
    """The number of the call that sends, of those for this attempt."""


@dataclass(frozen=True, slots=True)
class LedgerView:
    """What the ledger says of a request."""

    entries: Sequence[LedgerEntry] = ()
    """Oldest first."""
    since: datetime | None = None
    """From when on it has every entry; None: it always had."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What one look read, place by place."""

    drafts: Sequence[SeenDraft] = ()
    outbox: Sequence[SeenMail] = ()
    ledger: Sequence[LedgerEntry] = ()
    """Oldest first."""
    sent_items: Sequence[SeenMail] = ()
    young: bool = False
    """The ledger was lost a while ago, and is a new one."""
    blind: bool = False
    """And the request may have been in hand before."""

    def seen(self, digest: str) -> Seen[str]:
        """Return what the protocol needs to know, for a request with this content."""
        by_state = {
            state: frozenset(draft.stamp.attempt for draft in self.drafts if draft.state is state)
            for state in DraftState
        }
        evidence = [
            *(draft.stamp for draft in self.drafts if draft.state is DraftState.SUBMITTED),
            *(mail.stamp for mail in (*self.outbox, *self.sent_items)),
        ]
        done = [entry.stamp for entry in self.ledger if entry.kind == "done"]
        calls = frozenset((entry.stamp.attempt, entry.call) for entry in self.ledger if entry.kind in {"begun", "done"})
        ended = self.end_reason()
        return Seen(
            drafts=by_state[DraftState.UNSENT],
            voids=by_state[DraftState.VOID],
            moved=bool(evidence),
            # A submitted draft is neither unsent nor void, and not missing either: `moved` says so already.
            begun=frozenset(attempt for attempt, _ in calls),
            calls=calls,
            done=bool(done),
            ended=any(entry.kind == "ended" for entry in self.ledger),
            ended_unknown=ended is not None and ended[0].event == "unknown",
            other_content=bool(evidence or done) and all(stamp.digest != digest for stamp in (*evidence, *done)),
            young=self.young,
            blind=self.blind,
        )

    def with_sent_items(self, mails: Sequence[SeenMail]) -> Findings:
        """Return the same with what Sent Items shows."""
        return replace(self, sent_items=mails)

    def in_drafts(self, attempt: str) -> bool:
        """Return whether the draft of an attempt was still there, unsent or void."""
        return any(d.stamp.attempt == attempt and d.state is not DraftState.SUBMITTED for d in self.drafts)

    def sent_attempts(self) -> frozenset[str]:
        """Return the attempts whose mail shows outside of Drafts."""
        return frozenset(mail.stamp.attempt for mail in (*self.outbox, *self.sent_items))

    def end_reason(self) -> tuple[EndReason, str] | None:
        """
        Return why the request was ended, and the digest of what was ended.

        The oldest entry counts, so that all who end a request at the same time report the same.
        """
        ended = next((entry for entry in self.ledger if entry.kind == "ended" and entry.reason is not None), None)
        return None if ended is None or ended.reason is None else (ended.reason, ended.stamp.digest)

    def entry_of(self, attempt: str, call: int) -> str | None:
        """Return the id of the entry of one call that sends, where a look found it."""
        found = (entry.entry_id for entry in self.ledger if (entry.stamp.attempt, entry.call) == (attempt, call))
        return next(found, None)

    def oldest_begun(self, attempts: frozenset[str]) -> datetime | None:
        """Return when the first of these sends was begun."""
        return min((entry.at for entry in self.ledger if entry.stamp.attempt in attempts), default=None)

    def internet_message_id(self) -> str | None:
        """Return the Message-ID that Exchange gave the mail, where a copy shows it."""
        mails = (*self.sent_items, *self.outbox)
        return next((mail.internet_message_id for mail in mails if mail.internet_message_id), None)
