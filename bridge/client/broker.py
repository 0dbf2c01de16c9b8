"""Asking for mails, and taking payloads from queues, one call after the other."""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, TypeVar

import pika
from pika import exceptions as amqp

from bridge.client.connecting import SignIn, close, connect, limited, translated
from bridge.domain.disposition import RetryPolicy
from bridge.errors import BrokerUnavailable, PublishUnconfirmed, TransientError
from bridge.wire import event_v1, inbound_v1, outbound_v1
from bridge.wire.topology import EVENTS, INBOUND, OUTBOUND, check_alias, outbound_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from pika.adapters.blocking_connection import BlockingChannel

    from bridge.wire.event_v1 import MailEvent
    from bridge.wire.inbound_v1 import InboundMail
    from bridge.wire.outbound_v1 import OutboundRequest

_log = logging.getLogger(__name__)

_Payload = TypeVar("_Payload")

_PAUSES = RetryPolicy(first_seconds=0.5, longest_seconds=10.0, spread_factors=(1.0, 1.0))


@dataclass(frozen=True, slots=True)
class Received(Generic[_Payload]):
    """One payload from a queue. Settle it with `ack`, `requeue` or `reject`; unsettled it comes again later."""

    payload: _Payload
    message_id: str | None
    """What to drop repeats by."""
    routing_key: str
    headers: Mapping[str, object]
    redelivered: bool
    """Whether it was given to somebody before, who may have dealt with it."""
    body: bytes
    """The payload as it came."""
    _channel: BlockingChannel
    _delivery_tag: int

    def ack(self) -> None:
        """Tell the broker that it is dealt with. After a lost connection this does nothing, and it comes again."""
        if self._channel.is_open:
            with translated():
                self._channel.basic_ack(self._delivery_tag)

    def requeue(self) -> None:
        """Give it back, to be delivered again, to this or another consumer; it counts against the delivery limit."""
        if self._channel.is_open:
            with translated():
                self._channel.basic_nack(self._delivery_tag, requeue=True)

    def reject(self) -> None:
        """Refuse it for good: it goes where the queue dead-letters, for mails to `mail.inbound.dead`."""
        if self._channel.is_open:
            with translated():
                self._channel.basic_nack(self._delivery_tag, requeue=False)


class BridgeClient:
    """
    A connection to the broker for one thread; made at the first use, and anew after a loss, at the next url.

    Every failure is a `BridgeError`: a `TransientError` may be tried again, an `OperatorError` needs a person.
    """

    def __init__(
        self,
        *urls: str,
        ca_file: Path | None = None,
        timeout_seconds: float = 30.0,
        sign_in: SignIn | None = None,
    ) -> None:
        """
        Prepare a client; nothing is connected yet.

        Args:
            urls: `amqp://` or `amqps://` with user, password and virtual host: one, or a cluster's nodes, of which the
                first that answers is taken.
            ca_file: PEM file with the CA certificates to trust for `amqps://`, instead of the system's.
            timeout_seconds: Longest wait for the broker's confirm of a request.
            sign_in: How to sign in where it is by a certificate or by tokens.
        """
        if not urls:
            raise ValueError("a client needs the url of a broker")
        self._urls = urls
        self._turn = 0
        self._ca_file = ca_file
        self._timeout_seconds = timeout_seconds
        self._sign_in = sign_in
        self._connection: pika.BlockingConnection | None = None
        self._publishing: BlockingChannel | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect; what is unsettled goes back to its queue."""
        connection, self._connection, self._publishing = self._connection, None, None
        if connection is not None:
            close(connection)

    def publish_request(self, request: OutboundRequest, *, mailbox: str, urgent: bool = False) -> None:
        """
        Return once the broker holds the request to send a mail from a mailbox.

        After a `TransientError` publish the same request again, with the same `request_id`: it is sent once.

        Raises:
            ValueError: `mailbox` is no alias.
            BrokerUnavailable: No connection.
            PublishUnconfirmed: No confirm in time; the broker may hold it or not.
            PublishRefused: The queue takes nothing at the moment.
            PublishUnroutable: Neither the mailbox's queue nor the one for unknown mailboxes is there.
            MessageTooLarge: The broker carries no message of that size.
            BrokerAccessRefused: This login may not do that.
            TopologyMissing: `bridge topology apply` was not run.
        """
        body = request.model_dump_json(exclude_none=True).encode()
        properties = pika.BasicProperties(
            content_type=outbound_v1.CONTENT_TYPE,
            delivery_mode=pika.DeliveryMode.Persistent.value,
            message_id=request.request_id,
            correlation_id=request.correlation_id,
            timestamp=int(datetime.now(UTC).timestamp()),
            type=outbound_v1.NAME,
        )
        key = outbound_key(check_alias(mailbox), urgent=urgent)
        try:
            with translated():
                connection, channel = self._publisher()
                with limited(connection, self._timeout_seconds):
                    channel.basic_publish(OUTBOUND, key, body, properties, mandatory=True)
        except (BrokerUnavailable, PublishUnconfirmed):
            self.close()  # of no use any more
            raise

    def mails(
        self, queue: str = INBOUND, *, prefetch: int = 20, idle_seconds: float | None = None
    ) -> Iterator[Received[InboundMail]]:
        """Yield the mails of a queue; see `consume`."""
        return self.consume(queue, inbound_v1.from_json, prefetch=prefetch, idle_seconds=idle_seconds)

    def events(
        self, queue: str = EVENTS, *, prefetch: int = 20, idle_seconds: float | None = None
    ) -> Iterator[Received[MailEvent]]:
        """Yield the events of a queue; see `consume`, and `subscribe_events` for a queue of one's own."""
        return self.consume(queue, event_v1.from_json, prefetch=prefetch, idle_seconds=idle_seconds)

    def subscribe_events(self, *routing_keys: str) -> str:
        """
        Return the name of a new queue for the events of these names (all, where none is given).

        It lives as long as this client's connection, and needs the right to configure queues named `cad.*`.

        Raises:
            BrokerUnavailable: No connection.
            BrokerAccessRefused: This login may not do that.
            TopologyMissing: `bridge topology apply` was not run.
        """
        name = f"cad.events.{secrets.token_hex(8)}"
        with translated():
            channel = self._connected().channel()
            channel.queue_declare(name, exclusive=True)
            for key in routing_keys or ("#",):
                channel.queue_bind(name, EVENTS, key)
            channel.close()
        return name

    def consume(
        self,
        queue: str,
        read: Callable[[bytes], _Payload],
        *,
        prefetch: int = 20,
        idle_seconds: float | None = None,
    ) -> Iterator[Received[_Payload]]:
        """
        Yield what arrives in a queue, for ever, through lost connections; at most `prefetch` are unsettled.

        A body that `read` refuses with ValueError is rejected, so that it holds nothing up, and logged by its
        message_id. Settle in the thread that iterates. Long work between two payloads is fine up to half a minute;
        after a minute without a sign of life the broker takes the connection for dead and delivers again.

        Args:
            queue: Which one.
            read: Makes the payload from the body.
            prefetch: How many are delivered ahead.
            idle_seconds: Return after so long without a delivery; None waits for ever.

        Raises:
            BrokerAccessRefused: This login may not consume it.
            TopologyMissing: There is no such queue.
        """
        failures = 0
        while True:
            try:
                with translated():
                    for received in self._consume_once(queue, read, prefetch, idle_seconds):
                        failures = 0
                        yield received
                    return
            except TransientError as error:
                failures += 1
                pause = _PAUSES.wait_seconds(failures)
                _log.warning("the broker cannot be reached (%s); next attempt in %g s", error.code, pause)
                self.close()
                time.sleep(pause)

    def _consume_once(
        self, queue: str, read: Callable[[bytes], _Payload], prefetch: int, idle_seconds: float | None
    ) -> Iterator[Received[_Payload]]:
        channel = self._connected().channel()
        try:
            channel.basic_qos(prefetch_count=prefetch)
            for method, properties, body in channel.consume(queue, inactivity_timeout=idle_seconds):
                if method is None or properties is None or body is None:
                    return
                try:
                    payload = read(body)
                except ValueError:
                    _log.error(
                        "message %s in %s is not what its reader expects; rejected", properties.message_id, queue
                    )
                    channel.basic_nack(method.delivery_tag, requeue=False)
                    continue
                yield Received(
                    payload,
                    properties.message_id,
                    method.routing_key,
                    properties.headers or {},
                    method.redelivered,
                    body,
                    channel,
                    method.delivery_tag,
                )
            # pika ends the iteration without a word when the broker cancels the consumer: the queue was deleted.
            channel.queue_declare(queue, passive=True)
            raise amqp.ConsumerCancelled
        finally:
            with contextlib.suppress(amqp.AMQPError):  # closed already, or with the connection
                channel.close()

    def _publisher(self) -> tuple[pika.BlockingConnection, BlockingChannel]:
        connection = self._connected()
        if self._publishing is None or not self._publishing.is_open:
            self._publishing = connection.channel()
            self._publishing.confirm_delivery()
        return connection, self._publishing

    def _connected(self) -> pika.BlockingConnection:
        if self._connection is not None and self._connection.is_open:
            # Closed by the broker while nobody looked? Only a look tells.
            try:
                self._connection.process_data_events(0)
            except (amqp.AMQPError, OSError):
                self._connection = None
        if self._connection is None or not self._connection.is_open:
            self._publishing = None
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> pika.BlockingConnection:
        for left in reversed(range(len(self._urls))):
            url = self._urls[self._turn % len(self._urls)]
            self._turn += 1  # after a loss, too: another node first
            try:
                return connect(url, self._ca_file, self._sign_in)
            except BrokerUnavailable:
                if not left:
                    raise
        raise AssertionError("there is at least one url")
