"""Bounces, receipts, meetings, automatic replies and protected mail: what tells them apart, and what they tell."""

from __future__ import annotations

import pytest

from bridge.domain.mail import MailProperties
from bridge.mime import KindInputs, Report, ReportedRecipient, from_properties, kind_of, parse
from tests.support.mails import sample


def test_a_delivery_report_names_recipients_status_and_diagnostic() -> None:
    mail = parse(sample("09-bounce-delivery-status"))

    assert mail.kind_inputs.report == Report(
        "delivery",
        (
            ReportedRecipient(
                "crew3@mail.example.com",
                "failed",
                "5.1.1",
                "550 5.1.1 <crew3@mail.example.com>: Recipient address rejected",
            ),
            ReportedRecipient("crew4@example.com", "delayed", "4.2.2", ""),
        ),
    )
    assert mail.refers_to == ("<notice-816@example.org>",)
    assert mail.answered_request_id == "notice-816"


def test_a_bounce_without_a_report_is_told_from_its_text() -> None:
    mail = parse(sample("23-plain-bounce"))

    assert mail.kind_inputs.report == Report(
        "delivery",
        (ReportedRecipient("crew9@old.example.com", "failed", "5.7.1", "550 5.7.1 Mailbox disabled"),),
        standard=False,
    )
    assert mail.refers_to == ("<notice-818@example.org>",)


def test_a_read_receipt_names_the_mail_that_was_read() -> None:
    mail = parse(sample("10-read-receipt"))

    report = mail.kind_inputs.report
    assert report is not None
    assert (report.kind, report.disposition) == ("disposition", "displayed")
    assert mail.refers_to == ("<notice-817@example.org>",)


def _delivery(*actions: str) -> KindInputs:
    return KindInputs(report=Report("delivery", tuple(ReportedRecipient("a@b", action, "", "") for action in actions)))


@pytest.mark.parametrize(
    ("inputs", "item_class", "kind"),
    [
        (KindInputs(), "IPM.Note", "mail"),
        (_delivery("failed"), "IPM.Note", "bounce"),
        (_delivery("delayed"), "IPM.Note", "bounce"),
        (_delivery("delivered"), "IPM.Note", "receipt"),
        (_delivery("delivered", "failed"), "IPM.Note", "bounce"),
        (_delivery("expanded", "relayed"), "IPM.Note", "receipt"),
        (_delivery(""), "IPM.Note", "bounce"),
        (KindInputs(), "REPORT.IPM.Note.NDR", "bounce"),
        (KindInputs(), "REPORT.IPM.Note.DR", "receipt"),
        (KindInputs(), "REPORT.IPM.Note.IPNRN", "receipt"),
        (KindInputs(), "REPORT.IPM.Schedule.Meeting.Request.NDR", "bounce"),
        (KindInputs(), "IPM.Schedule.Meeting.Request", "meeting"),
        (KindInputs(auto_reply=True), "IPM.Schedule.Meeting.Resp.Pos", "meeting"),
        (KindInputs(), "IPM.Note.Rules.OofTemplate.Microsoft", "auto_reply"),
        (KindInputs(calendar_method="request"), "", "meeting"),
        (KindInputs(calendar_method="publish"), "", "mail"),
        (KindInputs(auto_reply=True, protected=True), "", "auto_reply"),
        (KindInputs(protected=True), "", "protected"),
        (KindInputs(), "IPM.Note.SMIME", "protected"),
        (KindInputs(), "IPM.Note.SMIME.MultipartSigned", "mail"),
    ],
)
def test_the_kind_follows_class_and_content(inputs: KindInputs, item_class: str, kind: str) -> None:
    assert kind_of(inputs, item_class) == kind


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ("Auto-Submitted: auto-replied", "auto_reply"),
        ("Auto-Submitted: auto-replied (vacation); owner-email=x", "auto_reply"),
        ("Auto-Submitted: auto-generated", "mail"),
        ("Auto-Submitted: no", "mail"),
        ("X-Autoreply: yes", "auto_reply"),
        ("Precedence: auto_reply", "auto_reply"),
        ("Precedence: bulk", "mail"),
        ("Subject: Automatic reply: x", "auto_reply"),
        ("Subject: Re: Automatic reply: x", "mail"),
        ("Subject: Out of Office: x", "auto_reply"),
        ("Subject: Out of office supplies", "mail"),
        (
            "Auto-Submitted: auto-generated\nX-MS-Exchange-Generated-Message-Source: Mailbox Rules Agent",
            "auto_reply",
        ),
        ("From: A Person <person@example.com>\nSubject: Undeliverable: our talk", "mail"),
        ("From: postmaster@example.com\nSubject: Undeliverable: x", "bounce"),
        ("From: postmaster@example.com\nSubject: Maintenance tonight", "mail"),
        ("From: x@example.com\nX-Failed-Recipients: a@example.com", "bounce"),
        ("Content-Type: application/pkcs7-mime; smime-type=signed-data", "protected"),
        ("Content-Type: application/pkcs7-mime; smime-type=certs-only", "mail"),
        ("Content-Type: text/calendar; method=CANCEL", "meeting"),
    ],
)
def test_headers_that_tell_a_kind(headers: str, kind: str) -> None:
    assert kind_of(parse(f"{headers}\n\nbody\n".encode()).kind_inputs) == kind


@pytest.mark.parametrize(
    "body",
    [
        "-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n",
        "\n-----BEGIN PGP MESSAGE-----\n",
    ],
)
def test_pgp_within_the_text_is_protected(body: str) -> None:
    assert kind_of(parse(f"Subject: x\n\n{body}".encode()).kind_inputs) == "protected"


def test_pgp_mime_and_rights_management_are_protected() -> None:
    pgp = (
        b"Content-Type: multipart/encrypted; protocol=x; boundary=b\n\n--b\nContent-Type: application/pgp-encrypted\n\n"
        b"Version: 1\n--b\nContent-Type: application/octet-stream\n\nx\n--b--\n"
    )
    rights = (
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nopen the attachment\n--b\n"
        b"Content-Type: application/x-microsoft-rpmsg-message; name=message.rpmsg\n\nx\n--b--\n"
    )

    assert kind_of(parse(pgp).kind_inputs) == "protected"
    assert kind_of(parse(rights).kind_inputs) == "protected"


def test_a_mail_without_mime_is_made_from_its_properties() -> None:
    mail = from_properties(
        MailProperties(
            subject="Automatic reply: x",
            author=("A", "a@example.com"),
            to=(("B", "b@example.org"),),
            html="<p>away\ud800</p>",
            in_reply_to="<n@example.org>",
            importance="High",
            headers=(("Auto-Submitted", "auto-replied"),),
        )
    )

    assert mail.defects == ("mime_refused", "surrogate_replaced")
    assert mail.text == "away\ufffd"
    assert mail.importance == "high"
    assert mail.refers_to == ("<n@example.org>",)
    assert kind_of(mail.kind_inputs) == "auto_reply"
