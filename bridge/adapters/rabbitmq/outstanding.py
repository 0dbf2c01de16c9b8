"""Publishes that were written and not answered yet, by delivery tag; no input or output of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.errors import (
    BridgeError,
    BrokerAccessRefused,
    MessageTooLarge,
    PublishRefused,
    PublishUnconfirmed,
    PublishUnroutable,
    TopologyMissing,
)
from bridge.ports.broker import PublishReceipt

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

_EXCHANGE = re.compile(r"exchange '([^']*)'")
_DEFAULT_EXCHANGE = "amq.default"
"""What RabbitMQ's replies call the amqp_exchange without a name."""
_SIZE = re.compile(r"message size (\d+) is larger than")


@dataclass(slots=True)
class Written:
    """One publish on its way."""

    future: asyncio.Future[PublishReceipt]
    message_id: str
    amqp_exchange: str
    routing_key: str
    size_bytes: int
    written_at: float
    returned: bool = field(default=False)


Settled = tuple[Written, BridgeError | None]


class Outstanding:
    """
    What was written on one channel, in the order of delivery tags, which count from 1.

    `on_settled` is told each outcome, after its future has got it.
    """

    def __init__(self, on_settled: Callable[[Written, BridgeError | None], None]) -> None:
        self._on_settled = on_settled
        self._written: dict[int, Written] = {}
        self._last_tag = 0
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._written)

    def add(self, written: Written) -> None:
        """Note a publish that was just written; its tag is one more than the last."""
        self._last_tag += 1
        self._written[self._last_tag] = written
        self.size_bytes += written.size_bytes

    def returned(self, message_id: str | None, amqp_exchange: str, routing_key: str) -> None:
        """
        Note a `basic.return`: no queue wanted the message. The broker sends it before the message's ack.

        It carries no delivery tag; the oldest publish of that identity which was not returned yet is meant.
        """
        for written in self._written.values():
            if not written.returned and (written.message_id, written.amqp_exchange, written.routing_key) == (
                message_id,
                amqp_exchange,
                routing_key,
            ):
                written.returned = True
                return

    def acked(self, tag: int, *, multiple: bool) -> None:
        """The broker holds these messages, except those that it returned."""
        for written in self._take(tag, multiple=multiple):
            self._settle(written, PublishUnroutable("no queue is bound for it") if written.returned else None)

    def nacked(self, tag: int, *, multiple: bool) -> None:
        """The broker does not take responsibility for these messages; one of several queues may hold them."""
        for written in self._take(tag, multiple=multiple):
            self._settle(written, PublishRefused("the broker answered nack; a queue may be full"))

    def expire(self, before: float) -> float | None:
        """
        Give up what was written before a moment.

        Returns:
            When the latest of those given up was written; None where there was none.
        """
        latest = None
        for tag, written in list(self._written.items()):
            if written.written_at > before:
                break  # tags grow with time
            del self._written[tag]
            self._settle(written, PublishUnconfirmed("no confirm in time"))
            latest = written.written_at
        return latest

    def oldest(self) -> float | None:
        """When the oldest unanswered publish was written."""
        return next((written.written_at for written in self._written.values()), None)

    def channel_lost(self, error: BridgeError, reply: str) -> None:
        """
        Settle everything after the channel ended; what caused it gets the cause, all else is of unknown outcome.

        Args:
            error: What the broker's reply means.
            reply: Its text, which names the amqp_exchange or the size; never the message.
        """
        exchange, size = _EXCHANGE.search(reply), _SIZE.search(reply)
        for written in self._take_all():
            guilty = (
                exchange is not None
                and isinstance(error, TopologyMissing | BrokerAccessRefused)
                and (written.amqp_exchange or _DEFAULT_EXCHANGE) == exchange.group(1)
            ) or (size is not None and isinstance(error, MessageTooLarge) and written.size_bytes == int(size.group(1)))
            self._settle(
                written,
                type(error)(error.detail, code=error.code)
                if guilty
                else PublishUnconfirmed("the channel was lost before the answer"),
            )

    def connection_lost(self, error: BridgeError) -> None:
        """Settle everything with the same error."""
        for written in self._take_all():
            self._settle(written, type(error)(error.detail, code=error.code))

    def futures(self) -> list[asyncio.Future[PublishReceipt]]:
        """Return what is still waited for."""
        return [written.future for written in self._written.values()]

    def _take(self, tag: int, *, multiple: bool) -> Iterator[Written]:
        if not multiple:
            written = self._written.pop(tag, None)  # None: given up before
            if written is not None:
                yield written
            return
        for key in list(self._written):
            if key > tag:
                return
            yield self._written.pop(key)

    def _take_all(self) -> list[Written]:
        written = list(self._written.values())
        self._written.clear()
        return written

    def _settle(self, written: Written, error: BridgeError | None) -> None:
        self.size_bytes -= written.size_bytes
        if not written.future.done():  # its caller may have cancelled it
            if error is None:
                written.future.set_result(PublishReceipt(written.message_id))
            else:
                written.future.set_exception(error)
        self._on_settled(written, error)
