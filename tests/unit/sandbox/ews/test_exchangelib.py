"""exchangelib, an independent client, does its ordinary work on the sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from exchangelib import (
    BASIC,
    DELEGATE,
    IMPERSONATION,
    Account,
    Build,
    Configuration,
    Credentials,
    ExtendedProperty,
    FileAttachment,
    HTMLBody,
    Mailbox,
    Message,
    Version,
)
from exchangelib.errors import ErrorIrresolvableConflict, ErrorItemNotFound, ErrorNonExistentMailbox, ErrorStaleObject
from exchangelib.folders import Messages
from exchangelib.protocol import CachingProtocol
from exchangelib.services import SendItem

from tests.unit.sandbox.ews.conftest import ADDRESS, OTHER, Ews, a_mail


class RequestId(ExtendedProperty):  # type: ignore[misc]
    """A named property as the bridge stamps its drafts with."""

    property_set_id = "6d6f6e74-0000-4000-8000-000000000001"
    property_name = "RequestId"
    property_type = "String"


@pytest.fixture(autouse=True, scope="module")
def registered() -> Iterator[None]:
    """Let messages have the named property."""
    Message.register("request_id", RequestId)
    yield
    Message.deregister("request_id")


@pytest.fixture
def account(ews: Ews) -> Account:
    """The mailbox, opened by impersonation."""
    CachingProtocol.clear_cache()
    config = Configuration(
        service_endpoint=ews.url,
        credentials=Credentials("service", "x"),
        auth_type=BASIC,
        version=Version(Build(15, 20)),
    )
    return Account(ADDRESS, config=config, autodiscover=False, access_type=IMPERSONATION)


def test_inbox_is_listed_filtered_ordered_and_read(account: Account, ews: Ews) -> None:
    """The documented idioms of reading."""
    for number in range(1, 8):
        ews.store.deliver(ADDRESS, a_mail(number))

    everything = list(account.inbox.all())
    ordered = list(account.inbox.all().order_by("datetime_received").only("subject"))
    filtered = list(account.inbox.filter(subject="Transport 3"))
    searched = list(account.inbox.filter(subject__icontains="TRANSPORT").order_by("-subject")[:2])

    assert account.inbox.total_count == 7
    assert len(everything) == 7
    assert [item.subject for item in ordered] == [f"Transport {number}" for number in range(1, 8)]
    assert [item.message_id for item in filtered] == ["<3@example.net>"]
    assert [item.subject for item in searched] == ["Transport 7", "Transport 6"]
    assert everything[0].sender.email_address == "anna@example.net"
    assert "Good morning." in everything[0].text_body


def test_mime_comes_out_byte_for_byte(account: Account, ews: Ews) -> None:
    """Bare CR, NUL and eight-bit bytes included."""
    mime = b"Subject: x\r\n\r\nbare\rCR \x00 NUL \xff\xfe long " + b"y" * 5000 + b"\n"
    ews.store.deliver(ADDRESS, mime)

    (item,) = account.fetch(account.inbox.all().only("id", "changekey"), only_fields=["mime_content"])

    assert item.mime_content == mime


def test_draft_is_stamped_found_and_sent_once(account: Account, ews: Ews) -> None:
    """The egress steps: draft, look by named property, send with the change key of creation."""
    draft = Message(
        account=account,
        folder=account.drafts,
        subject="Notice",
        body="text",
        to_recipients=[Mailbox(email_address=OTHER)],
        request_id="r-1",
    )
    draft.save()
    found = list(account.drafts.filter(request_id="r-1"))
    results = list(SendItem(account=account).call(items=[(draft.id, draft.changekey)], saved_item_folder=account.sent))
    again = list(SendItem(account=account).call(items=[(draft.id, draft.changekey)], saved_item_folder=account.sent))

    assert [item.id for item in found] == [draft.id]
    assert results == [True]
    assert isinstance(again[0], ErrorItemNotFound)
    assert account.outbox.all().count() == 1
    (sent,) = ews.store.sends()
    assert sent.stamp("RequestId") == "r-1"
    assert sent.recipients == (OTHER,)
    assert len(ews.submitted) == 1
    assert b"Bcc" not in ews.submitted[0].mime

    ews.store.settle(ews.submitted[0].submission, [(OTHER, ews.submitted[0].mime)])

    assert [item.subject for item in account.sent.filter(request_id="r-1")] == ["Notice"]
    assert account.outbox.all().count() == 0


def test_voided_draft_cannot_be_sent(account: Account) -> None:
    """The fence: whoever changes the draft makes its first change key useless."""
    draft = Message(account=account, folder=account.drafts, subject="Notice", to_recipients=[OTHER], request_id="r-2")
    draft.save()
    first_key = draft.changekey
    draft.request_id = "void"
    draft.save(update_fields=["request_id"], conflict_resolution="NeverOverwrite")

    with pytest.raises(ErrorStaleObject):
        list(SendItem(account=account).call(items=[(draft.id, first_key)], saved_item_folder=account.sent))

    assert account.outbox.all().count() == 0


def test_only_one_of_two_writers_succeeds(account: Account) -> None:
    """NeverOverwrite refuses the change key that another change made old."""
    draft = Message(account=account, folder=account.drafts, subject="Notice", request_id="r-3")
    draft.save()
    stale = Message(account=account, folder=account.drafts, id=draft.id, changekey=draft.changekey, subject="Notice")
    draft.request_id = "first"
    draft.save(update_fields=["request_id"], conflict_resolution="NeverOverwrite")

    stale.request_id = "second"
    with pytest.raises(ErrorIrresolvableConflict):
        stale.save(update_fields=["request_id"], conflict_resolution="NeverOverwrite")

    assert [item.request_id for item in account.drafts.all()] == ["first"]


def test_messages_are_made_changed_moved_copied_and_deleted(account: Account) -> None:
    """Bulk calls and folders of one's own."""
    folder = _a_folder(account)
    made = account.bulk_create(
        folder=account.inbox,
        items=[
            Message(subject=f"m {number}", body=HTMLBody("<p>hi</p>"), categories=["a", "b"]) for number in range(5)
        ],
    )
    items = list(account.inbox.all().order_by("subject"))
    items[0].is_read = False
    items[0].importance = "High"
    items[0].save()
    moved_id = items[0].move(folder)
    copied = items[1].copy(folder)
    deleted = account.bulk_delete(ids=items[2:4], delete_type="SoftDelete")
    items[4].move_to_trash()

    assert len(made) == 5
    assert moved_id is not None or items[0].id
    assert copied
    assert deleted == [True, True]
    assert account.inbox.all().count() == 1
    assert folder.all().count() == 2
    assert account.trash.all().count() == 1
    parked = folder.all().get(subject="m 0")
    assert (parked.is_read, parked.importance, parked.categories) == (False, "High", ["a", "b"])
    assert "hi" in parked.body


def test_attachments_are_listed_read_added_and_removed(account: Account, ews: Ews) -> None:
    """Files, with their bytes."""
    draft = Message(account=account, folder=account.drafts, subject="files", body="see below", to_recipients=[OTHER])
    draft.attach(FileAttachment(name="a.txt", content=b"alpha"))
    draft.save()
    draft.attach(FileAttachment(name="ü b.bin", content=bytes(range(256))))

    again = account.drafts.get(subject="files")
    contents = {attachment.name: attachment.content for attachment in again.attachments}
    again.detach(again.attachments[0])
    left = account.drafts.get(subject="files")

    assert contents == {"a.txt": b"alpha", "ü b.bin": bytes(range(256))}
    assert [attachment.name for attachment in left.attachments] == ["ü b.bin"]
    left.send()
    assert b"see below" in ews.submitted[0].mime


def test_user_opens_the_own_mailbox(ews: Ews) -> None:
    """As on premises, with a name and a password."""
    CachingProtocol.clear_cache()
    ews.store.deliver(ADDRESS, a_mail())
    config = Configuration(service_endpoint=ews.url, credentials=Credentials(ADDRESS, "x"), auth_type=BASIC)
    account = Account(ADDRESS, config=config, autodiscover=False, access_type=DELEGATE)

    assert [item.subject for item in account.inbox.all()] == ["Transport 1"]


def test_unknown_mailbox_is_named(ews: Ews) -> None:
    """Impersonating nobody that exists."""
    CachingProtocol.clear_cache()
    config = Configuration(service_endpoint=ews.url, credentials=Credentials("service", "x"), auth_type=BASIC)
    account = Account("nobody@example.org", config=config, autodiscover=False, access_type=IMPERSONATION)

    with pytest.raises(ErrorNonExistentMailbox):
        list(account.inbox.all())


def _a_folder(account: Account) -> Messages:
    folder = Messages(parent=account.inbox, name="Bridge Parked")
    folder.save()
    return account.inbox / "Bridge Parked"
