"""Subscriptions and streams of EWS, for many mailboxes of one Exchange, over connections of their own."""

from __future__ import annotations

import contextlib
import copy
import functools
import queue
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lxml import etree

from bridge.adapters.ews.folder_ids import folder_ids, name_mailbox
from bridge.adapters.ews.folders import folder_id
from bridge.adapters.ews.lanes import Lanes
from bridge.adapters.ews.soap import SOAP, M, element, parse_answer
from bridge.adapters.ews.stream_thread import StreamThread, StreamTimes, stream_error
from bridge.adapters.ews.transport import SessionFactory, session_factory
from bridge.adapters.http_deadline import until
from bridge.domain.notices import Affinity, Subscribed
from bridge.errors import BridgeError, CredentialsRejected, MailboxUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import requests

    from bridge.adapters.ews.client import CallObserver, EwsClient, EwsConnection
    from bridge.adapters.ews.soap import ResponseMessage
    from bridge.domain.notices import Notice
    from bridge.ports.tokens import TokenSource

_EVENTS: Final = ("NewMailEvent", "CreatedEvent", "CopiedEvent", "MovedEvent")
_COOKIE: Final = "X-BackEndOverrideCookie"
_CALLS_AT_A_TIME: Final = 4
_LARGEST_ANSWER_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class _Route:
    """In whose name a call is made, and where it is led."""

    mailbox: str
    lead_mailbox: str
    affinity: Affinity | None


@dataclass(slots=True)
class _Counter:
    """Makes some calls at a time, on connections of its own."""

    threads: Lanes
    sessions: queue.LifoQueue[requests.Session] = field(default_factory=queue.LifoQueue)
    pending: int = 0
    """Calls that are under way or wait, counted on the event loop."""

    def close(self) -> None:
        """Make no more calls."""
        self.threads.close()
        with contextlib.suppress(queue.Empty):
            while True:
                self.sessions.get_nowait().close()


class EwsNotifications:
    """
    Keeps the promise of `ports.notifications.Notifications`. Close it at the end.

    Affinity (Microsoft's "Maintain affinity between a group of subscriptions and the Mailbox server") is the anchor
    mailbox, the wish for affinity, and the cookie that came of it. exchangelib sends the
    cookie as a header of its own name, keeps a session waiting for each stream and logs what it reads: calls are made
    with its sessions and its logins, without its services.
    """

    def __init__(
        self,
        connection: EwsConnection,
        client: EwsClient,
        *,
        tokens: TokenSource | None = None,
        login: tuple[str, str, str] | None = None,
        observe: CallObserver = lambda **_: None,
        times: StreamTimes | None = None,
    ) -> None:
        """`client` looks folders up."""
        self._connection = connection
        self._client = client
        self._observe = observe
        self._times = times or StreamTimes()
        self._streams: set[StreamThread] = set()

        def factory(*, whole: bool) -> SessionFactory:
            return session_factory(
                endpoint=connection.url,
                ca_file=connection.ca_file,
                largest_answer_bytes=_LARGEST_ANSWER_BYTES,
                tokens=tokens,
                login=login,
                whole=whole,
            )

        self._make_session, self._make_stream = factory(whole=True), factory(whole=False)
        # Apart: the server of those that are ended may be the one that answers nothing any more.
        self._subscribing, self._ending = self._counter("ews-subscribe"), self._counter("ews-unsubscribe")

    async def subscribe(
        self, mailbox: str, folders: Sequence[str], *, lead_mailbox: str, affinity: Affinity | None
    ) -> Subscribed:
        """Return a subscription to what comes into folders; see the port."""
        ids = [await folder_id(self._client, mailbox, folder) for folder in folders]
        request = element(
            "m:Subscribe",
            element(
                "m:StreamingSubscriptionRequest",
                folder_ids("t:FolderIds", *ids),
                element("t:EventTypes", *(element("t:EventType", text=event) for event in _EVENTS)),
            ),
        )
        try:
            message, where = await self._call(self._subscribing, _Route(mailbox, lead_mailbox, affinity), request)
            message.raise_error()
        except BridgeError as error:
            raise stream_error(error) from error
        subscription = (message.element.findtext(f"{M}SubscriptionId") or "").strip()
        if not subscription:
            raise MailboxUnavailable("Subscribe answered without a subscription")
        return Subscribed(subscription, where)

    async def unsubscribe(self, mailbox: str, subscription: str, *, affinity: Affinity | None) -> None:
        """End a subscription; one that is gone is no error."""
        request = element("m:Unsubscribe", element("m:SubscriptionId", text=subscription))
        message, _ = await self._call(self._ending, _Route(mailbox, mailbox, affinity), request)
        if message.code not in {"ErrorSubscriptionNotFound", "ErrorSubscriptionUnsubscribed"}:
            message.raise_error()

    @contextlib.asynccontextmanager
    async def stream(
        self, subscriptions: Sequence[str], *, lead_mailbox: str, affinity: Affinity | None
    ) -> AsyncIterator[AsyncIterator[Notice]]:
        """Tell what happens until the stream is over; leaving the context ends it."""
        request = element(
            "m:GetStreamingEvents",
            element("m:SubscriptionIds", *(element("t:SubscriptionId", text=one) for one in subscriptions)),
            element("m:ConnectionTimeout", text=str(self._times.minutes)),
        )
        route = _Route(lead_mailbox, lead_mailbox, affinity)

        def post(timeout_seconds: float) -> requests.Response:
            # A compressed stream would be told when enough has come together to be compressed.
            return self._post(self._make_stream(), route, request, timeout_seconds, {"Accept-Encoding": "identity"})

        thread = StreamThread(post, subscriptions, self._times)
        self._streams.add(thread)
        started, code = time.monotonic(), "ok"
        try:
            yield thread.notices()
        except BridgeError as error:
            code = error.code
            raise
        finally:
            self._streams.discard(thread)
            thread.close()
            self._observe(operation="GetStreamingEvents", code=code, seconds=time.monotonic() - started)

    def change_password(self, password: str) -> None:
        """Sign in with this password from the next call on, where the login is one with a password."""
        for factory in (self._make_session, self._make_stream):
            factory.change_password(password)

    def close(self) -> None:
        """End all streams and close the connections."""
        for thread in tuple(self._streams):
            thread.close()
        self._subscribing.close()
        self._ending.close()

    def _counter(self, name: str) -> _Counter:
        made = _Counter(Lanes(_CALLS_AT_A_TIME, name=name))
        for _ in range(made.threads.most):
            made.sessions.put(self._make_session())
        return made

    async def _call(
        self, counter: _Counter, route: _Route, request: etree._Element
    ) -> tuple[ResponseMessage, Affinity | None]:
        counter.pending += 1
        try:
            work = functools.partial(self._answer, counter, route, request)
            return await counter.threads.run(route.mailbox, str(request.tag), work, reads=False)
        finally:
            counter.pending -= 1

    def _answer(
        self, counter: _Counter, route: _Route, request: etree._Element
    ) -> tuple[ResponseMessage, Affinity | None]:
        operation = str(request.tag).rpartition("}")[2]
        started, code = time.monotonic(), "ok"
        session = counter.sessions.get()
        try:
            response = self._post(session, route, request, self._connection.call_timeout_seconds, {})
            if response.status_code == 401:
                raise CredentialsRejected("Exchange refused the login (HTTP 401)", code="login_refused")
            messages = parse_answer(response.content, operation)
            if len(messages) != 1:
                raise MailboxUnavailable("another number of answers than of questions")
            code = messages[0].error.code if messages[0].error is not None else "ok"
            return messages[0], _affinity_of(response)
        except BridgeError as error:
            code = error.code
            raise
        finally:
            if counter.pending <= _CALLS_AT_A_TIME:
                session.close()  # nobody waits for its connection, and the next call may be hours away
            counter.sessions.put(session)
            self._observe(operation=operation, code=code, seconds=time.monotonic() - started)

    def _post(
        self,
        session: requests.Session,
        route: _Route,
        request: etree._Element,
        timeout_seconds: float,
        headers: dict[str, str],
    ) -> requests.Response:
        headers = {**headers, "X-AnchorMailbox": route.lead_mailbox, "X-PreferServerAffinity": "true"}
        session.cookies.clear()  # one mailbox's server is not the next one's
        if route.affinity is not None:
            headers["Cookie"] = f"{_COOKIE}={route.affinity.token}"
        name_mailbox(request, route.mailbox)
        body = _envelope(request, route.mailbox if self._connection.impersonate else None)
        try:
            with until(time.monotonic() + timeout_seconds):
                return session.post(
                    self._connection.url,
                    data=body,
                    headers=headers,
                    timeout=timeout_seconds,
                    stream=True,
                    allow_redirects=False,
                )
        except BridgeError:
            raise
        except Exception as error:  # the login libraries raise whatever an odd answer makes them stumble over
            raise MailboxUnavailable(type(error).__name__) from error


def _affinity_of(response: requests.Response) -> Affinity | None:
    # It may be there twice, for several paths; asked for by its name alone it would then be an error.
    value = next((cookie.value for cookie in response.cookies if cookie.name == _COOKIE and cookie.value), None)
    return Affinity(value.partition("~")[0], value) if value else None


def _envelope(request: etree._Element, impersonated: str | None) -> bytes:
    header = etree.Element(f"{{{SOAP}}}Header")
    header.append(element("t:RequestServerVersion", Version="Exchange2013_SP1"))
    if impersonated is not None:
        sid = element("t:ConnectingSID", element("t:PrimarySmtpAddress", text=impersonated))
        header.append(element("t:ExchangeImpersonation", sid))
    body = etree.Element(f"{{{SOAP}}}Body")
    body.append(copy.deepcopy(request))
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"s": SOAP})
    envelope.extend((header, body))
    return etree.tostring(envelope, xml_declaration=True, encoding="utf-8")
