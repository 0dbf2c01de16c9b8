"""What the parser makes of the sample mails, shape by shape."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone

import pytest

from bridge.domain.defects import DEFECTS, MEANINGS
from bridge.mime import Address, Limits, ParsedMail, kind_of, parse
from tests.support.mails import sample, samples


def test_a_plain_mail_comes_out_whole() -> None:
    mail = parse(sample("01-transfer-request-plain"))

    assert mail.subject == "Interfacility transfer request: adult, intubated"
    assert mail.author == Address("St. Mary ICU", "icu@stmary.example.com")
    assert mail.to == (Address("Flight Dispatch", "dispatch@example.org"),)
    assert mail.date == datetime(2026, 11, 24, 8, 14, 51, tzinfo=UTC)
    assert mail.message_id == "<20261124081451.1001@stmary.example.com>"
    assert mail.importance == "high"
    assert mail.text.startswith("Please arrange a rotor-wing transfer.\n\nFrom:   St. Mary")
    assert mail.html is None
    assert mail.defects == ()
    assert [header.name for header in mail.headers][:3] == ["Received", "Message-ID", "Date"]


def test_text_is_made_from_html_where_there_is_no_other() -> None:
    mail = parse(sample("02-transfer-request-html-only"))

    assert mail.html is not None
    assert mail.html.startswith("<html><head><style>")
    assert "Patient\tmale, 34 y, 91 kg\nMechanism\tfall, about 6 m" in mail.text
    assert "channel 4 & mobile" in mail.text
    assert "padding" not in mail.text
    assert mail.author == Address("Bay General, Emergency", "er@bay.example.com")


def test_attachments_are_decoded_and_hashed() -> None:
    mail = parse(sample("03-flight-request-attachments"))

    assert [(a.name, a.content_type, a.inline) for a in mail.attachments] == [
        ("face sheet.pdf", "application/pdf", False),
        ("vitals.csv", "text/csv", False),
    ]
    pdf = mail.attachments[0]
    assert pdf.content.startswith(b"%PDF-1.4\n")
    assert pdf.size == len(pdf.content)
    assert pdf.sha256 == hashlib.sha256(pdf.content).hexdigest()
    assert mail.attachments[1].content == b"time,hr,spo2\r\n08:00,112,94\r\n"
    assert mail.text == "Face sheet and vitals attached. Weight 72 kg. Bariatric: no.\n"
    assert "<b>72 kg</b>" in (mail.html or "")


def test_an_image_in_html_is_inline_and_has_its_content_id() -> None:
    mail = parse(sample("04-landing-zone-inline-image"))

    (image,) = mail.attachments
    assert (image.content_id, image.inline, image.content_type) == ("sketch@county.example.com", True, "image/png")
    assert mail.text == "Wires on the east side, see sketch."


def test_encoded_words_and_charsets_are_undone() -> None:
    mail = parse(sample("05-umlauts-encoded-words"))

    assert mail.subject == "Verlegung nach Zürich \N{EN DASH} beatmeter Patient"
    assert mail.author == Address("Intensivstation Süd", "its@klinikum.example.com")
    assert mail.to[0].name == "Flugdienst, Schäfer"
    assert "Gepäck: keines. Kostenübernahme 4.200 € bestätigt." in mail.text
    assert mail.date is not None
    assert mail.date.utcoffset() == timedelta(hours=1)


def test_attachment_names_in_both_encodings_are_read() -> None:
    mail = parse(sample("06-rfc2231-attachment-names"))

    assert [a.name for a in mail.attachments] == ["overførsel af patient.txt", "搬送.pdf"]


def test_an_enclosed_mail_is_an_attachment_byte_for_byte() -> None:
    raw = sample("07-forwarded-request-nested")
    mail = parse(raw)

    (enclosed,) = mail.attachments
    assert (enclosed.name, enclosed.content_type) == ("request.eml", "message/rfc822")
    assert enclosed.content in raw
    assert parse(enclosed.content).text == "Fixed wing, two patients."
    assert mail.in_reply_to == "<coast-1@coast.example.com>"
    assert mail.references == ("<coast-0@coast.example.com>", "<coast-1@coast.example.com>")
    assert mail.refers_to == ("<coast-1@coast.example.com>", "<coast-0@coast.example.com>")


def test_groups_are_flattened_and_comments_are_names() -> None:
    mail = parse(sample("18-group-addresses"))

    assert mail.author == Address("Doe, Jane (ICU)", "jane.doe@example.com")
    assert mail.sender == Address("", "pager-gateway@example.com")
    assert mail.to == (
        Address("", "crew1@example.org"),
        Address("Crew, Two", "crew2@example.org"),
        Address("", "dispatch@example.org"),
    )
    assert mail.cc == ()
    assert mail.reply_to == (Address("Transfer Desk", "desk@example.com"),)


def test_authentication_results_are_told_by_method() -> None:
    (result,) = parse(sample("24-authentication-results")).authentication_results

    assert result.server == ""
    assert result.methods == (("spf", "pass"), ("dkim", "fail"), ("dmarc", "pass"), ("compauth", "pass"))


@pytest.mark.parametrize(
    ("name", "defects", "text"),
    [
        ("14-pager-no-message-id", (), "LZ secure. Ground crew on scene.\n"),
        ("15-cr-only", ("cr_only_line_ends",), "Line one.\nLine two.\n"),
        ("16-nul-and-bare-cr", ("nul_replaced",), "Before\ufffdafter.\nStill here.\n"),
        ("17-utf-7-surrogate", ("surrogate_replaced",), "Helipad ä closed \ufffd today.\n"),
        ("19-empty", ("empty",), ""),
        ("20-eight-bit-header", ("header_8bit",), "Nächster Slot 17:20, Übergabe am Dachlandeplatz.\n"),
        ("21-truncated-multipart", ("multipart_unclosed", "base64_broken"), "Potassium 5.9, see the attachment."),
    ],
)
def test_broken_mails_are_read_and_say_what_is_wrong(name: str, defects: tuple[str, ...], text: str) -> None:
    mail = parse(sample(name))

    assert mail.defects == defects
    assert mail.text == text


def test_a_cut_off_attachment_keeps_what_arrived() -> None:
    (attachment,) = parse(sample("21-truncated-multipart")).attachments

    assert attachment.content.startswith(b"%PDF-1.4\n1 0 obj")


def test_uuencoded_files_are_attachments_and_stay_in_the_text() -> None:
    mail = parse(sample("22-uuencoded"))

    assert [(a.name, a.content) for a in mail.attachments] == [
        ("minima.txt", b"Ceiling 800 ft, visibility 2 mi\n"),
    ]
    assert "begin 644 minima.txt" in mail.text


def test_every_sample_gives_the_same_result_twice() -> None:
    for raw in samples().values():
        assert parse(raw) == parse(raw)


def test_line_ends_make_no_difference() -> None:
    for name, raw in samples().items():
        if b"\r\n" in raw and b"base64" not in raw and name != "16-nul-and-bare-cr":
            assert _without_bytes(parse(raw.replace(b"\r\n", b"\n"))) == _without_bytes(parse(raw)), name


def _without_bytes(mail: ParsedMail) -> tuple[object, ...]:
    html = mail.html.replace("\r\n", "\n") if mail.html else None
    return (mail.headers, mail.subject, mail.to, mail.text, html, [a.name for a in mail.attachments], mail.defects)


def test_every_defect_has_its_meaning() -> None:
    assert set(DEFECTS) == set(MEANINGS)


def _mail(headers: str, body: str = "x\n") -> ParsedMail:
    return parse(f"{headers}\n\n{body}".encode())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a@b.example", [("", "a@b.example")]),
        ("<a@b.example>", [("", "a@b.example")]),
        ("A B <a@b.example>", [("A B", "a@b.example")]),
        ('"B, A" <a@b.example>, c@d.example', [("B, A", "a@b.example"), ("", "c@d.example")]),
        ('"quo\\"ted" <a@b.example>', [('quo"ted', "a@b.example")]),
        ("a@b.example (A (nested) B)", [("A (nested) B", "a@b.example")]),
        ("<@relay.example:a@b.example>", [("", "a@b.example")]),
        ("<a@b.example", [("", "a@b.example")]),
        ("A <a@b.example> B <c@d.example>", [("A", "a@b.example"), ("B", "c@d.example")]),
        ("a@b.example; c@d.example", [("", "a@b.example"), ("", "c@d.example")]),
        ("undisclosed-recipients:;", []),
        ("A: a@b.example, <c@d.example>; e@f.example", [("", "a@b.example"), ("", "c@d.example"), ("", "e@f.example")]),
        ("a@[192.0.2.1]", [("", "a@[192.0.2.1]")]),
        ("[External] A <a@b.example>", [("[External] A", "a@b.example")]),
        ('"j d"@b.example', [("", '"j d"@b.example')]),
        ("postmaster", [("", "postmaster")]),
        ("=?utf-8?q?A=2C_B?= <a@b.example>", [("A, B", "a@b.example")]),
        ('"=?utf-8?q?=C3=84?=" <a@b.example>', [("Ä", "a@b.example")]),
        ("=?utf-8?q?boss=40x.example?= <a@b.example>", [("boss@x.example", "a@b.example")]),
        ("=?utf-8?b?PGJvc3NAeC5leGFtcGxlPg==?=", [("<boss@x.example>", "")]),
        ("", []),
        (",,;", []),
    ],
)
def test_address_lists_are_read_as_people_mean_them(value: str, expected: list[tuple[str, str]]) -> None:
    assert [(one.name, one.address) for one in _mail(f"To: {value}").to] == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        ("=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        ("=?utf-8?b?w6Q?=", "ä"),
        ("=?utf-8?q?=C3?= =?utf-8?q?=A4?=", "ä"),
        ("=?utf-8?q?two words?=", "two words"),
        ("=?utf-8*de?q?=C3=A4?=", "ä"),
        ("=?x-unknown?q?=C3=A4?=", "ä"),
        ("=?utf-8?q?unfinished", "=?utf-8?q?unfinished"),
        ("=?utf-8?q?line=0D=0ABcc:_a@b.example?=", "line Bcc: a@b.example"),
        ("=?iso-2022-jp?b?GyRCSEJBdxsoQg==?=", "搬送"),
        ("folded\n and\n\tagain", "folded and again"),
    ],
)
def test_encoded_words_are_read_as_programs_write_them(value: str, expected: str) -> None:
    assert _mail(f"Subject: {value}").subject == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Tue, 24 Nov 2026 08:14:51 +0000", datetime(2026, 11, 24, 8, 14, 51, tzinfo=UTC)),
        (
            "24 Nov 2026 08:14 -0530 (IST)",
            datetime(2026, 11, 24, 8, 14, tzinfo=timezone(-timedelta(hours=5, minutes=30))),
        ),
        ("Tue, 24 Nov 2026 08:14:51 EST", datetime(2026, 11, 24, 8, 14, 51, tzinfo=timezone(-timedelta(hours=5)))),
        ("Tue, 24 Nov 26 08:14:51 GMT", datetime(2026, 11, 24, 8, 14, 51, tzinfo=UTC)),
        ("Tue, 24 Nov 2026 08:14:60 GMT", datetime(2026, 11, 24, 8, 14, 59, tzinfo=UTC)),
        ("Tue, 24 Nov 2026 08:14:51", datetime(2026, 11, 24, 8, 14, 51, tzinfo=UTC)),
        ("yesterday", None),
        ("Tue, 99 Nov 2026 08:14:51 +0000", None),
        ("Tue, 24 Nov 99999 08:14:51 +0000", None),
        ("Tue, 24 Nov 2026 08:14:51 +9999", None),
    ],
)
def test_dates_are_read_or_named_invalid(value: str, expected: datetime | None) -> None:
    mail = _mail(f"Date: {value}")

    assert mail.date == expected
    assert ("date_invalid" in mail.defects) == (expected is None)


@pytest.mark.usefixtures("local_zone")
@pytest.mark.parametrize("zone", ["", " -0000", " GMT", " XYZ"])
def test_a_date_without_a_zone_is_utc_wherever_the_bridge_runs(zone: str) -> None:
    """Two workers in two places would tell two times of one mail."""
    assert _mail(f"Date: Fri, 24 Jul 2026 08:14:51{zone}").date == datetime(2026, 7, 24, 8, 14, 51, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('Content-Disposition: attachment; filename="a b.txt"', "a b.txt"),
        ("Content-Disposition: attachment; filename=a b.txt", "a b.txt"),
        ('Content-Disposition: attachment; filename="a;b.txt"; size=1', "a;b.txt"),
        ("Content-Disposition: attachment; filename*=utf-8''%C3%A4.txt", "ä.txt"),
        ("Content-Disposition: attachment; filename=x.txt; filename*=utf-8''%C3%A4.txt", "ä.txt"),
        ("Content-Disposition: attachment; filename*1*=%A4.txt; filename*0*=utf-8''%C3", "ä.txt"),
        ('Content-Disposition: attachment; filename="=?utf-8?q?=C3=A4=2Etxt?="', "ä.txt"),
        ("Content-Disposition: attachment; filename*0=a; filename*2=c", "ac"),
        ('Content-Disposition: attachment; filename="unfinished', "unfinished"),
        ("Content-Disposition: attachment", None),
        ('Content-Disposition: attachment; filename=""', None),
        ('Content-Disposition: attachment; filename="..\\\\..\\\\x"', "..\\..\\x"),
    ],
)
def test_file_names_are_read_in_every_form(header: str, name: str | None) -> None:
    (attachment,) = _mail(f"Content-Type: application/x-test\n{header}").attachments

    assert attachment.name == name


@pytest.mark.parametrize(
    ("charset", "body", "text"),
    [
        ("us-ascii", "ä".encode(), "ä"),
        ("iso-8859-1", b"\x93x\x94 \x80", "“x” €"),
        ("utf-8", b"\xff\xe4", "\ufffd\ufffd"),
        ("gb2312", "骼䶮".encode("gb18030"), "骼䶮"),
        ("undefined", b"\xe4", "ä"),
        ("utf-16", "\ufeffäö".encode("utf-16-le"), "äö"),
        ("unicode_escape", b"\\u00e4", "\\u00e4"),
        ('"utf-8"', "ä".encode(), "ä"),
    ],
)
def test_text_is_decoded_under_any_label(charset: str, body: bytes, text: str) -> None:
    raw = f"Content-Type: text/plain; charset={charset}\n\n".encode() + body

    assert parse(raw).text == text


def test_html_without_a_charset_follows_its_own_declaration() -> None:
    raw = b'Content-Type: text/html\n\n<meta charset="koi8-r"><p>\xc1'

    assert parse(raw).text == "а"  # noqa: RUF001 - Cyrillic


@pytest.mark.parametrize(
    ("encoded", "content", "defects"),
    [
        ("YWJj", b"abc", ()),
        ("YW\nJj\n", b"abc", ()),
        ("YWI", b"ab", ()),
        ("YWJjZ", b"abc", ("base64_broken",)),
        ("YW!Jj", b"abc", ("base64_broken",)),
        ("YQ==\nYg==\n", b"ab", ()),
        ("YWI=\n-- \na mailing list\n", b"ab", ("base64_trailing_data",)),
    ],
)
def test_base64_is_decoded_as_far_as_it_goes(encoded: str, content: bytes, defects: tuple[str, ...]) -> None:
    mail = _mail("Content-Type: image/png\nContent-Transfer-Encoding: base64", encoded)

    assert mail.attachments[0].content == content
    assert mail.defects == defects


def test_a_body_that_lost_its_empty_line_is_still_text() -> None:
    mail = parse(b"Subject: x\nFrom: a@b.example\nHelicopter needed at once.\nSecond line.\n")

    assert mail.text == "Helicopter needed at once.\nSecond line.\n"
    assert mail.defects == ("header_body_separator_missing",)


def test_a_broken_line_does_not_end_the_header() -> None:
    mail = parse(b"Subject: x\ngarbage here\nTo: a@b.example\n\nbody\n")

    assert mail.to == (Address("", "a@b.example"),)
    assert mail.text == "body\n"
    assert mail.defects == ("header_malformed",)


def test_a_multipart_without_its_boundary_shows_its_body() -> None:
    mail = _mail("Content-Type: multipart/mixed", "needed at once\n")

    assert mail.text == "needed at once\n"
    assert "multipart_without_boundary" in mail.defects


def test_a_missing_boundary_is_taken_from_the_body() -> None:
    mail = _mail("Content-Type: multipart/mixed", "--x\nContent-Type: text/plain\n\nneeded at once\n--x--\n")

    assert mail.text == "needed at once"
    assert "multipart_boundary_guessed" in mail.defects


def test_an_outer_boundary_ends_inner_parts() -> None:
    mail = _mail(
        "Content-Type: multipart/mixed; boundary=out",
        "--out\nContent-Type: multipart/mixed; boundary=in\n\n--in\n\nfirst\n--out\n\nsecond\n--out--\n",
    )

    assert mail.text == "first\nsecond"
    assert mail.defects == ("multipart_unclosed",)


def test_a_blank_plain_part_does_not_hide_the_html() -> None:
    mail = _mail(
        "Content-Type: multipart/alternative; boundary=x",
        "--x\nContent-Type: text/plain\n\n \n--x\nContent-Type: text/html\n\n<p>needed</p>\n--x--\n",
    )

    assert mail.text == "needed"


def test_what_exceeds_a_limit_is_carried_and_named() -> None:
    parts = "".join(f"--x\nContent-Type: image/png\n\npart {number}\n" for number in range(9))
    raw = f"Content-Type: multipart/mixed; boundary=x\n\n{parts}--x--\n".encode()

    mail = parse(raw, limits=Limits(parts=4))

    assert mail.defects == ("part_limit",)
    assert b"".join(a.content for a in mail.attachments).count(b"part ") == 9


def test_a_multipart_that_lies_too_deep_is_an_attachment() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=b\n\n"
        b"--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\ndeep\n--c--\n--b--\n--a--\n"
    )

    mail = parse(raw, limits=Limits(nesting=2))

    assert mail.defects == ("nesting_limit",)
    assert [(a.content_type, a.content) for a in mail.attachments] == [("multipart/mixed", b"--c\n\ndeep\n--c--")]


def test_a_field_that_is_too_long_is_listed_as_it_came() -> None:
    word = "=?utf-8?q?x?= " * 10

    mail = parse(f"Subject: {word}\n\n".encode(), limits=Limits(header_bytes=50))

    assert mail.headers[0].value == word.strip()
    assert mail.defects == ("header_too_long",)


def test_a_field_is_too_long_from_one_byte_beyond_the_limit_on() -> None:
    value = " =?utf-8?q?x?= " + "y" * 40
    raw = f"Subject:{value}\n\n".encode()

    fits = parse(raw, limits=Limits(header_bytes=len(value)))
    too_long = parse(raw, limits=Limits(header_bytes=len(value) - 1))

    assert (fits.headers[0].value, fits.subject, fits.defects) == (f"x {'y' * 40}", f"x {'y' * 40}", ())
    assert (too_long.headers[0].value, too_long.subject) == (value.strip(), "")
    assert too_long.defects == ("header_too_long",)


def test_more_fields_than_are_read_do_not_hide_the_body() -> None:
    raw = b"Subject: x\n" + b"X-A: b\n" * 50 + b"\nbody\n"

    mail = parse(raw, limits=Limits(headers=10))

    assert (len(mail.headers), mail.text, mail.defects) == (10, "body\n", ("header_limit",))


def test_kinds_of_the_samples() -> None:
    special = {
        "08-out-of-office": "auto_reply",
        "09-bounce-delivery-status": "bounce",
        "10-read-receipt": "receipt",
        "11-meeting-request": "meeting",
        "13-smime-opaque": "protected",
        "23-plain-bounce": "bounce",
    }

    for name, raw in samples().items():
        assert kind_of(parse(raw).kind_inputs) == special.get(name, "mail"), name
