"""A mailbox that waits for a token resumes soon after Entra is back, however long it was away."""

from __future__ import annotations

from bridge.egress.availability.pauses import Availability
from bridge.errors import CredentialsRejected, MailboxUnavailable, TokenUnavailable
from tests.support.clock import InstantClock
from tests.unit.egress.harness import ALIAS


def test_a_mailbox_without_a_token_asks_as_often_as_the_source_of_tokens_does() -> None:
    availability = Availability(ALIAS, InstantClock(), lambda _: None)
    for _ in range(12):
        availability.still(TokenUnavailable(retry_after_seconds=6.0))

    assert 6.0 <= availability.wait_seconds <= 6.6


def test_a_mailbox_without_an_answer_is_asked_ever_more_slowly() -> None:
    availability = Availability(ALIAS, InstantClock(), lambda _: None)
    for _ in range(12):
        availability.still(MailboxUnavailable(retry_after_seconds=6.0))

    assert availability.wait_seconds == 60.0


def test_requests_that_wait_for_a_token_come_back_soon_and_of_thousands_only_some() -> None:
    clock = InstantClock()
    availability = Availability(ALIAS, clock, lambda _: None)
    availability.pause(TokenUnavailable(retry_after_seconds=6.0))

    waits = [availability.circulation_seconds() for _ in range(1000)]
    clock.seconds += 5
    later = availability.circulation_seconds()

    assert waits == [5.0] * 250 + [30.0] * 750
    assert later == 5.0


def test_a_mailbox_whose_credential_is_refused_asks_again_soon_for_it_costs_nobody_anything() -> None:
    availability = Availability(ALIAS, InstantClock(), lambda _: None)
    for _ in range(12):
        availability.still(CredentialsRejected(retry_after_seconds=10.0))

    assert availability.wait_seconds == 10.0
