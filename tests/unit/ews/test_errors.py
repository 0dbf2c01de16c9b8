"""What an HTTP status of Exchange means."""

import pytest

from bridge.adapters.ews.errors import error_for_code, error_for_status
from bridge.errors import (
    BridgeError,
    CredentialsRejected,
    EwsBlocked,
    MailboxAccessDenied,
    MailboxFull,
    MailboxThrottled,
    MailboxUnavailable,
    MailUnreadable,
    SendRefused,
    ThrottledInFront,
)


@pytest.mark.parametrize(
    ("status", "headers", "meaning"),
    [
        (401, {}, CredentialsRejected),
        (403, {"X-EWS-Policy-Reason": "EWS is disabled for this user or tenant"}, EwsBlocked),
        (403, {"X-EWS-Policy-Reason": "EWS is blocked by policy for this user or tenant"}, EwsBlocked),
        (403, {}, MailboxAccessDenied),
        (429, {"Retry-After": "7"}, ThrottledInFront),
        (503, {}, ThrottledInFront),
        (413, {}, SendRefused),
        (502, {}, MailboxUnavailable),
        (302, {}, MailboxUnavailable),
        (400, {"Connection": "close"}, MailboxUnavailable),
    ],
)
def test_a_status_has_a_meaning(status: int, headers: dict[str, str], meaning: type[BridgeError]) -> None:
    assert type(error_for_status(status, headers)) is meaning


@pytest.mark.parametrize(
    ("status", "headers", "code"),
    [
        (401, {}, "credentials_rejected"),
        (401, {"x-ms-diagnostics": '2000008;reason="r";error_category="invalid_grant"'}, "app_without_role"),
        (401, {"x-ms-diagnostics": '2000003;reason="r";error_category="invalid_resource"'}, "token_audience_wrong"),
        (401, {"x-ms-diagnostics": '2000004;reason="r";error_category="invalid_tenant"'}, "token_tenant_wrong"),
        (401, {"x-ms-diagnostics": '2000002;reason="r";error_category="token_expired"'}, "credentials_rejected"),
        (403, {"x-ms-diagnostics": '2000008;reason="r";error_category="invalid_grant"'}, "token_role_wrong"),
        (403, {"X-EWS-Policy-Reason": "EWS is disabled for this user or tenant"}, "ews_disabled"),
        (403, {"X-EWS-Policy-Reason": "EWS is blocked by policy for this user or tenant"}, "ews_blocked"),
        (403, {}, "mailbox_access_denied"),
    ],
)
def test_a_refusal_is_told_as_exactly_as_exchange_tells_it(status: int, headers: dict[str, str], code: str) -> None:
    error = error_for_status(status, headers)

    assert error is not None
    assert error.code == code


@pytest.mark.parametrize(
    ("response_code", "meaning", "code"),
    [
        ("ErrorImpersonateUserDenied", MailboxAccessDenied, "impersonation_denied"),
        ("ErrorAccessDenied", MailboxAccessDenied, "mailbox_access_denied"),
        ("ErrorCreateSubfolderAccessDenied", MailboxAccessDenied, "mailbox_access_denied"),
    ],
)
def test_a_response_code_that_denies_access_pauses_the_mailbox(
    response_code: str, meaning: type[BridgeError], code: str
) -> None:
    error = error_for_code(response_code)

    assert (type(error), error.code) == (meaning, code)


@pytest.mark.parametrize("status", [200, 500])
def test_where_the_body_decides_the_status_does_not(status: int) -> None:
    assert error_for_status(status, {}) is None


@pytest.mark.parametrize(("text", "seconds"), [("7", 7.0), ("", None), ("Tue, 24 Nov 2026 03:00:00 GMT", None)])
def test_the_stated_wait_is_taken_over(text: str, seconds: float | None) -> None:
    error = error_for_status(503, {"Retry-After": text})

    assert isinstance(error, MailboxThrottled)
    assert error.retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("date", "until", "seconds"),
    [
        ("Tue, 24 Nov 2026 03:00:00 GMT", "Tue, 24 Nov 2026 03:01:30 GMT", 90.0),
        ("Tue, 24 Nov 2026 03:00:00 GMT", "Tue, 24 Nov 2026 02:00:00 GMT", 0.0),
        ("Tue, 24 Nov 2026 03:00:00 GMT", "Tue, 24 Nov 9026 03:00:00 GMT", None),
        ("Tue, 24 Nov 2026 03:00:00 GMT", "Tue, 24 Nov 2026 03:01:30", None),
        ("Tue, 24 Nov 2026 03:00:00 GMT", "Tue, 99 Nov 2026 03:01:30 GMT", None),
        ("no date", "Tue, 24 Nov 2026 03:01:30 GMT", None),
    ],
)
def test_a_wait_stated_as_a_date_counts_from_the_date_of_the_answer(
    date: str, until: str, seconds: float | None
) -> None:
    """Our own clock has no say in it."""
    error = error_for_status(503, {"Date": date, "Retry-After": until})

    assert isinstance(error, MailboxThrottled)
    assert error.retry_after_seconds == seconds


@pytest.mark.usefixtures("local_zone")
def test_a_wait_until_a_date_without_a_zone_is_not_stated() -> None:
    """Counted in the machine's own zone it would be hours."""
    for date, until in (("GMT", ""), ("", "GMT")):
        headers = {"Date": f"Fri, 24 Jul 2026 03:00:00 {date}", "Retry-After": f"Fri, 24 Jul 2026 03:01:30 {until}"}

        error = error_for_status(503, headers)

        assert isinstance(error, MailboxThrottled)
        assert error.retry_after_seconds is None


@pytest.mark.parametrize(
    "code",
    [
        "ErrorAttachmentNestLevelLimitExceeded",
        "ErrorAttachmentSizeLimitExceeded",
        "ErrorExceededMaxRecipientLimit",
        "ErrorExceededMaxRecipientLimitBlock",
        "ErrorInvalidPropertySet",
        "ErrorInvalidRecipients",
        "ErrorMailRecipientNotFound",
        "ErrorMessageBlocked",
        "ErrorMessageSizeExceeded",
        "ErrorMimeContentInvalid",
        "ErrorMimeContentInvalidBase64String",
        "ErrorMissingRecipients",
        "ErrorRecipientNotFound",
        "ErrorSchemaValidation",
        "ErrorSendAsDenied",
    ],
)
def test_what_exchange_will_never_send_is_refused_under_its_own_code(code: str) -> None:
    """Left out of the table a code means `unavailable`: the request would be tried for a day."""
    error = error_for_code(code)

    assert isinstance(error, SendRefused)
    assert error.exchange_code == code


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        ("ErrorContentConversionFailed", MailUnreadable),
        ("ErrorVirusMessageDeleted", MailUnreadable),
        ("ErrorExceededMessageLimit", MailboxFull),
        ("ErrorQuotaExceeded", MailboxFull),
        ("ErrorSubmissionQuotaExceeded", MailboxFull),
        ("ErrorMessageSubmissionBlocked", MailboxAccessDenied),
    ],
)
def test_a_quota_and_a_block_concern_the_mailbox_and_a_bad_mail_the_mail(code: str, meaning: type[BridgeError]) -> None:
    assert type(error_for_code(code)) is meaning
