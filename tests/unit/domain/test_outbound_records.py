"""What a look at the mailbox says of a request."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bridge.domain.outbound_records import (
    DraftState,
    EndReason,
    Findings,
    LedgerEntry,
    SeenDraft,
    SeenMail,
    Stamp,
)

AT = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
OURS, OTHERS = Stamp("r-1", "attempt-1", "digest"), Stamp("r-1", "attempt-2", "another digest")


def _draft(stamp: Stamp, state: DraftState) -> SeenDraft:
    return SeenDraft(stamp, "item", "key", state)


def test_a_draft_that_never_went_out_does_not_make_the_request_another_mail() -> None:
    """It was made for a request that was published again with another content, and void since."""
    drafts = [_draft(OTHERS, DraftState.VOID), _draft(OTHERS, DraftState.UNSENT)]

    assert not Findings(drafts=drafts).seen(OURS.digest).other_content
    assert not Findings(drafts=drafts, sent_items=[SeenMail(OURS)]).seen(OURS.digest).other_content


def test_a_draft_of_ones_own_does_not_hide_that_another_mail_went_out() -> None:
    for state in (DraftState.VOID, DraftState.UNSENT):
        assert Findings(drafts=[_draft(OURS, state)], sent_items=[SeenMail(OTHERS)]).seen(OURS.digest).other_content


def test_another_mail_under_the_same_id_shows_wherever_it_is() -> None:
    done = LedgerEntry("done", OTHERS, AT)

    for findings in (
        Findings(drafts=[_draft(OTHERS, DraftState.SUBMITTED)]),
        Findings(outbox=[SeenMail(OTHERS)]),
        Findings(sent_items=[SeenMail(OTHERS)]),
        Findings(ledger=[done]),
    ):
        assert findings.seen(OURS.digest).other_content
        assert not findings.seen(OTHERS.digest).other_content


def test_a_mail_that_was_sent_is_the_requests_own_also_where_another_one_lies_beside_it() -> None:
    """One mail with this content went out; the other one is a repeat that a person moved, or an older mistake."""
    for mails in ([SeenMail(OURS), SeenMail(OTHERS)], [SeenMail(OTHERS), SeenMail(OURS)]):
        assert not Findings(sent_items=mails).seen(OURS.digest).other_content
    ledger = [LedgerEntry("done", OTHERS, AT), LedgerEntry("done", OURS, AT)]
    assert not Findings(ledger=ledger).seen(OURS.digest).other_content


def test_of_two_who_ended_a_request_the_first_one_says_why() -> None:
    first = LedgerEntry("ended", OURS, AT, reason=EndReason("expired", "expired"))
    second = LedgerEntry("ended", OTHERS, AT + timedelta(minutes=1), reason=EndReason("unknown", "outcome_unknown"))

    findings = Findings(ledger=[replace(first, reason=None), first, second])

    assert findings.end_reason() == (EndReason("expired", "expired"), OURS.digest)
    assert not findings.seen(OURS.digest).ended_unknown


def test_the_first_of_several_begun_sends_is_when_it_began() -> None:
    """Sent Items are searched from there on."""
    begun = [LedgerEntry("begun", OURS, AT), LedgerEntry("begun", OTHERS, AT + timedelta(minutes=5))]
    strange = LedgerEntry("begun", replace(OURS, attempt="attempt-0"), AT - timedelta(hours=1))

    findings = Findings(ledger=[strange, *begun])

    assert findings.oldest_begun(frozenset({"attempt-1", "attempt-2"})) == AT
    assert findings.oldest_begun(frozenset({"attempt-2"})) == AT + timedelta(minutes=5)


def test_a_mail_in_outbox_says_its_message_id_where_the_copy_in_sent_items_has_none() -> None:
    findings = Findings(outbox=[SeenMail(OURS, "<a@example.org>")], sent_items=[SeenMail(OURS)])

    assert findings.internet_message_id() == "<a@example.org>"
