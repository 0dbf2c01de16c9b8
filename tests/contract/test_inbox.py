"""The promise of `Inbox`, kept by each of its adapters."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.ews.inbox import EwsInbox, RemoveBy
from bridge.domain.mail import MailRef
from bridge.errors import BridgeError, EwsBlocked, MailboxThrottled, MailboxUnavailable
from tests.contract.inbox import InboxAtWork, InboxContract
from tests.support.ews import ews_client
from tests.support.memory.inbox import MemoryInbox, StoredMail
from tests.support.sandbox import SandboxProcess
from tests.support.soap import EwsClient as Person

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.ports.inbox import Inbox

_START = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
_OPERATIONS = ("list", "fetch", "remove", "park", "parked_lately", "count")


@dataclass
class _InMemory:
    inbox: MemoryInbox = field(default_factory=MemoryInbox)
    delivered: int = 0

    def deliver(self, mime: bytes) -> None:
        self.delivered += 1
        at = _START + timedelta(seconds=self.delivered)
        name = hashlib.sha256(mime).hexdigest()
        ref = MailRef(name, f"item-{self.delivered}", at, len(mime), "IPM.Note")
        self.inbox.mails.append(StoredMail(ref, mime))

    def held(self, folder: str = "inbox") -> list[bytes]:
        return [mail.mime or b"" for mail in self.inbox.mails if mail.folder == folder]

    def delete(self, ref: MailRef) -> None:
        self.inbox.mails = [mail for mail in self.inbox.mails if mail.ref.item_id != ref.item_id]

    def move(self, ref: MailRef, source: str, target: str) -> MailRef:
        del source
        return self.inbox.move(ref, target)

    def change(self, ref: MailRef) -> None:
        """Whether it was read is nothing that is kept here."""

    def trouble(self, error: type[BridgeError] | None) -> None:
        self.inbox.fails = {} if error is None else {operation: error() for operation in _OPERATIONS}


class TestMemoryInbox(InboxContract):
    """In memory."""

    @pytest.fixture
    def mailbox(self) -> InboxAtWork:
        """A mailbox of its own."""
        return _InMemory()


@dataclass
class _InExchange:
    inbox: Inbox
    sandbox: SandboxProcess
    address: str
    person: Person

    def deliver(self, mime: bytes) -> None:
        self.sandbox.put(self.address, mime)

    def held(self, folder: str = "inbox") -> list[bytes]:
        mails = self.sandbox.mails(self.address, folder)
        return [self.sandbox.mime(self.address, mail["item_id"], folder) for mail in mails]

    def delete(self, ref: MailRef) -> None:
        self._done(f'<m:DeleteItem DeleteType="HardDelete">{_items(ref)}</m:DeleteItem>')

    def move(self, ref: MailRef, source: str, target: str) -> MailRef:
        del source
        before = {mail["item_id"] for mail in self.sandbox.mails(self.address, target)}
        to = f'<m:ToFolderId><t:DistinguishedFolderId Id="{target}"/></m:ToFolderId>'
        self._done(f"<m:MoveItem>{to}{_items(ref)}</m:MoveItem>")
        [new] = {mail["item_id"] for mail in self.sandbox.mails(self.address, target)} - before
        return replace(ref, item_id=new)

    def change(self, ref: MailRef) -> None:
        self._done(
            '<m:UpdateItem MessageDisposition="SaveOnly" ConflictResolution="AlwaysOverwrite"><m:ItemChanges>'
            f'<t:ItemChange><t:ItemId Id="{ref.item_id}"/><t:Updates><t:SetItemField>'
            '<t:FieldURI FieldURI="message:IsRead"/><t:Message><t:IsRead>true</t:IsRead></t:Message>'
            "</t:SetItemField></t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>"
        )

    def trouble(self, error: type[BridgeError] | None) -> None:
        self.sandbox.faults(*([] if error is None else [{"match": {"service": "ews"}, "fault": _FAULTS[error]}]))

    def _done(self, body: str) -> None:
        assert self.person.codes(body) == ["NoError"]


_FAULTS: dict[type[BridgeError], dict[str, object]] = {
    MailboxThrottled: {"kind": "server_busy"},
    MailboxUnavailable: {"kind": "http_error"},
    EwsBlocked: {"kind": "blocked_by_policy"},
}


def _items(ref: MailRef) -> str:
    return f'<m:ItemIds><t:ItemId Id="{ref.item_id}"/></m:ItemIds>'


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """One for all tests here; each has a mailbox of its own in it."""
    with SandboxProcess(tmp_path_factory.mktemp("inboxes") / "sandbox") as process:
        yield process


class TestEwsInbox(InboxContract):
    """Over HTTPS, deleting what was published."""

    remove_by = RemoveBy()

    @pytest.fixture
    def mailbox(self, sandbox: SandboxProcess) -> Iterator[InboxAtWork]:
        """A new mailbox, without any fault."""
        sandbox.faults()
        address = f"box-{uuid.uuid4().hex[:12]}@example.org"
        sandbox.add_mailbox(address)
        with ews_client(sandbox, connections=1) as client:
            inbox = EwsInbox(client, address, remove_by=self.remove_by)
            yield _InExchange(inbox, sandbox, address, Person(sandbox, address))
        sandbox.faults()


class TestEwsInboxThatMoves(TestEwsInbox):
    """Over HTTPS, moving what was published into another folder."""

    remove_by = RemoveBy(delete_type=None, move_to="deleteditems")
