"""What happens next after an error."""

import pytest

from bridge.domain.disposition import Disposition, Park, Pause, Retry, RetryPolicy, disposition
from bridge.errors import (
    BridgeError,
    BrokerUnavailable,
    CredentialsRejected,
    EwsBlocked,
    MailboxThrottled,
    MailUnreadable,
    PublishUnconfirmed,
    RequestInvalid,
)

_POLICY = RetryPolicy(first_seconds=1, longest_seconds=60, pause_seconds=30)


@pytest.mark.parametrize(
    ("error", "attempt", "expected"),
    [
        (BrokerUnavailable(), 1, Retry(1)),
        (BrokerUnavailable(), 3, Retry(4)),
        (PublishUnconfirmed(), 1_000, Retry(60)),
        (MailboxThrottled(retry_after_seconds=297.749), 1, Retry(297.749)),
        (MailboxThrottled(), 2, Retry(2)),
        (MailUnreadable(), 1, Park("mail_unreadable")),
        (RequestInvalid("to", "is missing"), 1, Park("invalid_request")),
        (EwsBlocked(), 1, Pause("ews_blocked", 30)),
        (CredentialsRejected(), 9, Pause("credentials_rejected", 30)),
        (CredentialsRejected(retry_after_seconds=10), 9, Pause("credentials_rejected", 10)),
        (CredentialsRejected(retry_after_seconds=600), 9, Pause("credentials_rejected", 30)),
    ],
)
def test_each_class_of_error_has_one_consequence(error: BridgeError, attempt: int, expected: Disposition) -> None:
    assert disposition(error, attempt=attempt, policy=_POLICY) == expected


def test_a_stated_wait_is_never_shortened() -> None:
    for spread in (0.0, 0.5, 1.0):
        after = disposition(MailboxThrottled(retry_after_seconds=10), attempt=1, policy=_POLICY, spread=spread)

        assert isinstance(after, Retry)
        assert after.after_seconds >= 10
