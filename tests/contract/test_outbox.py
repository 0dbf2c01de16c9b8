"""The promise of `SendingMailbox`, kept by each of its adapters, and by what a worker puts in front of them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.ews.sender import EwsSender
from bridge.adapters.system.clock import SystemClock
from bridge.domain.outbound_records import DraftState
from bridge.egress.availability.pauses import Availability
from bridge.egress.availability.pausing_mailbox import PausingMailbox
from bridge.errors import BridgeError, EwsBlocked, MailboxThrottled, MailboxUnavailable
from tests.contract.outbox import CREW, HIDDEN, SendingMailboxContract, SendingSite
from tests.support.clock import InstantClock
from tests.support.ews import ews_client
from tests.support.memory.outbox import MemoryOutbox
from tests.support.sandbox import SandboxProcess
from tests.support.soap import EwsClient as Person

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.adapters.ews.client import EwsClient
    from bridge.domain.outbound_records import CreatedDraft
    from bridge.ports.outbox import SendingMailbox

_LEDGER = "Bridge Sends"


@dataclass
class _InMemory:
    """Another worker has the same object: what is kept for one worker alone is the client's, and there is none."""

    stored: MemoryOutbox = field(default_factory=lambda: MemoryOutbox(SystemClock()))
    other: MemoryOutbox = field(default_factory=lambda: MemoryOutbox(SystemClock()))
    address: str = "dispatch@example.org"

    @property
    def mailbox(self) -> SendingMailbox:
        return self.stored

    def another(self) -> SendingMailbox:
        return self.stored

    def elsewhere(self) -> SendingMailbox:
        return self.other

    def sent(self) -> list[str]:
        return [stamp.request_id for stamp in self.stored.submissions]

    def file_copies(self, target: str) -> None:
        for item in self.stored.items.values():
            if item.place == "sent":
                item.place = "outbox" if target == "outbox" else "deleted"

    def change_draft(self, draft: CreatedDraft) -> None:
        item = self.stored.items[draft.item_id]
        assert item.state is DraftState.UNSENT
        item.version += 1

    def delete_draft(self, draft: CreatedDraft) -> None:
        self.stored.items[draft.item_id].place = "deleted"

    def destroy_ledger(self) -> None:
        self.stored.destroy_ledger()

    def trouble(self, error: type[BridgeError] | None) -> None:
        self.stored.broken = None if error is None else error()


class TestMemoryOutbox(SendingMailboxContract):
    """In memory."""

    @pytest.fixture
    def site(self) -> SendingSite:
        """A mailbox of its own."""
        return _InMemory()


@dataclass
class _Quiet(_InMemory):
    """As a worker has it, on a clock of which nobody waits for the end of a pause."""

    def __post_init__(self) -> None:
        self.clock = InstantClock()
        self.pauses = Availability("dispatch", self.clock, lambda _: None)
        self.quiet = PausingMailbox(self.stored, self.pauses, lambda: None)

    @property
    def mailbox(self) -> SendingMailbox:
        return self.quiet

    def trouble(self, error: type[BridgeError] | None) -> None:
        super().trouble(error)
        self.clock.seconds += 0.0 if error is not None else 3_600.0


class TestQuietMailbox(SendingMailboxContract):
    """In memory, behind what leaves it alone as long as Exchange asks for it."""

    @pytest.fixture
    def site(self) -> SendingSite:
        """A mailbox of its own."""
        return _Quiet()


@dataclass
class _InExchange:
    client: EwsClient
    sandbox: SandboxProcess
    address: str

    def __post_init__(self) -> None:
        self.mailbox: SendingMailbox = EwsSender(self.client, self.address)
        self.person = Person(self.sandbox, self.address)
        self.before = len(self.sandbox.sends())

    def another(self) -> SendingMailbox:
        return EwsSender(self.client, self.address)

    def elsewhere(self) -> SendingMailbox:
        address = f"c{self.address[1:]}"
        self.sandbox.add_mailbox(address)
        return EwsSender(self.client, address)

    def sent(self) -> list[str]:
        return [str(send["request_id"]) for send in self.sandbox.sends()[self.before :]]

    def file_copies(self, target: str) -> None:
        self._move(self.person.find("sentitems"), target)

    def change_draft(self, draft: CreatedDraft) -> None:
        self._done(
            '<m:UpdateItem MessageDisposition="SaveOnly" ConflictResolution="AlwaysOverwrite"><m:ItemChanges>'
            f'<t:ItemChange><t:ItemId Id="{draft.item_id}"/><t:Updates><t:SetItemField>'
            '<t:FieldURI FieldURI="item:Subject"/><t:Message><t:Subject>other</t:Subject></t:Message>'
            "</t:SetItemField></t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>"
        )

    def delete_draft(self, draft: CreatedDraft) -> None:
        self._move([draft.item_id], "deleteditems")

    def destroy_ledger(self) -> None:
        [folder] = [one for one in self.sandbox.folders(self.address) if one["name"] == _LEDGER]
        ids = f'<m:FolderIds><t:FolderId Id="{folder["id"]}"/></m:FolderIds>'
        self._done(f'<m:DeleteFolder DeleteType="HardDelete">{ids}</m:DeleteFolder>')

    def trouble(self, error: type[BridgeError] | None) -> None:
        self.sandbox.faults(*([] if error is None else [{"match": {"service": "ews"}, "fault": _FAULTS[error]}]))

    def _move(self, item_ids: list[str], target: str) -> None:
        ids = "".join(f'<t:ItemId Id="{item_id}"/>' for item_id in item_ids)
        to = f'<m:ToFolderId><t:DistinguishedFolderId Id="{target}"/></m:ToFolderId>'
        self._done(f"<m:MoveItem>{to}<m:ItemIds>{ids}</m:ItemIds></m:MoveItem>")

    def _done(self, body: str) -> None:
        assert set(self.person.codes(body)) == {"NoError"}


_FAULTS: dict[type[BridgeError], dict[str, object]] = {
    MailboxThrottled: {"kind": "server_busy"},
    MailboxUnavailable: {"kind": "http_error"},
    EwsBlocked: {"kind": "blocked_by_policy"},
}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """One for all tests here; each has a mailbox of its own in it."""
    with SandboxProcess(tmp_path_factory.mktemp("outboxes") / "sandbox", mailboxes=[CREW, HIDDEN]) as process:
        yield process


class TestEwsSender(SendingMailboxContract):
    """Over HTTPS."""

    @pytest.fixture
    def site(self, sandbox: SandboxProcess) -> Iterator[SendingSite]:
        """A new mailbox, without any fault."""
        sandbox.faults()
        address = f"box-{uuid.uuid4().hex[:12]}@example.org"
        sandbox.add_mailbox(address)
        with ews_client(sandbox, connections=4, call_timeout_seconds=20) as client:
            yield _InExchange(client, sandbox, address)
        sandbox.faults()
