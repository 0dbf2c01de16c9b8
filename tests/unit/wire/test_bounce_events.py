"""A bounce is told of the request whose mail came back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bridge.domain.mail import FetchedMail, MailProperties, MailRef, UnconvertibleMail
from bridge.mime.compose_message_id import message_id_of
from bridge.wire import bounce_events, event_v1, inbound_build
from tests.support.mails import sample, samples

_AT = datetime(2026, 11, 24, 8, 15, tzinfo=UTC)


def _events(raw: bytes, at: datetime = _AT) -> list[event_v1.MailEvent]:
    ref = MailRef("m" * 40, "item-1", _AT, len(raw), "IPM.Note")
    payload = inbound_build.compose(FetchedMail(ref, raw), "dispatch")
    return [event_v1.from_json(one.body) for one in bounce_events.messages_of(payload, at)]


def test_each_recipient_that_was_not_reached_is_one_event_that_names_nobody() -> None:
    raw = sample("09-bounce-delivery-status")
    events = _events(raw)

    assert [(event.event, event.request_id, event.code, event.detail) for event in events] == [
        ("outbound.bounced", "notice-816", "not_delivered", "5.1.1"),
        ("outbound.bounced", "notice-816", "not_delivered_yet", "4.2.2"),
    ]
    assert len({event.event_id for event in events}) == 2
    # Who tells it again, after its worker died, does so later.
    again = _events(raw, _AT + timedelta(hours=1))
    assert [event.event_id for event in again] == [event.event_id for event in events]
    assert all(event.message_id == "m" * 40 for event in events)
    assert b"crew3" not in b"".join(event_v1.to_json(event) for event in events)


def test_a_bounce_without_the_original_is_told_of_the_request_that_it_refers_to() -> None:
    message_id = message_id_of("req-1", "dispatch@example.org").encode()
    raw = sample("09-bounce-delivery-status").replace(b"\r\n", b"\n")
    head, _, _ = raw.partition(b"--=_9\nContent-Type: message/rfc822")
    events = _events((b"In-Reply-To: " + message_id + b"\n" + head + b"--=_9--\n").replace(b"\n", b"\r\n"))

    assert [(event.request_id, event.code, event.detail) for event in events] == [
        ("req-1", "not_delivered", "5.1.1"),
        ("req-1", "not_delivered_yet", "4.2.2"),
    ]


def test_a_recipient_that_was_reached_after_all_is_no_bounce() -> None:
    raw = sample("09-bounce-delivery-status").replace(b"Action: failed", b"Action: relayed")

    assert [event.code for event in _events(raw)] == ["not_delivered_yet"]


def test_a_bounce_that_names_no_recipient_is_told_all_the_same() -> None:
    lines = sample("09-bounce-delivery-status").split(b"\n")
    of_recipients = (
        b"Final-Recipient:",
        b"Original-Recipient:",
        b"Action:",
        b"Status:",
        b"Diagnostic-Code:",
        b"Remote-MTA:",
    )
    raw = b"\n".join(line for line in lines if not line.startswith(of_recipients))

    assert [(event.request_id, event.code, event.detail) for event in _events(raw)] == [
        ("notice-816", "not_delivered", "")
    ]


def test_a_bounce_that_is_known_by_its_class_alone_is_told_once() -> None:
    """Exchange makes no MIME of it, and its text says nothing: there is no recipient to tell of."""
    refers_to = MailProperties(in_reply_to=message_id_of("req-1", "dispatch@example.org"), subject="?")
    ref = MailRef("m" * 40, "item-1", _AT, 1, "REPORT.IPM.Note.NDR")
    payload = inbound_build.compose(UnconvertibleMail(ref, refers_to, "ErrorContentConversionFailed"), "dispatch")

    [event] = [event_v1.from_json(one.body) for one in bounce_events.messages_of(payload, _AT)]

    assert payload.bounce is not None
    assert payload.bounce.recipients == ()
    assert (event.request_id, event.code, event.detail) == ("req-1", "not_delivered", "")


def test_a_bounce_of_somebody_elses_mail_is_told_of_no_request() -> None:
    raw = sample("09-bounce-delivery-status").replace(b"X-Bridge-Request-Id: notice-816\n", b"")

    assert _events(raw.replace(b"X-Bridge-Request-Id: notice-816\r\n", b"")) == []


def test_mail_that_is_no_bounce_is_told_of_no_request() -> None:
    told = {name for name, raw in samples().items() if _events(raw)}

    assert told <= {name for name in samples() if "bounce" in name}


def test_what_is_no_status_code_is_not_repeated() -> None:
    raw = sample("09-bounce-delivery-status").replace(b"Status: 5.1.1", b"Status: 5.1.1 (Mrs. Smith)")

    assert {event.detail for event in _events(raw)} <= {"5.1.1", "4.2.2", ""}


def test_a_bounce_of_ten_thousand_recipients_is_bounded() -> None:
    one = b"Final-Recipient: rfc822; c%d@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
    raw = sample("09-bounce-delivery-status").replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    many = b"".join(one % number for number in range(10_000))

    events = _events(raw.replace(b"Final-Recipient: rfc822; crew4@example.com\r\n", many, 1))

    assert 1 <= len(events) <= 500


def test_a_bounce_proves_nothing_unless_somebody_vouches_for_it() -> None:
    ref = MailRef("m" * 40, "item-1", _AT, 1, "IPM.Note")
    payload = inbound_build.compose(FetchedMail(ref, sample("09-bounce-delivery-status")), "dispatch")
    events = bounce_events.messages_of(payload, _AT)
    mail = inbound_build.message_of(payload)

    *vouched_for, mail_after = bounce_events.verified([*events, mail])

    assert [event_v1.from_json(one.body).confidence for one in events] == ["unverified"] * 2
    assert [event_v1.from_json(one.body).confidence for one in vouched_for] == ["verified"] * 2
    assert [one.message_id for one in vouched_for] == [one.message_id for one in events]
    assert mail_after == mail
