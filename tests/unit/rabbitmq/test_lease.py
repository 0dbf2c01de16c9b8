"""A lease leaves nothing behind on a connection that lives on, and proves nothing by a question that failed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest
from pika.exceptions import ChannelClosedByBroker, ChannelClosedByClient, ChannelWrongStateError

from bridge.adapters.rabbitmq.connection import Connection
from bridge.adapters.rabbitmq.lease import Leases
from bridge.errors import BrokerUnavailable
from bridge.wire.topology import reader_lease

if TYPE_CHECKING:
    from collections.abc import Callable

_LEASE = reader_lease("dispatch")


class Channel:
    """Answers at once; the broker can close it."""

    def __init__(self, queues: set[str]) -> None:
        self.is_open = True
        self._queues = queues
        self._closed: list[Callable[[object, Exception], None]] = []

    def add_on_close_callback(self, callback: Callable[[object, Exception], None]) -> None:
        self._closed.append(callback)

    def queue_declare(self, *, queue: str, exclusive: bool, callback: Callable[[object], None]) -> None:
        assert exclusive
        self._check_open()
        self._queues.add(queue)
        callback(None)

    def queue_delete(self, *, queue: str) -> None:
        self._check_open()
        self._queues.discard(queue)

    def close(self) -> None:
        self._check_open()
        self.end(ChannelClosedByClient(200, "Normal shutdown"))

    def end(self, reason: Exception) -> None:
        """Close it for whatever reason."""
        self.is_open = False
        for callback in self._closed:
            callback(self, reason)

    def _check_open(self) -> None:
        if not self.is_open:
            raise ChannelWrongStateError("Channel is closed.")


class AmqpConnection:
    """Keeps its exclusive queues as long as it lives, whatever becomes of the channels that declared them."""

    is_open = True
    bytes_received = 0

    def __init__(self) -> None:
        self.queues: set[str] = set()
        self.channels: list[Channel] = []

    def channel(self, *, on_open_callback: Callable[[object], None]) -> Channel:
        channel = Channel(self.queues)
        self.channels.append(channel)
        on_open_callback(channel)
        return channel

    def connection(self) -> Connection:
        """Return it as `connect` does."""
        return Connection(cast("Any", self), asyncio.get_running_loop().create_future(), answer_timeout_seconds=60.0)


async def test_the_queue_of_a_lease_is_deleted_also_where_the_broker_closed_its_channel() -> None:
    """The connection lives on, and would keep the queue from all others."""
    amqp = AmqpConnection()

    async with Leases(60.0).hold(amqp.connection(), _LEASE) as lost:
        assert amqp.queues == {_LEASE}
        amqp.channels[0].end(ChannelClosedByBroker(404, "NOT_FOUND"))
        await lost.wait()

    assert amqp.queues == set()
    assert [channel.is_open for channel in amqp.channels] == [False, False]


@pytest.mark.parametrize("failure", [TimeoutError(), BrokerUnavailable("no answer"), asyncio.CancelledError()])
async def test_a_question_that_failed_proves_the_connection_for_no_other_lease(failure: BaseException) -> None:
    """The next lease whose turn it is has to ask."""
    leases, connection = Leases(60.0), AmqpConnection().connection()

    def ask_in_vain() -> None:
        with leases._asking(connection):
            assert leases._is_asked(connection)
            raise failure

    with pytest.raises(type(failure)):
        ask_in_vain()

    assert not leases._is_asked(connection)
