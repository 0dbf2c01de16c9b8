"""
Calls to Exchange: a fixed number of connections and threads, whatever the number of mailboxes.

Exchange calls block, for minutes when Exchange is slow; they never run on the event loop's thread. Each connection
(a lane) is used by one thread at a time. As many again are there for calls without an answer, so that these keep none
from the mailboxes that answer. Nothing is ever repeated here: retries belong to the workers.
"""

from __future__ import annotations

import contextlib
import functools
import math
import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from exchangelib import DELEGATE, IMPERSONATION, Build, Configuration, FailFast, Version
from exchangelib.account import Identity
from exchangelib.errors import EWSError, UnauthorizedError
from exchangelib.services.common import EWSAccountService
from exchangelib.transport import NOAUTH

from bridge.adapters.ews.fair_queue import FairQueue
from bridge.adapters.ews.folder_ids import name_mailbox
from bridge.adapters.ews.lanes import Lanes
from bridge.adapters.ews.low_priority_limit import LowPriorityLimit
from bridge.adapters.ews.mailbox_identity import IdentityProof, KnownMailboxes
from bridge.adapters.ews.soap import ResponseMessage, parse_answer
from bridge.adapters.ews.streamed import StreamedAnswer
from bridge.adapters.ews.transport import LaneProtocol, session_factory
from bridge.adapters.http_body import bodies_into
from bridge.adapters.http_deadline import looking, until
from bridge.adapters.http_insertion import inserting
from bridge.errors import BridgeError, CredentialsRejected, MailboxThrottled, MailboxUnavailable
from bridge.ports.server_time import ServerTime

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from lxml import etree

    from bridge.adapters.ews.streamed import StreamedMime
    from bridge.adapters.http_insertion import Insertion
    from bridge.ports.tokens import TokenSource

# Every operation of the bridge is in the schema of Exchange2013_SP1, which Exchange SE and Exchange Online speak.
_REST_AFTER_SECONDS = 10.0
"""A connection that was not needed for so long is closed; the last one used is the next one taken."""
_SLOWEST_BYTES_PER_SECOND = 1 << 20
_API_VERSION = Version(build=Build(15, 0, 847, 0), api_version="Exchange2013_SP1")


class CallObserver(Protocol):
    """Is told about each call: the operation, the outcome's code (`ok` if none), and its seconds."""

    def __call__(self, *, operation: str, code: str, seconds: float) -> None:
        """Take note."""


@dataclass(frozen=True, slots=True)
class EwsConnection:
    """How Exchange is reached."""

    url: str
    ca_file: str | None = None
    connections: int = 8
    call_timeout_seconds: float = 60.0
    largest_answer_bytes: int = 512 << 20
    impersonate: bool = True


class _Account:
    """What exchangelib's services ask of an account; making one costs nothing and calls nobody."""

    def __init__(self, address: str, protocol: LaneProtocol, *, impersonate: bool) -> None:
        self.primary_smtp_address = address
        self.protocol = protocol
        self.access_type = IMPERSONATION if impersonate else DELEGATE
        self.identity = Identity(primary_smtp_address=address)
        self.version = _API_VERSION
        self.default_timezone = None
        self.affinity_cookie = None


class _Service(EWSAccountService):  # type: ignore[misc]  # exchangelib publishes no types
    """One call of any operation, with the body of the answer as bytes."""

    SERVICE_NAME = "any"

    def post(self, payload: etree._Element) -> bytes:
        try:
            response = self._get_response(payload=payload, api_version=_API_VERSION.api_version)
        except (BridgeError, EWSError):
            raise
        except Exception as error:  # the login libraries raise whatever an odd answer makes them stumble over
            raise MailboxUnavailable(type(error).__name__) from error
        return bytes(response.content)


class EwsClient:
    """All calls of a worker to one Exchange. Close it at the end."""

    def __init__(
        self,
        connection: EwsConnection,
        *,
        tokens: TokenSource | None = None,
        login: tuple[str, str, str] | None = None,
        observe: CallObserver = lambda **_: None,
        server_time: ServerTime | None = None,
        known: KnownMailboxes | None = None,
    ) -> None:
        """Where `known` is given, no call is made in a mailbox before it has proved to be the one of its address."""
        self._connection = connection
        self._proof = (
            IdentityProof(self._ask, known, impersonates=connection.impersonate) if known is not None else None
        )
        self._observe = observe
        self.time = server_time or ServerTime("Exchange")
        """Exchange's clock, as its answers tell it."""
        self._threads = Lanes(connection.connections, name="ews")
        self._turns: dict[str, FairQueue] = {}
        self._answered_at: dict[str, float] = {}
        self._answer = threading.local()
        """Of what kind the last call on this thread was: those of a kind take equally long where nothing waits."""
        self._room = LowPriorityLimit(max(1, connection.connections // 2))
        """What nobody waits for uses half of the connections, as long as that is enough."""
        self._lanes: queue.LifoQueue[LaneProtocol] = queue.LifoQueue()
        self._make_session = session_factory(
            endpoint=connection.url,
            ca_file=connection.ca_file,
            largest_answer_bytes=connection.largest_answer_bytes,
            tokens=tokens,
            login=login,
            server_time=self.time,
        )
        for _ in range(self._threads.most):
            configuration = Configuration(
                service_endpoint=connection.url,
                auth_type=NOAUTH,
                version=_API_VERSION,
                retry_policy=FailFast(),
                max_connections=1,
            )
            self._lanes.put(LaneProtocol(configuration, self._make_session))

    async def call(
        self,
        address: str,
        payload: etree._Element,
        *,
        timeout_seconds: float | None = None,
        look: Callable[[], None] = lambda: None,
    ) -> list[ResponseMessage]:
        """
        Return the response messages of one operation in one mailbox; a single one may hold an error.

        `look` is called, on another thread, right before the request goes out; what it raises is raised here instead.

        Raises:
            MailboxUnavailable: No connection or no usable answer. A call that changes something may have worked.
            BridgeError: The meaning of a refusal of the whole call.
        """
        await self._proved(address)
        async with self._room.enough():
            return await self._ask(address, payload, timeout_seconds, look)

    async def _proved(self, address: str) -> None:
        if self._proof is not None:
            await self._proof.ensure(address)

    async def _ask(
        self,
        address: str,
        payload: etree._Element,
        timeout_seconds: float | None = None,
        look: Callable[[], None] = lambda: None,
    ) -> list[ResponseMessage]:
        operation = _operation(payload)
        reads = operation.startswith(("Find", "Get"))
        work = functools.partial(self._call, address, payload, timeout_seconds, look)
        return await self._in_turn(address, operation, work, reads=reads)

    async def call_for_mime(
        self, address: str, payload: etree._Element, mime: StreamedMime, *, size_bytes: int
    ) -> list[ResponseMessage]:
        """
        Return the same for a mail whose MIME goes to `mime` as it comes; it takes as much longer as it is larger.

        Raises:
            BridgeError: As for `call`.
        """
        await self._proved(address)
        seconds = self._connection.call_timeout_seconds + size_bytes / _SLOWEST_BYTES_PER_SECOND
        work = functools.partial(self._exchange, address, payload, seconds, mime)
        # It may take long, and be no less of an answer.
        return await self._in_turn(address, _operation(payload), work, reads=False)

    async def call_with_content(
        self, address: str, payload: etree._Element, content: Insertion, *, timeout_seconds: float | None = None
    ) -> list[ResponseMessage]:
        """
        Return the same for a request in which content takes the place of its mark on the way out.

        Raises:
            BridgeError: As for `call`.
        """
        await self._proved(address)

        def work() -> list[ResponseMessage]:
            with inserting(content):
                return self._exchange(address, payload, timeout_seconds)

        return await self._in_turn(address, _operation(payload), work, reads=False)

    @property
    def call_timeout_seconds(self) -> float:
        """How long the whole answer to a call may take, unless the call says otherwise."""
        return self._connection.call_timeout_seconds

    async def call_one(self, address: str, payload: etree._Element) -> ResponseMessage:
        """
        Return the response message of an operation on one thing.

        Raises:
            MailboxUnavailable: As for `call`, or another number of messages came.
            BridgeError: The meaning of a refusal, of the whole call or in its message.
        """
        messages = await self.call(address, payload)
        if len(messages) != 1:
            raise MailboxUnavailable("another number of answers than of questions")
        messages[0].raise_error()
        return messages[0]

    async def _in_turn(
        self, address: str, operation: str, work: Callable[[], list[ResponseMessage]], *, reads: bool
    ) -> list[ResponseMessage]:
        """Return the answer to a call, made when its mailbox may have one more."""

        def answered() -> tuple[list[ResponseMessage], tuple[str, int]]:
            self._answer.kind = "", 0
            return work(), self._answer.kind

        async with self._turns_of(address).one() as turn:
            messages, turn.kind = await self._threads.run(address, operation, answered, reads=reads)
            turn.throttled = any(isinstance(message.error, MailboxThrottled) for message in messages)
            return messages

    def _turns_of(self, address: str) -> FairQueue:
        """Return what keeps one mailbox, whose calls hang, from holding every connection: half of them at most."""
        if address not in self._turns:
            slow = self._connection.call_timeout_seconds / 2
            self._turns[address] = FairQueue(self._connection.connections, slow_seconds=slow)
            if len(self._turns) > 1:
                for turns in self._turns.values():
                    turns.limit.change(self._connection.connections // 2)
        return self._turns[address]

    @property
    def calls_allowed(self) -> int | None:
        """How many calls may be in progress for the mailbox that is allowed the fewest; None before there was any."""
        return min((turns.limit.size for turns in self._turns.values()), default=None)

    @property
    def calls_unanswered(self) -> int:
        """How many calls in progress are without an answer for long, or of mailboxes that give none."""
        return self._threads.unanswered

    def answered_seconds_ago(self, address: str) -> float:
        """Return how long ago a call in a mailbox was answered without an error; inf: never."""
        return time.monotonic() - self._answered_at.get(address, -math.inf)

    def now(self) -> datetime:
        """Return the time by Exchange's clock, which goes on between its answers whatever is done to this machine's."""
        return self.time.now()

    def _call(
        self, address: str, payload: etree._Element, timeout_seconds: float | None, look: Callable[[], None]
    ) -> list[ResponseMessage]:
        with looking(look):
            return self._exchange(address, payload, timeout_seconds)

    def _exchange(
        self,
        address: str,
        payload: etree._Element,
        timeout_seconds: float | None,
        mime: StreamedMime | None = None,
    ) -> list[ResponseMessage]:
        operation = _operation(payload)
        name_mailbox(payload, address)
        started = time.monotonic()
        lane = self._lanes.get()
        code = "ok"
        try:
            account = _Account(address, lane, impersonate=self._connection.impersonate)
            timeout = timeout_seconds or self._connection.call_timeout_seconds
            service = _Service(account=account, timeout=timeout)
            # One deadline, though a login takes several requests and a token may have to be had first.
            stream = StreamedAnswer(mime) if mime is not None else None
            with until(time.monotonic() + timeout), bodies_into(stream.feed) if stream else contextlib.nullcontext():
                answer = service.post(payload)
            messages = stream.close(operation) if stream and stream.fed else parse_answer(answer, operation)
            code = _outcome(messages)
            if code == "ok":
                self._answered_at[address] = time.monotonic()
            # An answer twice as large may take twice as long.
            self._answer.kind = operation, (mime.size if mime is not None else len(answer)).bit_length()
        except BridgeError as error:
            code = error.code
            raise
        except UnauthorizedError as error:
            refused = CredentialsRejected("Exchange refused the login (HTTP 401)", code="login_refused")
            code = refused.code
            raise refused from error
        except EWSError as error:
            code = MailboxUnavailable.code
            raise MailboxUnavailable(type(error).__name__) from error
        finally:
            lane.used_at = time.monotonic()
            self._lanes.put(lane)
            self._rest_one()
            self._observe(operation=operation, code=code, seconds=time.monotonic() - started)
        return messages

    def _rest_one(self) -> None:
        """Close a connection that has not been needed for long."""
        due = time.monotonic() - _REST_AFTER_SECONDS
        with self._lanes.mutex:
            idle = next((lane for lane in self._lanes.queue if lane.used_at is not None and lane.used_at < due), None)
            if idle is None:
                return
            self._lanes.queue.remove(idle)
        idle.rest()
        with self._lanes.mutex:
            self._lanes.queue.insert(0, idle)  # under the others: it is taken last
            self._lanes.not_empty.notify()

    def change_password(self, password: str) -> None:
        """Sign in with this password from the next call on, where the login is one with a password."""
        self._make_session.change_password(password)

    def close(self) -> None:
        """Close the connections; calls under way end first or with their timeout."""
        self._threads.close()
        while True:
            try:
                self._lanes.get_nowait().close()
            except queue.Empty:
                return


def _operation(payload: etree._Element) -> str:
    return str(payload.tag).rpartition("}")[2]


def _outcome(messages: Sequence[ResponseMessage]) -> str:
    return next((message.error.code for message in messages if message.error is not None), "ok")
