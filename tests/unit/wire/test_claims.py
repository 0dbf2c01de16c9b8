"""What goes to the blob store, and what the payload then says: nothing is lost, doubled or cut between the two."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime

import pytest

from bridge.domain.blobs import is_own
from bridge.domain.mail import FetchedMail, MailProperties, MailRef, UnconvertibleMail
from bridge.wire import inbound_v1
from bridge.wire.claims import ClaimRules
from bridge.wire.inbound_messages import Composed, composed, composed_unread

STORE = "file:///var/lib/blobs"
RULES = ClaimRules(STORE, above_bytes=1_000, largest_body_bytes=100_000)


def a_mail(*attachments: bytes, text: bytes = b"now") -> FetchedMail:
    parts = b"".join(
        b"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(one)
        + b"\r\n"
        for one in attachments
    )
    head = b"Subject: Request\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
    mime = head + text + b"\r\n" + parts + b"--b--\r\n"
    at = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
    return FetchedMail(MailRef("f" * 40, "item", at, len(mime), "IPM.Note"), mime)


def made(mail: FetchedMail, rules: ClaimRules | None = RULES) -> tuple[Composed, inbound_v1.InboundMail]:
    found = composed(mail, "dispatch", seconds=10, rules=rules)
    return found, inbound_v1.from_json(found.messages[-1].body)


def contents(found: Composed) -> dict[str, bytes]:
    """Return what goes to the store, by its url, each as its reference says."""
    stored = {}
    for blob in found.blobs:
        assert isinstance(blob.content, bytes)
        assert is_own(blob.ref.key)
        assert blob.ref.key.endswith(hashlib.sha256(blob.content).hexdigest())
        assert (blob.ref.size, blob.ref.sha256) == (len(blob.content), hashlib.sha256(blob.content).hexdigest())
        stored[f"{STORE}/{blob.ref.key}"] = blob.content
    return stored


def test_a_small_mail_is_carried_whole() -> None:
    mail = a_mail(b"x" * 100)

    found, payload = made(mail)

    assert found.blobs == ()
    assert payload.raw is not None
    assert payload.raw.data() == mail.mime
    assert payload.attachments[0].data() == b"x" * 100
    assert found == composed(mail, "dispatch", seconds=10)


@pytest.mark.parametrize(("size", "stored"), [(1_000, False), (1_001, True)])
def test_an_attachment_above_the_size_is_a_blob_and_one_at_it_is_not(size: int, *, stored: bool) -> None:
    found, payload = made(a_mail(b"a" * size, b"small"))

    large, small = payload.attachments
    assert (large.blob is not None, large.content is None) == (stored, stored)
    assert small.data() == b"small"
    assert large.size == size
    if large.blob is not None:
        assert contents(found)[large.blob.url] == b"a" * size
        assert (large.blob.size, large.blob.sha256) == (large.size, large.sha256)


def test_the_raw_mail_above_the_size_is_a_blob() -> None:
    mail = a_mail(b"a" * 2_000)

    found, payload = made(mail)

    assert payload.raw is not None
    assert payload.raw.blob is not None
    assert payload.raw.content is None
    assert contents(found)[payload.raw.blob.url] == mail.mime
    assert (payload.raw.size, payload.raw.sha256) == (len(mail.mime), hashlib.sha256(mail.mime).hexdigest())


def test_the_same_attachment_twice_is_one_blob_of_the_mail() -> None:
    found, payload = made(a_mail(b"a" * 2_000, b"a" * 2_000))

    assert len(found.blobs) == 2
    assert payload.attachments[0].blob == payload.attachments[1].blob


def test_the_keys_of_a_mail_are_the_same_each_time() -> None:
    assert made(a_mail(b"a" * 2_000))[0].blobs == made(a_mail(b"a" * 2_000))[0].blobs


def test_no_two_mails_share_a_blob() -> None:
    one, other = a_mail(b"a" * 2_000), a_mail(b"a" * 2_000)
    other = FetchedMail(MailRef("e" * 40, "item", other.ref.received_at, 1, "IPM.Note"), other.mime)

    assert not {b.ref.key for b in made(one)[0].blobs} & {b.ref.key for b in made(other)[0].blobs}


def test_small_attachments_that_are_too_much_together_are_all_blobs() -> None:
    many = [str(number).encode() * 300 for number in range(200)]

    found, payload = made(a_mail(*many))

    assert len(found.messages[-1].body) > 50_000
    assert all(one.blob is not None and one.content is None for one in payload.attachments)
    stored = contents(found)
    assert [stored[one.blob.url] for one in payload.attachments if one.blob is not None] == many


@pytest.mark.parametrize("largest", [100_000, 2_000])
def test_every_body_is_one_that_the_broker_carries(largest: int) -> None:
    rules = ClaimRules(STORE, 1_000, largest)
    for mail in (
        a_mail(text=b"t" * 200_000),
        a_mail(*[b"x" * 100] * 900),
        a_mail(b"y" * 300_000, text=b"\x01" * 40_000),
    ):
        found, payload = made(mail, rules)

        assert len(found.messages[-1].body) <= largest
        assert payload.raw is not None
        assert payload.raw.blob is not None
        assert contents(found)[payload.raw.blob.url] == mail.mime


def test_ten_thousand_attachments_are_carried_and_none_of_them_is_lost() -> None:
    """Those beyond the parser's limit are one attachment together; the raw mail has them all."""
    rules = ClaimRules(STORE, 1 << 20, 16 * 1024 * 1024)
    mail = a_mail(*[f"attachment {number}".encode() * 100 for number in range(10_000)])

    found, payload = made(mail, rules)

    assert "part_limit" in payload.defects
    assert len(found.messages[-1].body) <= rules.largest_body_bytes
    assert payload.raw is not None
    assert payload.raw.blob is not None
    assert contents(found)[payload.raw.blob.url] == mail.mime
    rest = payload.attachments[-1]
    assert rest.blob is not None
    assert contents(found)[rest.blob.url].endswith(b"--b--\r\n")


def test_a_mail_whose_text_alone_is_too_large_says_so_and_has_its_bytes() -> None:
    mail = a_mail(text=b"t" * 200_000)

    found, payload = made(mail)

    assert payload.defects == ("payload_limit",)
    assert found.unread == "payload_limit"
    assert list(contents(found).values()) == [mail.mime]


def test_a_mail_that_cannot_be_read_has_its_bytes_in_the_store_and_nothing_else_there() -> None:
    mail = a_mail(b"a" * 2_000)

    found = composed_unread(mail, "dispatch", "parser_failed", RULES)

    assert list(contents(found).values()) == [mail.mime]
    assert found.unread == "parser_failed"


def test_a_mail_of_properties_alone_has_nothing_for_the_store() -> None:
    mail = UnconvertibleMail(a_mail().ref, MailProperties(text="t" * 5_000), "ErrorItemCorrupt")

    assert composed(mail, "dispatch", seconds=10, rules=RULES).blobs == ()
