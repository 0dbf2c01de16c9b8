"""The MIME of a mail, read back by the standard library's parser."""

from __future__ import annotations

import email
import re
from dataclasses import replace
from datetime import UTC, datetime
from email import policy
from email.header import decode_header, make_header
from email.message import EmailMessage, MIMEPart
from email.utils import getaddresses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.domain.outbound import Attachment, Mailbox, OutboundMail
from bridge.mime.compose import REQUEST_ID_HEADER, compose
from bridge.mime.compose_message_id import message_id_of, request_id_of

DATE = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
PLAIN = OutboundMail(
    request_id="r-1",
    digest="d" * 64,
    sender=Mailbox("Dispatch@Example.org", "Dispatch"),
    date=DATE,
    to=(Mailbox("crew@example.org"),),
)


def a_mail(**fields: Any) -> OutboundMail:
    return replace(PLAIN, **fields)


def read(mail: OutboundMail) -> EmailMessage:
    mime = compose(mail)
    assert re.search(rb"(?<!\r)\n|\r(?!\n)", mime) is None
    assert max(map(len, mime.split(b"\r\n"))) <= 998
    parsed = email.message_from_bytes(mime, policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    assert not [part.defects for part in parsed.walk() if part.defects]
    return parsed


def addresses(parsed: EmailMessage, name: str) -> list[tuple[str, str]]:
    return [(a.display_name, a.addr_spec) for a in parsed[name].addresses]


def text_of(part: MIMEPart) -> str:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode().replace("\r\n", "\n")


def decoded(value: str) -> str:
    return str(make_header(decode_header(value)))


def test_same_mail_gives_same_bytes() -> None:
    mail = a_mail(
        text="a", html="b", attachments=(Attachment("x", "image/png", b"1", "c"), Attachment("y", "a/b", b"2"))
    )

    assert compose(mail) == compose(replace(mail))


def test_headers_say_who_what_and_when() -> None:
    parsed = read(
        a_mail(
            cc=(Mailbox("c@example.org", "C"),),
            bcc=(Mailbox("b@example.org"),),
            reply_to=(Mailbox("r@example.org"),),
            subject="S",
        )
    )

    assert addresses(parsed, "From") == [("Dispatch", "Dispatch@Example.org")]
    assert addresses(parsed, "To") == [("", "crew@example.org")]
    assert addresses(parsed, "Cc") == [("C", "c@example.org")]
    assert addresses(parsed, "Bcc") == [("", "b@example.org")]
    assert addresses(parsed, "Reply-To") == [("", "r@example.org")]
    assert parsed["Subject"] == "S"
    assert parsed["Date"].datetime == DATE
    assert parsed[REQUEST_ID_HEADER] == "r-1"


def test_answer_threads_with_what_it_answers() -> None:
    both = read(a_mail(in_reply_to="<a@b>", references=("<x@y>", "<a@b>")))
    alone = read(a_mail(in_reply_to="<a@b>"))

    assert (both["In-Reply-To"], both["References"]) == ("<a@b>", "<x@y> <a@b>")
    assert alone["References"] == "<a@b>"
    assert read(PLAIN)["References"] is None


@pytest.mark.parametrize(
    ("importance", "expected"), [("high", ("High", "1")), ("low", ("Low", "5")), ("normal", (None, None))]
)
def test_importance_is_said_in_both_headers(importance: str, expected: tuple[str | None, str | None]) -> None:
    parsed = read(a_mail(importance=importance))

    assert (parsed["Importance"], parsed["X-Priority"]) == expected


def test_receipts_are_asked_for_only_when_wanted() -> None:
    asking, silent = read(a_mail(read_receipt=True, delivery_receipt=True)), read(PLAIN)

    assert asking["Disposition-Notification-To"] == asking["Return-Receipt-To"] == "Dispatch <Dispatch@Example.org>"
    assert silent["Disposition-Notification-To"] is silent["Return-Receipt-To"] is None


def test_generated_mail_keeps_replies_of_machines_away_but_not_bounces() -> None:
    generated, personal = read(PLAIN), read(a_mail(auto_generated=False))

    assert generated["Auto-Submitted"] == "auto-generated"
    assert generated["X-Auto-Response-Suppress"] == "OOF, AutoReply"
    assert personal["Auto-Submitted"] is personal["X-Auto-Response-Suppress"] is None


def test_structure_is_no_deeper_than_the_content_needs() -> None:
    image, file = Attachment("i.png", "image/png", b"i", "logo"), Attachment("f.pdf", "application/pdf", b"f")

    def shape(**fields: Any) -> list[str]:
        return [part.get_content_type() for part in read(a_mail(**fields)).walk()]

    assert shape() == ["text/plain"]
    assert shape(text="t") == ["text/plain"]
    assert shape(html="h") == ["text/html"]
    assert shape(text="t", html="h") == ["multipart/alternative", "text/plain", "text/html"]
    assert shape(html="h", attachments=(image,)) == ["multipart/related", "text/html", "image/png"]
    assert shape(text="t", attachments=(image,)) == ["multipart/mixed", "text/plain", "image/png"]
    assert shape(text="t", html="h", attachments=(image, file)) == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "application/pdf",
    ]


def test_image_of_the_html_is_found_by_its_content_id() -> None:
    parsed = read(
        a_mail(html='<img src="cid:logo">', attachments=(Attachment("i.png", "image/png", b"\x89PNG", "logo"),))
    )

    image = list(parsed.walk())[2]

    assert (image["Content-ID"], image.get_content_disposition(), image.get_content()) == (
        "<logo>",
        "inline",
        b"\x89PNG",
    )


def test_attached_mail_stays_a_mail_where_it_may_and_a_file_otherwise() -> None:
    clean = read(a_mail(attachments=(Attachment("m.eml", "message/rfc822", b"Subject: x\n\nbody\n"),)))
    binary = read(a_mail(attachments=(Attachment("m.eml", "message/rfc822", b"Subject: \xe4\n\nbody\n"),)))

    assert [p.get_content_type() for p in clean.walk()] == [
        "multipart/mixed",
        "text/plain",
        "message/rfc822",
        "text/plain",
    ]
    assert [p.get_content_type() for p in binary.walk()] == [
        "multipart/mixed",
        "text/plain",
        "application/octet-stream",
    ]
    assert list(binary.walk())[2].get_content() == b"Subject: \xe4\n\nbody\n"


@pytest.mark.parametrize(
    "text", ["x" * 5000, "ä" * 5000, "From here\n.\n..\n--\n", "tab\t\n trailing \n", "\x0b\x0c\x1c\x85\u2028", ""]
)
def test_awkward_texts_arrive_as_they_are(text: str) -> None:
    assert text_of(read(a_mail(text=text))) == text


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300)
LINE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=200)
NAME = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=256)


@given(TEXT, TEXT)
def test_any_text_and_html_arrive_with_no_change_but_line_ends(text: str, html: str) -> None:
    plain, styled = read(a_mail(text=text, html=html)).iter_parts()

    for part, sent in ((plain, text), (styled, html)):
        assert text_of(part) == re.sub(r"\r\n|\r", "\n", sent)


def unfolded(value: str) -> str:
    return re.sub(r"\s+", " ", value).strip()


@given(LINE, LINE)
def test_any_subject_and_header_arrive(subject: str, value: str) -> None:
    parsed = read(a_mail(subject=subject, headers=(("X-Flight", value), ("X-" + "a" * 70, value))))

    assert parsed["Subject"] == subject
    assert parsed["X-Flight"] == parsed["X-" + "a" * 70] == value


@given(st.lists(NAME, min_size=1, max_size=8))
def test_any_display_names_arrive_with_their_addresses(names: list[str]) -> None:
    to = tuple(Mailbox(f"a{number}@example.org", name) for number, name in enumerate(names))

    raw = email.message_from_bytes(compose(a_mail(to=to)), policy=policy.compat32)["To"]
    # The parser of the newer policy keeps the space between encoded words of a phrase (RFC 2047 says to drop it).
    got = getaddresses([re.sub(r"\r\n", "", raw)])

    assert [address for _, address in got] == [m.address for m in to]
    assert [unfolded(decoded(name)) for name, _ in got] == [unfolded(name) for name in names]


@given(NAME.filter(str.strip), st.binary(max_size=300))
def test_any_attachment_arrives_with_its_name(name: str, content: bytes) -> None:
    parsed = read(a_mail(attachments=(Attachment(name, "application/octet-stream", content),)))

    attachment = next(parsed.iter_attachments())

    assert attachment.get_filename() == name.strip()
    assert attachment.get_payload(decode=True) == content


def test_internationalised_local_part_is_written_in_utf8() -> None:
    assert b"To: j\xc3\xbcrgen@example.org\r\n" in compose(a_mail(to=(Mailbox("jürgen@example.org"),)))


def test_five_hundred_recipients_fold() -> None:
    to = tuple(Mailbox(f"recipient{n}@example.org", f"Ünit {n}") for n in range(500))

    assert addresses(read(a_mail(to=to)), "To") == [(m.name, m.address) for m in to]


@settings(max_examples=50)
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=200))
def test_request_is_told_from_its_message_id(request_id: str) -> None:
    message_id = message_id_of(request_id, "dispatch@example.org")

    assert len(message_id) < 400
    assert (
        request_id_of(message_id) == request_id_of(message_id.upper()) == request_id_of(message_id[1:-1]) == request_id
    )
    assert read(a_mail(request_id=request_id))[REQUEST_ID_HEADER] == request_id


@pytest.mark.parametrize(
    "other", ["", "<a@b>", "<bridge.aaaa.000000000000@example.org>", "<bridge.1.000000000000@e>", "<bridge.aaaa@b>"]
)
def test_foreign_message_id_tells_of_no_request(other: str) -> None:
    assert request_id_of(other) is None
