"""A mail that asks for a read receipt gets one where Exchange sends it: read, or deleted unread, and not suppressed."""

from __future__ import annotations

import pytest

from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.mime import bag_of
from tests.unit.sandbox.ews.conftest import ADDRESS, Ews, a_mail

_READ = (
    '<m:UpdateItem ConflictResolution="AlwaysOverwrite" MessageDisposition="SaveOnly"{suppress}><m:ItemChanges>'
    '<t:ItemChange><t:ItemId Id="{item}"/><t:Updates><t:SetItemField><t:FieldURI FieldURI="message:IsRead"/>'
    "<t:Message><t:IsRead>true</t:IsRead></t:Message></t:SetItemField></t:Updates></t:ItemChange></m:ItemChanges>"
    "</m:UpdateItem>"
)
_DELETE = '<m:DeleteItem DeleteType="{kind}"{suppress}><m:ItemIds><t:ItemId Id="{item}"/></m:ItemIds></m:DeleteItem>'
_TO_TRASH, _HARD = (_DELETE.replace("{kind}", kind) for kind in ("MoveToDeletedItems", "HardDelete"))
_MARK = (
    "<m:MarkAllItemsAsRead><m:ReadFlag>{flag}</m:ReadFlag><m:SuppressReadReceipts>{suppress}</m:SuppressReadReceipts>"
    '<m:FolderIds><t:DistinguishedFolderId Id="inbox"/></m:FolderIds></m:MarkAllItemsAsRead>'
)
_MOVE = (
    '<m:MoveItem><m:ToFolderId><t:DistinguishedFolderId Id="deleteditems"/></m:ToFolderId><m:ItemIds>'
    '<t:ItemId Id="{item}"/></m:ItemIds></m:MoveItem>'
)
_SUPPRESS = ' SuppressReadReceipts="true"'


def _asking(ews: Ews, folder: str = "inbox") -> str:
    mime = a_mail(1).replace(b"\r\n\r\n", b"\r\nDisposition-Notification-To: anna@example.net\r\n\r\n", 1)
    return ews.store.deliver(ADDRESS, mime, folder=folder).item_id


def _read_all(flag: str = "true", suppress: str = "false") -> str:
    return _MARK.format(flag=flag, suppress=suppress)


@pytest.mark.parametrize(
    ("request_xml", "kind", "subject"),
    [
        (_READ, "REPORT.IPM.Note.IPNRN", "Read: Transport 1"),
        (_read_all(), "REPORT.IPM.Note.IPNRN", "Read: Transport 1"),
        (_TO_TRASH, "REPORT.IPM.Note.IPNNRN", "Not read: Transport 1"),
        (_HARD, "REPORT.IPM.Note.IPNNRN", "Not read: Transport 1"),
    ],
)
def test_who_asks_for_a_receipt_gets_one(ews: Ews, request_xml: str, kind: str, subject: str) -> None:
    assert ews.codes(request_xml.format(item=_asking(ews), suppress="")) == ["NoError"]

    [receipt] = ews.submitted
    bag = bag_of(receipt.mime, receipt.at)
    assert (bag[p.MESSAGE_CLASS], bag[p.SUBJECT], receipt.recipients) == (kind, subject, ("anna@example.net",))
    assert b"Original-Message-ID: <1@example.net>\r\n" in receipt.mime


@pytest.mark.parametrize(
    "request_xml",
    [
        _READ.replace("{suppress}", _SUPPRESS),
        _TO_TRASH.replace("{suppress}", _SUPPRESS),
        _HARD.replace("{suppress}", _SUPPRESS),
        _read_all(suppress="true"),
        _read_all(flag="false"),
        _MOVE,
    ],
)
def test_none_is_sent_where_it_is_suppressed_or_nothing_was_read_or_deleted(ews: Ews, request_xml: str) -> None:
    assert ews.codes(request_xml.format(item=_asking(ews))) == ["NoError"]

    assert ews.submitted == []


def test_a_mail_is_answered_once(ews: Ews) -> None:
    """Read, unread, read again and deleted, in whatever way."""
    item = _asking(ews)

    for request in (_read_all(), _read_all("false"), _read_all(), _read_all("false"), _TO_TRASH):
        assert ews.codes(request.format(item=item, suppress="")) == ["NoError"]

    assert len(ews.submitted) == 1


def test_junk_and_mail_that_asks_for_none_get_none(ews: Ews) -> None:
    plain = ews.store.deliver(ADDRESS, a_mail(2)).item_id

    for item in (plain, _asking(ews, "junkemail")):
        assert ews.codes(_READ.format(item=item, suppress="")) == ["NoError"]

    assert ews.submitted == []


def test_a_receipt_that_cannot_be_sent_stops_no_deletion(ews: Ews, monkeypatch: pytest.MonkeyPatch) -> None:
    """And leaves nothing in the Outbox."""

    def refuse(*_args: object, **_more: object) -> None:
        raise EwsError("ErrorSubmissionQuotaExceeded", "No more today.")

    item = _asking(ews)
    monkeypatch.setattr("bridge.sandbox.ews.behaviour.ServerBehaviour.submit", refuse)

    assert ews.codes(_TO_TRASH.format(item=item, suppress="")) == ["NoError"]
    assert [ews.store.mails(ADDRESS, folder).total for folder in ("inbox", "outbox", "deleteditems")] == [0, 0, 1]
