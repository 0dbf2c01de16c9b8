"""Nothing is done in a mailbox before the server has said that it is the one of the configured address."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.ews.client import EwsClient, EwsConnection
from bridge.adapters.ews.folder_ids import distinguished, folder_ids, name_mailbox
from bridge.adapters.ews.inbox import EwsInbox
from bridge.adapters.ews.mailbox_identity import IdentityProof, KnownMailboxes
from bridge.adapters.ews.notifications import EwsNotifications
from bridge.adapters.ews.soap import ResponseMessage, T, element, parse_answer
from bridge.errors import (
    BridgeError,
    CallRefused,
    MailboxAccessDenied,
    MailboxConfiguredTwice,
    MailboxNotFound,
    MailboxNotProved,
    MailboxThrottled,
    MailboxUnavailable,
)
from tests.support.raw_server import RawServer

if TYPE_CHECKING:
    import socket

    from lxml import etree

_ADDRESS = "dispatch@example.org"
_ENVELOPE = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages" '
    'xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"><s:Body><m:{0}Response>'
    '<m:ResponseMessages><m:{0}ResponseMessage ResponseClass="{1}"><m:ResponseCode>{2}</m:ResponseCode>{3}'
    "</m:{0}ResponseMessage></m:ResponseMessages></m:{0}Response></s:Body></s:Envelope>"
)


class Server:
    """An EWS server with some mailboxes, which tells of them what it is made to tell."""

    def __init__(self, *, own: str = _ADDRESS, **mailboxes: str) -> None:
        self.own = own
        """Whose the login is."""
        self.inboxes = {_ADDRESS: "inbox-1"} | {f"{name}@example.org": inbox for name, inbox in mailboxes.items()}
        self.impersonation_counts = False
        """Whether it opens the mailbox of the account that is impersonated, whichever is named."""
        self.names_count = True
        """Whether it opens the mailbox that is named, and not the login's own."""
        self.tells: str | None = "primary"
        """`primary`: the address of the mailbox that an id lies in; `echo`: what it was asked; None: no such call."""
        self.fails: list[BridgeError] = []
        self.calls: list[str] = []

    async def ask(self, asker: str, request: etree._Element) -> list[ResponseMessage]:
        operation = str(request.tag).rpartition("}")[2]
        self.calls.append(operation)
        await asyncio.sleep(0)
        if self.fails:
            raise self.fails.pop(0)
        code, inner = self._open(request, asker) if operation == "GetFolder" else self._convert(request)
        kind = "Success" if code == "NoError" else "Error"
        return parse_answer(_ENVELOPE.format(operation, kind, code, inner).encode(), operation)

    def _open(self, request: etree._Element, asker: str) -> tuple[str, str]:
        named = request.findtext(f".//{T}Mailbox/{T}EmailAddress") or ""
        opened = named if self.names_count else self.own
        inbox = self.inboxes.get(asker if self.impersonation_counts else opened)
        if inbox is None:
            return "ErrorNonExistentMailbox", ""
        return "NoError", f'<m:Folders><t:Folder><t:FolderId Id="{inbox}"/></t:Folder></m:Folders>'

    def _convert(self, request: etree._Element) -> tuple[str, str]:
        source = next(request.iter(f"{T}AlternateId"))
        if self.tells is None:
            return "ErrorInvalidOperation", ""
        holder = next(one for one, inbox in self.inboxes.items() if inbox == source.get("Id"))
        told = holder.upper() if self.tells == "primary" else source.get("Mailbox")
        return "NoError", f'<m:AlternateId Format="HexEntryId" Id="0A" Mailbox="{told}"/>'


def proof(server: Server, **aliases: str) -> IdentityProof:
    return IdentityProof(server.ask, KnownMailboxes({f"{name}@example.org": alias for name, alias in aliases.items()}))


async def test_a_mailbox_is_proved_by_what_exchange_says_of_the_folder_that_it_opened() -> None:
    server = Server()
    one = proof(server)

    await one.ensure(_ADDRESS)
    await one.ensure(_ADDRESS)

    assert server.calls == ["GetFolder", "ConvertId"]


@pytest.mark.parametrize("tells", ["primary", "echo", None])
async def test_a_server_that_opens_the_logins_own_mailbox_whichever_is_named_proves_nothing(tells: str | None) -> None:
    server = Server(own="login@example.org", login="inbox-2")
    server.names_count, server.tells = False, tells

    with pytest.raises(MailboxNotProved):
        await proof(server).ensure(_ADDRESS)


@pytest.mark.parametrize("tells", ["echo", None])
async def test_a_server_that_tells_no_address_is_believed_where_it_refuses_names_that_cannot_exist(
    tells: str | None,
) -> None:
    server, known = Server(), KnownMailboxes()
    server.tells = tells

    await IdentityProof(server.ask, known).ensure(_ADDRESS)

    assert known.is_proved(_ADDRESS)


async def test_a_server_that_goes_by_who_is_impersonated_alone_is_believed_too() -> None:
    server = Server()
    server.impersonation_counts, server.tells = True, None
    known = KnownMailboxes()

    await IdentityProof(server.ask, known, impersonates=True).ensure(_ADDRESS)

    assert known.is_proved(_ADDRESS)


async def test_a_server_that_ignores_who_is_impersonated_and_named_proves_nothing() -> None:
    server = Server(own="login@example.org", login="inbox-2")
    server.names_count, server.tells = False, None

    with pytest.raises(MailboxNotProved):
        await IdentityProof(server.ask, KnownMailboxes(), impersonates=True).ensure(_ADDRESS)


async def test_one_of_a_mailboxs_other_addresses_proves_it_where_names_count() -> None:
    """Exchange itself refuses those (ErrorNonPrimarySmtpAddress); other servers need not."""
    server = Server(alias="inbox-1")

    await proof(server).ensure("alias@example.org")

    server = Server(own="alias@example.org", alias="inbox-1")
    server.names_count = False
    with pytest.raises(MailboxNotProved):
        await proof(server).ensure("other@example.org")


async def test_a_mailbox_that_does_not_exist_or_is_closed_is_told_as_that() -> None:
    with pytest.raises(MailboxNotFound):
        await proof(Server()).ensure("nobody@example.org")

    for code in ("ErrorItemNotFound", "ErrorFolderNotFound", "ErrorAccessDenied"):
        server = Server()
        server._open = lambda *_, code=code: (code, "")  # type: ignore[method-assign]
        with pytest.raises(MailboxAccessDenied):
            await proof(server).ensure(_ADDRESS)


async def test_trouble_while_it_is_proved_proves_nothing_and_is_tried_again() -> None:
    server = Server()
    one = proof(server)
    server.fails = [MailboxUnavailable("HTTP 502")]
    with pytest.raises(MailboxUnavailable):
        await one.ensure(_ADDRESS)

    server.tells, before = None, len(server.calls)
    ask, allowed = server.ask, 0

    async def ask_until_throttled(address: str, request: etree._Element) -> list[ResponseMessage]:
        if len(server.calls) - before >= allowed:
            raise MailboxThrottled("ErrorServerBusy")
        return await ask(address, request)

    for calls in (1, 2, 4):
        before, allowed = len(server.calls), calls
        with pytest.raises(MailboxThrottled):
            await IdentityProof(ask_until_throttled, KnownMailboxes()).ensure(_ADDRESS)

    await one.ensure(_ADDRESS)


async def test_a_refusal_that_is_another_each_time_proves_nothing() -> None:
    server = Server()
    server.tells = None
    ask, opened = server.ask, 0

    async def ask_in_trouble(address: str, request: etree._Element) -> list[ResponseMessage]:
        nonlocal opened
        named = request.findtext(f".//{T}Mailbox/{T}EmailAddress") or ""
        if named.startswith("no-such-mailbox"):
            opened += 1
            raise MailboxUnavailable("HTTP 502") if opened == 1 else CallRefused("ErrorStaleObject")
        return await ask(address, request)

    with pytest.raises(MailboxUnavailable):
        await IdentityProof(ask_in_trouble, KnownMailboxes()).ensure(_ADDRESS)


async def test_of_two_configured_mailboxes_that_are_one_the_second_is_left_alone_whichever_is_opened_first() -> None:
    for order in (("dispatch", "alias"), ("alias", "dispatch")):
        one = proof(Server(alias="inbox-1", crew="inbox-2"), dispatch="first", alias="second", crew="third")
        for name in order:
            with contextlib.suppress(MailboxConfiguredTwice):
                await one.ensure(f"{name}@example.org")

        await one.ensure(_ADDRESS)
        await one.ensure("crew@example.org")
        with pytest.raises(MailboxConfiguredTwice, match="it is the mailbox first"):
            await one.ensure("alias@example.org")


async def test_calls_that_wait_for_the_proof_share_what_came_of_it() -> None:
    server = Server()
    one = proof(server)
    server.fails = [MailboxUnavailable("HTTP 502")]

    outcomes = await asyncio.gather(*(one.ensure(_ADDRESS) for _ in range(20)), return_exceptions=True)

    assert all(isinstance(outcome, MailboxUnavailable) for outcome in outcomes)
    assert server.calls == ["GetFolder"]
    await asyncio.gather(*(one.ensure(_ADDRESS) for _ in range(20)))
    assert server.calls == ["GetFolder", "GetFolder", "ConvertId"]


async def test_no_call_of_a_client_comes_before_its_mailbox_is_proved() -> None:
    """Not one, whatever it is for: sending, the ledger, parked mail and checks go this way, too."""
    server = Server(own="login@example.org", login="inbox-2")
    server.names_count = False
    client = EwsClient(EwsConnection("http://127.0.0.1:1"), login=("basic", "u", "p"), known=KnownMailboxes())
    client._ask = client._proof._ask = server.ask  # type: ignore[method-assign,union-attr,assignment]

    with contextlib.closing(client):
        for operation in ("FindItem", "SendItem", "DeleteItem", "CreateItem", "UpdateItem", "MoveItem"):
            with pytest.raises(MailboxNotProved):
                await client.call(_ADDRESS, element(f"m:{operation}"))
            with pytest.raises(MailboxNotProved):
                await client.call_with_content(_ADDRESS, element(f"m:{operation}"), None)  # type: ignore[arg-type]
        with pytest.raises(MailboxNotProved):
            await client.call_for_mime(_ADDRESS, element("m:GetItem"), None, size_bytes=1)  # type: ignore[arg-type]

    assert set(server.calls) == {"GetFolder", "ConvertId"}


def test_every_distinguished_folder_of_a_request_gets_the_name_of_its_mailbox() -> None:
    named = distinguished("sentitems")
    name_mailbox(named, "other@example.org")
    request = element(
        "m:FindFolder", folder_ids("m:ParentFolderIds", distinguished("inbox"), distinguished("drafts"), named)
    )

    name_mailbox(request, _ADDRESS)

    folders = list(request.iter(f"{T}DistinguishedFolderId"))
    assert [one.findtext(f"{T}Mailbox/{T}EmailAddress") for one in folders] == [_ADDRESS, _ADDRESS, "other@example.org"]


async def test_folders_are_named_with_their_mailbox_on_the_wire_by_calls_and_by_subscriptions() -> None:
    seen: list[bytes] = []

    def answer(connection: socket.socket, request: bytes) -> None:
        seen.append(request)
        connection.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")

    with contextlib.closing(RawServer(answer)) as server:
        connection = EwsConnection(server.url, connections=1, call_timeout_seconds=5, impersonate=False)
        login = ("basic", "user", "password")
        with (
            contextlib.closing(EwsClient(connection, login=login)) as client,
            contextlib.closing(EwsNotifications(connection, client, login=login)) as notifications,
        ):
            with pytest.raises(BridgeError):
                await EwsInbox(client, _ADDRESS).list_waiting("inbox", limit=1)
            with pytest.raises(BridgeError):
                await notifications.subscribe(_ADDRESS, ["inbox"], lead_mailbox="first@example.org", affinity=None)

    assert len(seen) == 2
    for request in seen:
        assert request.count(b"DistinguishedFolderId Id=") == 1
        assert b"<t:Mailbox><t:EmailAddress>dispatch@example.org</t:EmailAddress></t:Mailbox>" in request
