"""A consumer's hands: it notes when each mail is there."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from typing import TYPE_CHECKING, Self

import pika

from tests.support.rights import as_user
from tests.support.workers import until

if TYPE_CHECKING:
    from pika.adapters.blocking_connection import BlockingChannel
    from pika.spec import Basic, BasicProperties

    from tests.bench.stage import Stage

_LOOK_SECONDS = 0.05
_PURGE_SECONDS = 3.0


class Consumer:
    """
    Takes what comes for one mailbox from a queue of its own, in a thread; use as a context manager.

    `arrived` has the Message-ID of each mail and the moment (`time.monotonic`) of its first arrival.
    """

    def __init__(self, stage: Stage, alias: str) -> None:
        self._url = as_user(stage.broker.url, "bridge-cad")
        self._alias = alias
        self._queue = f"cad.{alias}"
        self._ready = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.arrived: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(30):
            raise RuntimeError("the consumer did not come to consume")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def until(self, mails: int, *, seconds: float = 120.0) -> None:
        """Return once so many have arrived since the beginning."""
        alive = self._thread.is_alive
        until(lambda: len(self.arrived) >= mails or not alive(), f"{mails} mails to arrive", seconds=seconds)
        if len(self.arrived) < mails:
            raise RuntimeError("the consumer has ended")

    def _run(self) -> None:
        with contextlib.closing(pika.BlockingConnection(pika.URLParameters(self._url))) as connection:
            channel = connection.channel()
            channel.queue_declare(self._queue, durable=True, arguments={"x-queue-type": "quorum"})
            channel.queue_bind(self._queue, "mail.inbound", f"{self._alias}.#")
            channel.basic_qos(prefetch_count=100)
            channel.basic_consume(self._queue, self._take)
            self._ready.set()
            while not self._stop.is_set():
                connection.process_data_events(_LOOK_SECONDS)

    def _take(self, channel: BlockingChannel, method: Basic.Deliver, properties: BasicProperties, body: bytes) -> None:
        now = time.monotonic()
        payload = json.loads(body)
        # The naive bridge's payload has the Message-ID in another place than the bridge's, with its brackets.
        message_id = payload["internet_message_id"] if "internet_message_id" in payload else payload["message_id"]
        self.arrived.setdefault((message_id or str(properties.message_id)).strip("<>"), now)
        channel.basic_ack(method.delivery_tag)


class Purge:
    """Empties the default queue every few seconds, in a thread: others' mail must not fill a disk."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_PURGE_SECONDS):
            self._stage.purge()
