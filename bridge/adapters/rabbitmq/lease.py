"""
Leases: an exclusive queue of a name, which the broker gives to one connection at a time and takes away with it.

Advisory. A worker that is frozen or cut off does not know that its lease has passed on, so nothing rests on it
but order and rare repeats. What is promised here: a holder whose connection cannot be proved within a heartbeat hears
so, and within six at the latest one whose lease somebody deleted.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import weakref
from typing import TYPE_CHECKING, Final

from pika.exceptions import AMQPError

from bridge.adapters.rabbitmq.connection import abandon, open_channel
from bridge.errors import BridgeError, BrokerUnavailable, QueueTaken
from bridge.wire.broker_replies import QUEUE_DOWN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from bridge.adapters.rabbitmq.connection import Connection, OpenChannel

_FEW: Final = 10
_MOST_PROOFS: Final = 6
"""Where many leases are held on a connection, that is proved by any of them; each in its turn after so many proofs."""


class Leases:
    """The leases of one process. Names are those of `bridge.wire.topology.lease_queue`."""

    def __init__(self, proof_seconds: float) -> None:
        """A connection is proved anew so often, by leases on it; one that gives no proof for as long is given up."""
        self._proof_seconds = proof_seconds
        self._held: set[str] = set()
        self._asked_at: weakref.WeakKeyDictionary[object, float] = weakref.WeakKeyDictionary()

    @contextlib.asynccontextmanager
    async def hold(
        self, connection: Connection, name: str, *, silent: Callable[[], bool] = lambda: False
    ) -> AsyncIterator[asyncio.Event]:
        """
        Hold a lease; the event is set once it is lost, or cannot be proved any more.

        While `silent` says that the broker does not read from this connection, no proof is asked for.

        Raises:
            QueueTaken: Somebody else holds it.
            BrokerAccessRefused: This login has no right to configure the name.
            BrokerUnavailable: The connection was lost.
        """
        # The broker lets one connection declare its own exclusive queue twice.
        if name in self._held:
            raise QueueTaken(f"{name} is held by this very process")
        self._held.add(name)
        try:
            async with _exclusive_queue(connection, name) as channel:
                lost = asyncio.Event()
                proving = asyncio.create_task(self._keep_proving(connection, channel, name, lost, silent))
                try:
                    yield lost
                finally:
                    proving.cancel()
                    await asyncio.gather(proving, return_exceptions=True)
        finally:
            self._held.discard(name)

    async def _keep_proving(
        self,
        connection: Connection,
        channel: OpenChannel,
        name: str,
        lost: asyncio.Event,
        silent: Callable[[], bool],
    ) -> None:
        wait = self._proof_seconds
        checked_at = time.monotonic()
        good_seconds = random.random() * self._good_seconds  # noqa: S311 - those that begin together are checked apart
        try:
            while True:
                await asyncio.wait({channel.closed}, timeout=wait)
                wait = self._proof_seconds
                if channel.closed.done():
                    return
                if silent() or (time.monotonic() - checked_at < good_seconds and self._is_asked(connection)):
                    continue
                heard = connection.amqp.bytes_received
                # Also where somebody deleted the queue by hand: it is there again, or another's by now.
                try:
                    with self._asking(connection):
                        async with asyncio.timeout(self._proof_seconds):
                            await channel.call(channel.amqp.queue_declare, queue=name, exclusive=True)
                    checked_at, good_seconds = time.monotonic(), self._good_seconds
                except TimeoutError:
                    # The answer may be behind a heap of confirms, or behind whatever held up this process; an alarm
                    # may have begun since. A connection on which anything comes lives, and the lease with it.
                    if silent():
                        continue
                    if connection.amqp.bytes_received > heard:
                        wait = 0.0
                        continue
                    # What was published on it stays unanswered: better known now than after all of its heartbeats.
                    abandon(connection.amqp)
                    return
        except BridgeError:
            return
        finally:
            lost.set()

    @property
    def _good_seconds(self) -> float:
        """How long a lease is believed in after it was checked itself: no time where there are few."""
        return self._proof_seconds * (min(len(self._held) / _FEW, _MOST_PROOFS) - 1.0)

    def _is_asked(self, connection: Connection) -> bool:
        """Whether another lease has proved the connection just now, or is about to; if it cannot, all are lost."""
        return time.monotonic() - self._asked_at.get(connection.amqp, float("-inf")) < self._proof_seconds / 2

    @contextlib.contextmanager
    def _asking(self, connection: Connection) -> Iterator[None]:
        self._asked_at[connection.amqp] = time.monotonic()
        try:
            yield
        except BaseException:  # whoever gave up in between has proved nothing
            self._asked_at.pop(connection.amqp, None)
            raise


@contextlib.asynccontextmanager
async def _exclusive_queue(connection: Connection, name: str) -> AsyncIterator[OpenChannel]:
    try:
        channel = await _declared(connection, name)
    except BrokerUnavailable as error:
        if error.code != QUEUE_DOWN:
            raise
        # What a virtual host that was closed, and opened again, leaves of a lease: a name without a process, which no
        # connection can have before it is deleted. That is done by now.
        channel = await _declared(connection, name)
    try:
        yield channel
    finally:
        await _let_go(connection, channel, name)


async def _declared(connection: Connection, name: str) -> OpenChannel:
    channel = await open_channel(connection)
    try:
        await channel.call(channel.amqp.queue_declare, queue=name, exclusive=True)
    except QueueTaken:
        raise
    except BaseException:
        # Whoever gives up before the answer may have it all the same.
        await _let_go(connection, channel, name)
        raise
    return channel


async def _let_go(connection: Connection, channel: OpenChannel, name: str) -> None:
    """
    Delete the queue if it is ours: it would last as long as the connection, and nobody could have it.

    Also where the channel was closed over something else. What is another connection's RabbitMQ refuses to delete.
    """
    try:
        if not channel.is_open and connection.amqp.is_open:
            channel = await open_channel(connection)
        if channel.is_open:
            # Without waiting for the answer, so that it is on its way whoever is cancelled. It goes out in its turn.
            channel.amqp.queue_delete(queue=name)
    except (BridgeError, AMQPError):
        return  # then it goes with the connection
    finally:
        await close_channel(channel)


async def close_channel(channel: OpenChannel) -> None:
    """Close a channel and wait until the broker has done so, or does not answer."""
    channel.close()
    await asyncio.wait({channel.closed}, timeout=channel.answer_timeout_seconds)
