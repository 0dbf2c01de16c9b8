"""The payload of a mail: complete, stable, and open to later versions."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime

import pytest

from bridge.domain.mail import FetchedMail, MailProperties, MailRef, UnconvertibleMail
from bridge.mime.compose_message_id import message_id_of
from bridge.wire import inbound_build, inbound_v1
from tests.support.mails import sample, samples

_AT = datetime(2026, 11, 24, 8, 15, tzinfo=UTC)


def _ref(size: int = 0, item_class: str = "IPM.Note", received_at: datetime | None = _AT) -> MailRef:
    return MailRef("m" * 40, "item-1", received_at, size, item_class)


def _payload(
    raw: bytes, *, policy: inbound_build.RawPolicy = "inline", item_class: str = "IPM.Note"
) -> inbound_v1.InboundMail:
    return inbound_build.compose(FetchedMail(_ref(len(raw), item_class), raw), "dispatch", policy=policy)


def test_every_field_of_the_contract_is_there_and_no_other() -> None:
    document = json.loads(inbound_v1.to_json(_payload(sample("03-flight-request-attachments"))))

    assert list(document) == [
        "schema", "message_id", "mailbox", "kind", "received_at", "internet_message_id", "in_reply_to", "references",
        "date", "subject", "from", "sender", "to", "cc", "reply_to", "text", "html", "attachments", "headers",
        "authentication_results", "importance", "defects", "raw", "bounce", "receipt", "answers",
    ]  # fmt: skip
    assert document["schema"] == "mail.inbound.v1"
    assert document["from"] == {"name": "Transfer Center", "address": "desk@transfercenter.example.com"}
    assert document["received_at"] == "2026-11-24T08:15:00Z"
    assert document["date"] == "2026-11-24T10:40:00+01:00"


@pytest.mark.parametrize("name", samples())
def test_the_raw_bytes_come_out_as_they_went_in(name: str) -> None:
    raw = sample(name)

    document = json.loads(inbound_v1.to_json(_payload(raw)))

    assert base64.b64decode(document["raw"]["content"]) == raw
    assert document["raw"]["size"] == len(raw)
    assert document["raw"]["sha256"] == hashlib.sha256(raw).hexdigest()


def test_raw_bytes_left_out_by_policy_keep_size_and_hash() -> None:
    raw = sample("01-transfer-request-plain")

    mail = _payload(raw, policy="omit")

    assert mail.raw == inbound_v1.Raw(size=len(raw), sha256=hashlib.sha256(raw).hexdigest())
    with pytest.raises(ValueError, match="does not carry"):
        inbound_v1.Raw(size=0, sha256="0" * 64).data()


def test_a_reader_gets_attachments_as_bytes() -> None:
    mail = inbound_v1.from_json(inbound_v1.to_json(_payload(sample("03-flight-request-attachments"))))

    assert mail.attachments[0].data().startswith(b"%PDF")


def test_a_reader_ignores_fields_and_codes_of_a_later_version() -> None:
    document = json.loads(inbound_v1.to_json(_payload(sample("09-bounce-delivery-status"))))
    document["later"] = 1
    document["from"]["later"] = 1
    document["defects"].append("later_code")

    mail = inbound_v1.from_json(json.dumps(document).encode())

    assert mail.defects == ("later_code",)


def test_a_bounce_tells_recipients_and_which_request_it_answers() -> None:
    mail = _payload(sample("09-bounce-delivery-status"))

    assert mail.kind == "bounce"
    assert mail.answers == "notice-816"
    assert mail.bounce is not None
    assert mail.bounce.standard
    assert mail.bounce.returned_message_id == "<notice-816@example.org>"
    assert [(r.address, r.action, r.status) for r in mail.bounce.recipients] == [
        ("crew3@mail.example.com", "failed", "5.1.1"),
        ("crew4@example.com", "delayed", "4.2.2"),
    ]
    assert mail.receipt is None


def test_a_bounce_known_only_by_its_class_is_one_without_recipients() -> None:
    mail = _payload(b"Subject: x\r\n\r\n", item_class="REPORT.IPM.Note.NDR")

    assert mail.bounce == inbound_v1.Bounce(recipients=(), standard=False, returned_message_id=None)


def test_a_receipt_tells_who_read_what() -> None:
    mail = _payload(sample("10-read-receipt"))

    assert mail.receipt == inbound_v1.Receipt(
        recipients=("crew3@example.com",), event="displayed", original_message_id="<notice-817@example.org>"
    )


@pytest.mark.parametrize("field", ["In-Reply-To", "References"])
def test_a_reply_to_a_mail_of_ours_tells_its_request(field: str) -> None:
    message_id = message_id_of("req-1", "dispatch@example.org")

    assert _payload(f"{field}: <other@example.org> {message_id}\r\n\r\nyes\r\n".encode()).answers == "req-1"
    assert _payload(f"{field}: <other@example.org>\r\n\r\nyes\r\n".encode()).answers is None


_ANSWERS = {
    "bounce": (
        "From: postmaster@example.com\r\nSubject: Undeliverable: x\r\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n{field}\r\n\r\n"
        "--b\r\n\r\nfailed\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\n"
        "Final-Recipient: rfc822; crew@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\n--b--\r\n"
    ),
    "receipt": (
        "From: crew@example.com\r\nSubject: Read: x\r\n"
        "Content-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n{field}\r\n\r\n"
        "--b\r\n\r\nread\r\n--b\r\nContent-Type: message/disposition-notification\r\n\r\n"
        "Final-Recipient: rfc822; crew@example.com\r\nDisposition: manual-action/MDN-sent-manually; displayed\r\n"
        "--b--\r\n"
    ),
    "auto_reply": "From: crew@example.com\r\nAuto-Submitted: auto-replied\r\n{field}\r\n\r\naway\r\n",
    "meeting": "From: crew@example.com\r\nContent-Type: text/calendar; method=REPLY\r\n{field}\r\n\r\nx\r\n",
    "mail": "From: crew@example.com\r\n{field}\r\n\r\nyes\r\n",
}


@pytest.mark.parametrize("field", ["In-Reply-To", "References"])
@pytest.mark.parametrize("kind", _ANSWERS)
def test_whatever_answers_a_mail_of_ours_tells_its_request_without_the_original(kind: str, field: str) -> None:
    message_id = message_id_of("req-1", "dispatch@example.org")

    mail = _payload(_ANSWERS[kind].format(field=f"{field}: {message_id}").encode())

    assert (mail.kind, mail.answers) == (kind, "req-1")


def test_a_receipt_tells_its_request_by_the_mail_that_it_names() -> None:
    message_id = message_id_of("req-1", "dispatch@example.org").encode()

    assert _payload(sample("10-read-receipt").replace(b"<notice-817@example.org>", message_id)).answers == "req-1"


@pytest.mark.parametrize("value", ["two words", "x" * 201, "\u00e4"])
def test_a_request_id_that_none_of_ours_can_be_is_not_told(value: str) -> None:
    raw = (
        "From: mailer-daemon@example.org\r\nSubject: Undeliverable\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        "--b\r\n\r\nfailed\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
        f"Message-ID: <a@b>\r\nX-Bridge-Request-Id: {value}\r\n\r\n--b--\r\n"
    ).encode()

    assert _payload(raw).answers is None


def test_a_mail_without_mime_is_published_from_its_properties() -> None:
    properties = MailProperties(
        subject="Briefing",
        author=("Ops", "ops@example.org"),
        to=(("Dispatch", "dispatch@example.org"),),
        text="Room 2\r\n",
        attachment_names=("roster.pdf",),
    )
    fetched = UnconvertibleMail(_ref(item_class="IPM.Schedule.Meeting.Request"), properties, "ErrorX")

    mail = inbound_build.compose(fetched, "dispatch")

    assert (mail.kind, mail.raw, mail.defects, mail.text) == ("meeting", None, ("mime_refused",), "Room 2\n")
    assert [(a.name, a.size, a.sha256, a.content) for a in mail.attachments] == [("roster.pdf", None, None, None)]


def test_a_mail_that_breaks_the_parser_goes_out_with_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(raw: bytes) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(inbound_build, "parse", broken)

    mail = _payload(b"Subject: x\r\n\r\n")

    assert mail.defects == ("parser_failed",)
    assert mail.raw is not None
    assert mail.raw.data() == b"Subject: x\r\n\r\n"


def test_a_mail_without_a_readable_time_has_none() -> None:
    mail = inbound_build.compose(FetchedMail(_ref(received_at=None), b"x"), "dispatch")

    assert mail.received_at is None
    assert inbound_build.message_of(mail).timestamp is None


def test_the_message_says_what_it_is_before_anybody_reads_the_body() -> None:
    mail = _payload(sample("09-bounce-delivery-status"))

    message = inbound_build.message_of(mail, traceparent="00-1-2-01")

    assert message.amqp_exchange == "mail.inbound"
    assert message.routing_key == "dispatch.bounce"
    assert message.message_id == mail.message_id
    assert message.type == "mail.inbound.v1"
    assert message.content_type == "application/json"
    assert message.timestamp == _AT
    assert message.correlation_id == "notice-816"
    assert message.headers == {"mailbox": "dispatch", "kind": "bounce", "traceparent": "00-1-2-01"}


def test_the_payload_is_ascii_or_utf_8_whatever_the_mail_was() -> None:
    for raw in samples().values():
        body = inbound_v1.to_json(_payload(raw))

        assert json.loads(body.decode("utf-8"))["raw"] is not None
