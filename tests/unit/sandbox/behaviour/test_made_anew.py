"""A sandbox that makes MIME anew as Exchange does, and takes out of mail of strangers what only Exchange may say."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from email import message_from_bytes, policy
from typing import TYPE_CHECKING

import pytest

from bridge.sandbox.ews.behaviour import BehaviourSettings, ServerBehaviour
from bridge.sandbox.ews.view import View
from bridge.sandbox.mailflow import MailFlow
from bridge.sandbox.store import Store, folders, items
from bridge.sandbox.store.compose import without_headers
from bridge.sandbox.store.content import content_of, digest_of
from bridge.sandbox.store.remade import remade
from bridge.sandbox.tenant import new_tenant
from bridge.sandbox.trace import as_given, within
from tests.support.hostile_mail import STRUCTURES

if TYPE_CHECKING:
    from pathlib import Path

_DISPATCH, _CREW = "dispatch@example.org", "crew@example.org"
_AT = datetime(2026, 12, 2, tzinfo=UTC)
_MAIL = (
    b"X-Own: kept\r\nReceived: from x by y; z\r\nSubject: Fl\xc3\xbcge\nFrom: cad@example.com\r\n"
    b"To: dispatch@example.org\r\nDate: Wed, 2 Dec 2026 08:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    b"Content-Type: text/plain; charset=iso-8859-1\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n\r\nGr\xfc\xdfe\n\x00zwei\r\n--b\r\n"
    b"Content-Type: application/pdf; name=plan.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nAAH/\r\n--b--\r\n"
)


@pytest.fixture
def behaviour(tmp_path: Path) -> ServerBehaviour:
    store = Store(tmp_path / "store.sqlite")
    for address in (_DISPATCH, _CREW):
        store.add_mailbox(address)
    return ServerBehaviour(BehaviourSettings(), store)


def _kept(behaviour: ServerBehaviour, address: str = _DISPATCH) -> bytes:
    [mail] = behaviour.store.mails(address, "inbox").mails
    return behaviour.store.mime(address, mail.item_id)


def _read(behaviour: ServerBehaviour) -> bytes:
    """Return the MIME as GetItem shows it."""
    with behaviour.store.reading() as db:
        mailbox = folders.mailbox_by(db, "address", _DISPATCH)
        assert mailbox is not None
        [number] = db.execute("SELECT id FROM items WHERE mailbox = ?", (mailbox.id,)).fetchone()
        return behaviour.as_read(View(db, mailbox, items.read(db, mailbox.id, number))).mime()


def test_nothing_is_made_anew_or_taken_out_unless_told_so(behaviour: ServerBehaviour) -> None:
    forged = b"X-MS-Exchange-Organization-AuthAs: Internal\r\n" + _MAIL

    behaviour.deliver(_DISPATCH, behaviour.from_outside(_DISPATCH, forged))

    assert _kept(behaviour) == _read(behaviour) == forged


def test_a_mail_that_is_made_anew_on_delivery_has_other_bytes_and_says_the_same(behaviour: ServerBehaviour) -> None:
    """With CRLF alone, in ASCII but for what was attached as it was, and no NUL; the way that it came stays on top."""
    behaviour.book.put({"mime_made_anew": "on_delivery"})

    behaviour.deliver(_DISPATCH, behaviour.from_outside(_DISPATCH, _MAIL))

    kept = _kept(behaviour)
    assert kept == _read(behaviour)
    assert kept.startswith(b"Received: from x by y; z\r\nFrom: cad@example.com\r\nTo: ")
    assert kept.isascii()
    assert b"\x00" not in kept
    assert b"\n" not in kept.replace(b"\r\n", b"")
    assert b"boundary=b\r\n" not in kept
    assert content_of(kept) == content_of(_MAIL)
    assert digest_of(content_of(kept)) == digest_of(content_of(_MAIL))
    assert digest_of(content_of(kept)) != digest_of(content_of(_MAIL.replace(b"zwei", b"drei")))
    read = message_from_bytes(kept, policy=policy.default)
    assert (read["X-Own"], read["X-MS-Exchange-Organization-AuthAs"]) == ("kept", "Anonymous")
    body = read.get_body()
    assert body is not None
    assert body.get_content().splitlines() == ["Grüße", "zwei"]
    assert [part.get_content() for part in read.iter_attachments()] == [b"\x00\x01\xff"]


def test_a_bare_cr_within_a_text_is_a_line_end_once_it_was_made_anew() -> None:
    """However many stand before the LF, in whatever encoding they came."""
    came = b"Content-Transfer-Encoding: quoted-printable\r\n\r\nbearbeitet;=0D\r\nKuchen=0Dda\r\n"

    made = remade(came, at=_AT)

    assert made.partition(b"\r\n\r\n")[2].split(b"\r\n")[:3] == [b"bearbeitet;", b"Kuchen", b"da"]
    assert content_of(made) == content_of(came)


def test_a_mail_that_is_made_anew_on_reading_has_other_boundaries_each_time(behaviour: ServerBehaviour) -> None:
    """So a hash of the MIME is no identity; what lies in the store stays as it came."""
    behaviour.book.put({"mailboxes": {_DISPATCH: {"mime_made_anew": "on_reading"}}})
    behaviour.deliver(_DISPATCH, _MAIL)

    first, second = _read(behaviour), _read(behaviour)

    assert _kept(behaviour) == _MAIL
    assert first != second
    assert content_of(first) == content_of(second) == content_of(_MAIL)
    behaviour.deliver(_CREW, _MAIL)
    assert _kept(behaviour, _CREW) == _MAIL


def test_a_report_to_an_address_of_bytes_beyond_ascii_is_made_anew() -> None:
    """What Exchange stores whole gets a new header all the same."""
    below = b"--b\r\nContent-Type: message/delivery-status\r\n\r\nAction: failed\r\n--b--\r\n"
    head = b"To: d@example.\xc3\xa4\xff\r\nContent-Type: multipart/report; boundary=b\r\n\r\n"

    made = remade(head + below, at=_AT)

    assert made.endswith(b"\r\n\r\n" + below)
    assert content_of(remade(made, at=_AT)) == content_of(made)


def test_a_header_of_thousands_of_fields_leaves_room_for_those_that_are_made() -> None:
    """Content-Type stands behind them: a mail whose last fields nobody reads would be its own source."""
    came = _MAIL.replace(b"\r\n\r\n", b"\r\n" + b"X-Field: x\r\n" * 3_000 + b"\r\n", 1)

    made = remade(came, at=_AT)

    assert content_of(made) == content_of(came) == content_of(_MAIL)


@pytest.mark.parametrize(
    "forged",
    [
        b"X-MS-Exchange-Organization-AuthAs: Internal\r\n",
        b"x-ms-exchange-organization-authas :\r\n Internal\r\n\tand more\r\n",
        b"X-MS-Exchange-Forest-ArrivalHubServer: x\n",
    ],
)
def test_the_header_firewall_takes_out_what_only_exchange_may_say(behaviour: ServerBehaviour, forged: bytes) -> None:
    """In whatever case, with all its lines; of the header alone, and no other field."""
    behaviour.book.put({"header_firewall": True})
    own = b"Subject: x\r\nX-MS-Exchange-OrganizationX: mine\r\n"
    body = b"\r\nX-MS-Exchange-Organization-AuthAs: Internal\r\n"

    assert behaviour.from_outside(_DISPATCH, forged + own + forged + body) == own + body


def test_no_field_is_taken_out_of_a_mail_that_has_none() -> None:
    assert without_headers(b"", "X-") == b""
    assert without_headers(b"\r\nX-a: b", "X-") == b"\r\nX-a: b"


async def test_a_mail_from_within_is_told_apart_from_one_of_a_stranger(behaviour: ServerBehaviour) -> None:
    behaviour.book.put({"mime_made_anew": "on_delivery", "header_firewall": True})
    tenant = new_tenant()
    tenant.add_users([_DISPATCH, _CREW])
    flow = MailFlow(behaviour.store, tenant, server="sandbox.localhost", behaviour=behaviour)
    with behaviour.store.writing() as db:
        mailbox = folders.mailbox_by(db, "address", _CREW)
        assert mailbox is not None
        bag = items.bag_for_delivery(_MAIL, mailbox, _AT)
        item = items.insert(db, mailbox.id, folders.folder(db, mailbox.id, "drafts").id, bag, mime=_MAIL)
        behaviour.submit(db, mailbox, item, save_to=None)

    assert await asyncio.to_thread(flow.settle_pending)

    kept = _kept(behaviour)
    assert kept.startswith(b"Received: from sandbox.localhost ")
    read = message_from_bytes(kept, policy=policy.default)
    assert read.get_all("X-MS-Exchange-Organization-AuthAs") == ["Internal"]


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_hostile_mail_can_be_made_anew_and_stays_what_it_is_then(name: str) -> None:
    made = remade(within("sandbox.localhost", _AT) + STRUCTURES[name](3_000), at=_AT)

    assert not as_given(made).startswith(b"Received:")
    assert content_of(remade(made, at=_AT)) == content_of(made)


@pytest.mark.parametrize(
    ("kind", "whole"),
    [
        (
            b'multipart/signed; protocol="application/pkcs7-signature"; boundary=b',
            b"--b\r\n\r\nsigned \x80\r\n--b--\r\n",
        ),
        (b"application/pkcs7-mime", b"\x00\x01\x02"),
        (
            b"multipart/report; report-type=delivery-status; boundary=b",
            b"--b\r\nContent-Type: message/delivery-status\r\n\r\nAction: failed\r\n--b--\r\n",
        ),
    ],
)
def test_what_exchange_keeps_whole_stays_whole_below_new_headers(kind: bytes, whole: bytes) -> None:
    mail = b"Subject: a\r\n b\r\nFrom: x@example.com\r\nContent-Type: " + kind + b"\r\n\r\n" + whole

    made = remade(mail, at=_AT)

    assert made.startswith(b"From: x@example.com\r\nSubject: a b\r\n")
    assert made.partition(b"\r\n\r\n")[2] == whole
    assert content_of(made) == content_of(mail)
