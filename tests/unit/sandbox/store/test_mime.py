"""What the store reads out of mails, ordinary and hostile, and the MIME that it makes itself."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from bridge.sandbox.store import Store, items
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.compose import compose, with_headers, without_bcc
from bridge.sandbox.store.mime import Attachment, attachments, bag_of, bodies, split_addresses, text_from_html
from bridge.sandbox.store.structure import parse
from tests.support.hostile_mail import STRUCTURES, mails

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize("name", list(STRUCTURES))
def test_hostile_mail_is_stored_in_time_proportional_to_its_size(name: str) -> None:
    """200 KB of each structure; the limit is far above what any takes, and far below what squares of it would take."""
    mime = STRUCTURES[name](200_000)

    started = time.process_time()
    bag = bag_of(mime, NOW)
    bodies(mime)
    attachments(mime)
    spent = time.process_time() - started

    assert spent < 3, f"{spent:.1f} s"
    items.dumps(bag).encode()


def test_mutated_mails_are_stored_and_given_back(tmp_path: Path) -> None:
    """Nothing is refused for its content."""
    store = Store(tmp_path / "store.db")
    store.add_mailbox("a@example.org")
    templates = [_RICH]

    for mail in mails(5, len(STRUCTURES) + 300, 2_000, templates):
        stored = store.deliver("a@example.org", mail.raw)
        assert store.mime("a@example.org", stored.item_id) == mail.raw, mail.name


_RICH = (
    b"From: A <a@example.net>\r\nTo: b@example.org\r\nSubject: =?iso-8859-1?q?=E4?= x\r\n"
    b"Date: Tue, 24 Nov 2026 09:00:00 +0100\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\npreamble\r\n"
    b"--o\r\nContent-Type: multipart/related; boundary=i\r\n\r\n"
    b"--i\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<b>\xc3\xa4</b>\r\n"
    b"--i\r\nContent-Type: image/png\r\nContent-ID: <c1>\r\nContent-Transfer-Encoding: base64\r\n\r\niVBO\r\nRw0K\r\n"
    b"--i--\r\n--o\r\nContent-Type: text/csv; name=\"a b.csv\"\r\n\r\n1;2\r\n"
    b"--o\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner\r\n--o--\r\nepilogue\r\n"
)  # fmt: skip


def test_parts_bodies_and_attachments_are_found() -> None:
    """As the standard library finds them."""
    mail = message_from_bytes(_RICH, policy=policy.default)

    found = attachments(_RICH)

    assert [part.content_type for part in parse(_RICH).walk()] == [
        part.get_content_type() for part in mail.walk() if part["Subject"] != "inner"
    ]
    assert bodies(_RICH) == (None, "<b>ä</b>")
    assert [(one.name, one.inline, one.content) for one in found] == [
        ("ATT00001", True, b"\x89PN\x47\x0d\x0a"),
        ("a b.csv", False, b"1;2"),
        ("ATT00003.eml", False, b"Subject: inner\r\n\r\ninner"),
    ]
    assert bag_of(_RICH, NOW)[p.SUBJECT] == "ä x"
    assert bag_of(_RICH, NOW)[p.CLIENT_SUBMIT_TIME] == p.to_micros(NOW)


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("a@b", [("", "a@b")]),
        ("A <a@b>, c@d", [("A", "a@b"), ("", "c@d")]),
        ('"X, Y" <a@b>; c@d', [("X, Y", "a@b"), ("", "c@d")]),
        ("a@b (Anna)", [("Anna", "a@b")]),
        ("team: a@b, c@d;", [("", "a@b"), ("", "c@d")]),
        ("undisclosed-recipients:;", []),
        ('"a\\"b" <a@b>', [('a"b', "a@b")]),
        ("<a@b", [("", "a@b")]),
        ("", []),
    ],
)
def test_address_lists_are_split(text: str, pairs: list[tuple[str, str]]) -> None:
    """Names, comments, quotes and groups."""
    assert list(split_addresses(text)) == pairs


def test_composed_mail_says_what_its_properties_say() -> None:
    """The standard library reads it back without a defect."""
    bag: p.Bag = {
        p.SUBJECT: "Überführung " * 30,
        p.SENT_REPRESENTING_NAME: 'Dispatch "one", Ärzte',
        p.SENT_REPRESENTING_ADDRESS: "dispatch@example.org",
        p.RECIPIENTS_TO: [[f"Name {number}", f"n{number}@example.org"] for number in range(200)],
        p.BODY_TEXT: "Zeile ä\r\n.\r\nFrom x\r\n" + "lang " * 500,
        p.BODY_HTML: "<p>ä</p>",
        p.INTERNET_MESSAGE_ID: "<1@example.org>",
        p.CLIENT_SUBMIT_TIME: p.to_micros(NOW),
        p.SEARCH_KEY: "k",
    }
    files = [
        Attachment("Plan ä.pdf", "application/pdf", "", inline=False, content=bytes(range(256))),
        Attachment("i.png", "image/png", "c1", inline=True, content=b"png"),
        Attachment('q"\r\nBcc: x.txt', "bad type\r\nX: y", "", inline=False, content=b"t"),
        Attachment("m.eml", "message/rfc822", "", inline=False, content=b"Subject: inner\r\n\r\n"),
    ]

    mime = compose(bag, files)
    mail = message_from_bytes(mime, policy=policy.default)

    assert mime == compose(bag, files)
    assert all(not part.defects for part in mail.walk())
    assert max(map(len, mime.split(b"\r\n"))) <= 998
    assert mail["Subject"].strip() == ("Überführung " * 30).strip()
    assert mail["From"].addresses[0].display_name == 'Dispatch "one", Ärzte'
    assert len(mail["To"].addresses) == 200
    assert mail["Bcc"] is None
    assert mail["X"] is None
    text = mail.get_body(("plain",))
    assert text is not None
    assert text.get_content().splitlines() == ["Zeile ä", ".", "From x", "lang " * 500]
    contents = {part.get_filename(): part.get_payload(decode=True) for part in mail.walk() if part.get_filename()}
    assert contents["Plan ä.pdf"] == bytes(range(256))
    (inner,) = [part for part in mail.walk() if part.get_filename() == "m.eml"]
    assert "message/rfc822" in str(inner["Content-Type"])
    assert [one.content for one in attachments(mime) if one.name == "m.eml"] == [b"Subject: inner\r\n\r\n"]
    assert len(contents) == 4


@pytest.mark.parametrize(
    ("mime", "left"),
    [
        (b"To: a\r\nBcc: b,\r\n c\r\nSubject: x\r\n\r\nBcc: stays\r\n", b"To: a\r\nSubject: x\r\n\r\nBcc: stays\r\n"),
        (b"To: a\nbcc : b\n\nbody", b"To: a\n\nbody"),
        (b"To: a\r\nBCC: b\r\nBcc: c\r\n\r\n", b"To: a\r\n\r\n"),
        (b"To: a\r\n\r\nBcc: b\r\n", b"To: a\r\n\r\nBcc: b\r\n"),
        (b"Bcc-Not: a\r\nX: Bcc: b\r\n\r\n", b"Bcc-Not: a\r\nX: Bcc: b\r\n\r\n"),
    ],
)
def test_bcc_is_taken_out_and_nothing_else(mime: bytes, left: bytes) -> None:
    """Of the mail's own headers alone."""
    assert without_bcc(mime) == left


def test_headers_come_before_the_mails_own_with_its_line_ends() -> None:
    """And what is added is one line, whatever is in it."""
    assert with_headers(b"A: b\n\n", [("X", "y\r\nBcc: z")]) == b"X: y Bcc: z\nA: b\n\n"
    assert with_headers(b"A: b\r\n\r\n", [("X", "ä")]).startswith(b"X: =?utf-8?")
    assert with_headers(b"A: b\n\n", []) == b"A: b\n\n"


def test_html_becomes_text() -> None:
    """Without what is not shown."""
    html = "<html><head><title>t</title></head><style>b{}</style><p>a &amp; b</p><!-- no --><script>x</script>end"

    assert text_from_html(html).split() == ["a", "&", "b", "end"]


@pytest.mark.parametrize(
    ("entity", "shown"),
    [
        ("&#" + "9" * 166_000 + ";", "\ufffd"),
        ("&#" + "9" * 5000, "\ufffd"),
        ("&#x" + "f" * 166_000 + ";", "\ufffd"),
        ("&#" + "0" * 166_000 + "65;", "A"),
        ("&#" + "0" * 166_000 + ";", "\ufffd"),
        ("&#1114111;", ""),
        ("&#65;", "A"),
    ],
)
def test_a_number_of_any_length_is_a_character_of_html_or_none(entity: str, shown: str) -> None:
    """Python converts no number of more than 4,300 digits, and a mail must be kept all the same."""
    assert text_from_html(f"<p>a{entity}b</p>") == f"a{shown}b"
