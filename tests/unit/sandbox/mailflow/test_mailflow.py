"""Where an accepted mail goes."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from datetime import UTC, datetime
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

import pytest

from bridge.sandbox.mailflow import MailFlow
from bridge.sandbox.store import Store, folders, items, properties, sends
from bridge.sandbox.tenant import Tenant, new_tenant
from tests.support.sandbox import as_given

if TYPE_CHECKING:
    from pathlib import Path

_DISPATCH, _CREW = "dispatch@example.org", "crew@example.org"


@pytest.fixture
def tenant() -> Tenant:
    tenant = new_tenant()
    tenant.add_users([_DISPATCH, _CREW])
    return tenant


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store.sqlite")
    for address in (_DISPATCH, _CREW):
        store.add_mailbox(address)
    return store


def _mime(*, to: str, subject: str = "Transfer", extra: str = "") -> bytes:
    return f"From: {_DISPATCH}\r\nTo: {to}\r\nSubject: {subject}\r\n{extra}\r\nBody.\r\n".encode()


def _submit(store: Store, mime: bytes) -> sends.SubmittedMail:
    with store.writing() as db:
        mailbox = folders.mailbox_by(db, "address", _DISPATCH)
        assert mailbox is not None
        bag = items.bag_for_delivery(mime, mailbox, datetime.now(UTC))
        item = items.insert(db, mailbox.id, folders.folder(db, mailbox.id, "drafts").id, bag, mime=mime)
        return sends.submit(db, mailbox, item, save_to=folders.folder(db, mailbox.id, "sentitems").id)


def _mimes(store: Store, address: str, folder: str = "inbox") -> list[bytes]:
    return [store.mime(address, mail.item_id) for mail in store.mails(address, folder).mails]


async def _flow(store: Store, tenant: Tenant) -> MailFlow:
    return MailFlow(store, tenant, server="sandbox.localhost")


async def test_a_mail_for_a_mailbox_of_ours_arrives_once_and_its_copy_is_in_sent_items(
    store: Store, tenant: Tenant
) -> None:
    submitted = _submit(store, _mime(to=_CREW))
    assert len(_mimes(store, _DISPATCH, "outbox")) == 1
    flow = await _flow(store, tenant)

    assert flow.settle_pending()
    assert flow.settle_pending()

    [arrived] = _mimes(store, _CREW)
    assert arrived.startswith(b"Received: from sandbox.localhost (127.0.0.1)\r\n by sandbox.localhost ")
    assert as_given(arrived) == submitted.mime
    assert b"Received:" not in _mimes(store, _DISPATCH, "sentitems")[0]
    assert (len(_mimes(store, _DISPATCH, "outbox")), len(_mimes(store, _DISPATCH, "sentitems"))) == (0, 1)
    assert len(store.sends()) == 1


async def test_a_mail_without_a_message_id_gets_one(store: Store, tenant: Tenant) -> None:
    submitted = _submit(store, _mime(to=_CREW))
    (await _flow(store, tenant)).settle_pending()

    (arrived,) = _mimes(store, _CREW)
    assert message_from_bytes(arrived)["Message-ID"] == submitted.internet_message_id != ""


async def test_hidden_recipients_get_the_mail_and_nobody_sees_them(store: Store, tenant: Tenant) -> None:
    _submit(store, _mime(to="away@elsewhere.example", extra=f"Bcc: {_CREW}\r\n"))
    (await _flow(store, tenant)).settle_pending()

    (arrived,) = _mimes(store, _CREW)
    assert b"Bcc" not in arrived
    assert b"Bcc" in _mimes(store, _DISPATCH, "sentitems")[0]
    assert set(store.sends()[0].recipients) == {"away@elsewhere.example", _CREW}


async def test_a_mail_to_the_outside_is_recorded_and_goes_nowhere(store: Store, tenant: Tenant) -> None:
    _submit(store, _mime(to="away@elsewhere.example"))
    (await _flow(store, tenant)).settle_pending()

    assert [send.recipients for send in store.sends()] == [("away@elsewhere.example",)]
    assert _mimes(store, _DISPATCH) == []


async def test_a_recipient_that_does_not_exist_makes_a_bounce(store: Store, tenant: Tenant) -> None:
    submitted = _submit(store, _mime(to=f"nobody@example.org, {_CREW}", subject="Überführung"))
    (await _flow(store, tenant)).settle_pending()

    assert len(_mimes(store, _CREW)) == 1
    (mail,) = store.mails(_DISPATCH, "inbox").mails
    assert mail.item_class == "REPORT.IPM.Note.NDR"
    report: Any = message_from_bytes(store.mime(_DISPATCH, mail.item_id), policy=policy.default)
    assert (report.get_content_type(), report.get_param("report-type")) == ("multipart/report", "delivery-status")
    assert report["Subject"] == "Undeliverable: Überführung"
    assert report["In-Reply-To"] == submitted.internet_message_id
    assert report["Auto-Submitted"] == "auto-replied"
    explanation, status, original = report.iter_parts()
    assert explanation.get_content_type() == "multipart/alternative"
    per_message, per_recipient = status.get_payload()
    assert per_message["Reporting-MTA"] == "dns;sandbox.localhost"
    assert per_recipient["Final-Recipient"] == "rfc822;nobody@example.org"
    assert (per_recipient["Action"], per_recipient["Status"]) == ("failed", "5.1.10")
    assert per_recipient["Diagnostic-Code"].startswith("smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound")
    assert original.get_content_type() == "message/rfc822"
    assert original.get_payload(0)["Message-ID"] == submitted.internet_message_id
    assert len(store.sends()) == 1


async def test_a_bounce_points_to_the_mail_that_came_back(store: Store, tenant: Tenant) -> None:
    _submit(store, _mime(to="nobody@example.org"))
    (await _flow(store, tenant)).settle_pending()

    with store.reading() as db:
        keys = dict(db.execute("SELECT f.distinguished, i.props FROM items AS i JOIN folders AS f ON f.id = i.folder"))
    bounce, copy = (json.loads(keys[name]) for name in ("inbox", "sentitems"))
    assert bounce[properties.PARENT_KEY] == copy[properties.SEARCH_KEY]
    assert bounce[properties.SEARCH_KEY] != copy[properties.SEARCH_KEY]


async def test_one_bounce_tells_of_all_that_do_not_exist(store: Store, tenant: Tenant) -> None:
    _submit(store, _mime(to="one@example.org, two@example.org"))
    (await _flow(store, tenant)).settle_pending()

    (bounced,) = map(as_given, _mimes(store, _DISPATCH))
    assert bounced.count(b"Final-Recipient:") == 2


async def test_a_bounce_of_a_large_mail_returns_its_headers_only(store: Store, tenant: Tenant) -> None:
    _submit(store, _mime(to="nobody@example.org") + b"x" * 2_000_000)
    (await _flow(store, tenant)).settle_pending()

    (bounced,) = map(as_given, _mimes(store, _DISPATCH))
    assert len(bounced) < 10_000
    assert b"Content-Type: text/rfc822-headers" in bounced


async def test_a_new_flow_takes_up_what_an_earlier_one_left(store: Store, tenant: Tenant) -> None:
    _submit(store, _mime(to=_CREW))
    flow = await _flow(store, tenant)
    running = asyncio.create_task(flow.run())

    async with asyncio.timeout(10):
        while not _mimes(store, _CREW):
            await asyncio.sleep(0.01)

    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert len(_mimes(store, _CREW)) == 1


async def test_a_mail_that_cannot_be_carried_does_not_hold_up_the_next(
    store: Store, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = _submit(store, _mime(to=_CREW, subject="one")), _submit(store, _mime(to=_CREW, subject="two"))
    flow = await _flow(store, tenant)
    settle = Store.settle

    def failing(self: Store, submission: int, *arguments: Any) -> bool:
        if submission == first.submission:
            raise RuntimeError
        return settle(self, submission, *arguments)

    monkeypatch.setattr(Store, "settle", failing)
    assert not flow.settle_pending()
    assert [as_given(mime) for mime in _mimes(store, _CREW)] == [second.mime]

    monkeypatch.undo()
    assert flow.settle_pending()
    assert sorted(as_given(mime) for mime in _mimes(store, _CREW)) == sorted([first.mime, second.mime])
