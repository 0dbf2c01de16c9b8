"""Looks at queues and amqp_exchanges, on a connection that is there for something else."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from bridge.adapters.rabbitmq.admin import AdminChannel
from bridge.domain.queue_states import Looked
from bridge.errors import BrokerBlocked, BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from bridge.adapters.rabbitmq.connection import Connection


class RabbitQueueLooks:
    """
    Keeps the promise of `ports.broker.QueueLooks`.

    RabbitMQ logs each refused look as an error: what was refused is not asked for again on the same connection.
    """

    def __init__(self, connection: Callable[[], Connection | None], blocked: Callable[[], bool]) -> None:
        """`connection` returns the one that is open; while it is `blocked` RabbitMQ reads nothing from it."""
        self._open_connection = connection
        self._blocked = blocked
        self._connection: Connection | None = None
        self._refused: set[tuple[str, ...]] = set()
        self._types_refused = False

    async def look(self, amqp_exchanges: Sequence[str], queues: Sequence[str]) -> Sequence[Looked]:
        """Return what each is like; those that this login may not look at are left out."""
        found = []
        async with self._admin_channel() as admin:
            looks = [*(partial(admin.look, "amqp_exchange", name) for name in amqp_exchanges)]
            looks += [*(partial(admin.look, "queue", name) for name in queues)]
            for look in looks:
                if look.args in self._refused:
                    continue
                one = await look()
                if one.state == "refused":
                    self._refused.add(look.args)
                else:
                    found.append(
                        Looked(one.name, one.state == "missing", one.messages or 0, one.consumers or 0, one.kind)
                    )
        return found

    async def not_quorum(self, queues: Sequence[str]) -> Sequence[str]:
        """Return which of these are of another type, as far as this login may ask."""
        found = []
        async with self._admin_channel() as admin:
            for name in () if self._types_refused else queues:
                is_quorum = await admin.is_quorum(name)
                if is_quorum is None:
                    self._types_refused = True  # who may not configure one of the bridge's may configure none
                    break
                if not is_quorum:
                    found.append(name)
        return found

    @asynccontextmanager
    async def _admin_channel(self) -> AsyncIterator[AdminChannel]:
        connection = self._open_connection()
        if connection is None:
            raise BrokerUnavailable("not connected")
        if self._blocked():
            raise BrokerBlocked("memory or disk alarm")
        if connection is not self._connection:
            self._connection = connection
            self._refused.clear()
            self._types_refused = False
        admin = AdminChannel(connection)
        try:
            yield admin
        finally:
            admin.close()
