"""An EWS service over loopback HTTP, as the tests of single operations and exchangelib use it."""

from __future__ import annotations

import asyncio
import threading
from base64 import b64decode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import requests
from aiohttp import web
from lxml import etree

from bridge.sandbox.ews.hooks import Call, ItemError, RefusedError, StreamFault
from bridge.sandbox.ews.service import EwsService
from bridge.sandbox.ews.streaming import StreamTimes
from bridge.sandbox.store import Store, SubmittedMail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAMESPACES = {
    "m": "http://schemas.microsoft.com/exchange/services/2006/messages",
    "t": "http://schemas.microsoft.com/exchange/services/2006/types",
    "s": "http://schemas.xmlsoap.org/soap/envelope/",
    "e": "http://schemas.microsoft.com/exchange/services/2006/errors",
}
M = "{" + NAMESPACES["m"] + "}"
T = "{" + NAMESPACES["t"] + "}"
E = "{" + NAMESPACES["e"] + "}"
ADDRESS = "dispatch@example.org"
OTHER = "base@example.org"
OUT_OF_SCOPE = "chief@example.org"


@dataclass(frozen=True)
class User:
    """A caller that signs in by name: `app` is an application, `service` may impersonate, others are mailboxes."""

    mailbox: str | None
    must_impersonate: bool = False
    opens: tuple[str, ...] = ()

    def may_open(self, address: str) -> bool:
        """Answer for the addresses that the test gave."""
        return address.lower() in self.opens

    def may_impersonate(self, address: str) -> bool:
        """Answer for the same addresses."""
        return self.may_open(address)


USERS = {
    "app": User(None, must_impersonate=True, opens=(ADDRESS, OTHER)),
    "service": User(None, opens=(ADDRESS, OTHER, OUT_OF_SCOPE)),
    ADDRESS: User(ADDRESS),
    OTHER: User(OTHER),
}


async def authenticate(request: web.Request) -> User:
    """Take Basic names; the password does not matter here."""
    scheme, _, coded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise RefusedError(401, [("WWW-Authenticate", 'Basic realm="sandbox"'), ("WWW-Authenticate", "NTLM")])
    return USERS[b64decode(coded).decode().partition(":")[0]]


@dataclass
class Strikes:
    """Faults that a test sets: item errors by number."""

    items: dict[int, ItemError] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    streams: list[StreamFault] = field(default_factory=list)
    strikes_after: bool = False

    def begin(self, call: Call) -> Strikes:
        """Note the call."""
        self.calls.append(call)
        return self

    def stream(self) -> list[StreamFault]:
        """Give what the test set."""
        return self.streams

    async def before(self, request: web.Request) -> web.StreamResponse | None:
        """Let it pass."""
        return None

    def item(self, number: int) -> ItemError | None:
        """Give what the test set."""
        return self.items.get(number)

    async def after(self, request: web.Request, answer: web.Response) -> web.StreamResponse:
        """Return the answer as it is."""
        return answer


class Submitted(list[SubmittedMail]):
    """The mails that were handed to the mail flow, which may be made to fail."""

    refusing = False

    def take(self, mail: SubmittedMail) -> None:
        """Be the mail flow."""
        if self.refusing:
            raise RuntimeError("the mail flow is out of order")
        self.append(mail)


@dataclass
class Ews:
    """The running service, and how a test talks to it."""

    url: str
    store: Store
    submitted: Submitted
    strikes: Strikes
    service: EwsService

    def post(self, body: bytes, *, user: str = ADDRESS, anchor: str | None = None) -> requests.Response:
        """Send bytes as they are."""
        headers = {"Content-Type": "text/xml; charset=utf-8"}
        if anchor:
            headers["X-AnchorMailbox"] = anchor
        return requests.post(self.url, data=body, headers=headers, auth=(user, "x"), timeout=60)

    def call(self, request: str, *, user: str = ADDRESS, header: str = "", anchor: str | None = None) -> etree._Element:
        """Send a request element and return the answer's envelope; it must be well-formed."""
        version = "" if "RequestServerVersion" in header else '<t:RequestServerVersion Version="Exchange2016"/>'
        body = (
            '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
            'xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages" '
            'xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"><s:Header>'
            f"{version}{header}</s:Header><s:Body>{request}</s:Body>"
            "</s:Envelope>"
        )
        return etree.fromstring(
            self.post(body.encode(), user=user, anchor=anchor).content, etree.XMLParser(huge_tree=True)
        )

    def codes(self, request: str, **how: str) -> list[str]:
        """Send a request element and return the response codes of its answer, a fault's included."""
        answer = self.call(request, **how)
        return [node.text or "" for node in answer.iter(M + "ResponseCode", E + "ResponseCode")]


def item_ids(answer: etree._Element) -> list[tuple[str, str]]:
    """Return the ids and change keys in an answer."""
    return [(str(node.get("Id")), str(node.get("ChangeKey"))) for node in answer.iter(T + "ItemId")]


def texts(answer: etree._Element, name: str) -> list[str]:
    """Return the texts of all elements of a name in the types namespace."""
    return [node.text or "" for node in answer.iter(T + name)]


def a_mail(number: int = 1, *, subject: str | None = None, body: str = "Good morning.", to: str = ADDRESS) -> bytes:
    """Return a small mail."""
    return (
        f"From: Anna Example <anna@example.net>\r\nTo: <{to}>\r\nSubject: {subject or f'Transport {number}'}\r\n"
        f"Message-ID: <{number}@example.net>\r\nDate: Tue, 24 Nov 2026 08:00:00 +0000\r\n\r\n{body}\r\n"
    ).encode()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with three mailboxes."""
    store = Store(tmp_path / "store.db")
    for address in (ADDRESS, OTHER, OUT_OF_SCOPE):
        store.add_mailbox(address)
    yield store
    store.close()


@pytest.fixture
def serve(store: Store) -> Iterator[Callable[[], Ews]]:
    """Start the service on a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    started: list[tuple[EwsService, web.AppRunner]] = []

    def start() -> Ews:
        submitted = Submitted()
        strikes = Strikes()

        async def serving() -> tuple[str, EwsService]:
            times = StreamTimes(heartbeat_seconds=1, minute_seconds=3)
            service = EwsService(
                store, authenticator=authenticate, mail_flow=submitted.take, faults=strikes, stream_times=times
            )
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", service.handle)
            runner = web.AppRunner(app)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            started.append((service, runner))
            port = runner.addresses[0][1]
            return f"http://127.0.0.1:{port}/EWS/Exchange.asmx", service

        url, service = asyncio.run_coroutine_threadsafe(serving(), loop).result(30)
        return Ews(url, store, submitted, strikes, service)

    yield start

    async def stopping() -> None:
        for service, runner in started:
            await runner.cleanup()
            await service.close()

    asyncio.run_coroutine_threadsafe(stopping(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(30)
    loop.close()


@pytest.fixture
def ews(serve: Callable[[], Ews]) -> Ews:
    """The running service."""
    return serve()
