"""Mails pile up in the broker, because the consumer is slow: ingest goes on, and takes no more memory for it."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from typing import TYPE_CHECKING, Self

import pika

from tests.bench.figures import Figure
from tests.bench.processes import Peak, resident_megabytes
from tests.bench.stage import Stage, tell
from tests.support.rights import as_user
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pika.adapters.blocking_connection import BlockingChannel

_QUEUE = "mail.inbound"
_MAIL_BYTES = 2_000
_CONSUMER_SECONDS = 0.1
_FLAT_MEGABYTES = 10.0
"""What an allocator may take more of the second time; a backlog in memory would be a hundred times as much."""
_RATE_LEAST = 0.5


def broker(*, quick: bool) -> list[Figure]:
    """
    200,000 mails of 2 KB wait in the broker, a consumer takes ten a second, and ingest empties an inbox into the queue.

    Beside the same with an empty queue, by the same worker just before. Who fills the inbox bounds the rate: the point
    is that it stays. The node keeps what is not on disk yet in memory; that is told, and not judged.
    """
    backlog, mails = (10_000, 500) if quick else (200_000, 5_000)
    with Stage() as stage, stage.worker("ingest") as worker:
        until(worker.ready, "the worker to read", seconds=120)
        _drain(stage, worker.pid, mails)  # caches fill, connections are made
        before = _drain(stage, worker.pid, mails)
        node_before = resident_megabytes(stage.broker.beam_pid)
        _pile_up(stage, backlog)
        node = resident_megabytes(stage.broker.beam_pid)
        with SlowConsumer(stage) as consumer:
            after = _drain(stage, worker.pid, mails)
        waiting = _count(stage)
        worker.stop(seconds=60)
    tell(
        f"broker: {waiting} waiting at the end; "
        f"worker {before[0]:.0f} MB at {before[1]:.0f} mails/s with an empty queue, "
        f"{after[0]:.0f} MB at {after[1]:.0f} mails/s with a full one; the consumer took {consumer.taken}; "
        f"the node grew from {node_before:.0f} to {node:.0f} MB"
    )
    if waiting < backlog:
        raise RuntimeError(f"only {waiting} mails were waiting")
    return [
        Figure.at_most("broker", after[0] - before[0], "MB more of the worker's memory", _FLAT_MEGABYTES),
        Figure.no_less("broker-rate", after[1] / before[1], "times the rate with an empty queue", _RATE_LEAST, aim=1),
    ]


class SlowConsumer:
    """Takes ten mails a second, with twenty on its desk, in a thread; use as a context manager."""

    def __init__(self, stage: Stage) -> None:
        self._url = as_user(stage.broker.url, "bridge-cad")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.taken = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if kind is None and not self.taken:
            raise RuntimeError("the consumer took nothing")

    def _run(self) -> None:
        with contextlib.closing(pika.BlockingConnection(pika.URLParameters(self._url))) as connection:
            channel = connection.channel()
            channel.basic_qos(prefetch_count=20)
            for method, _, _ in channel.consume(_QUEUE, inactivity_timeout=_CONSUMER_SECONDS):
                if self._stop.is_set():
                    return
                if method is not None:
                    connection.sleep(_CONSUMER_SECONDS)
                    channel.basic_ack(method.delivery_tag)
                    self.taken += 1


def _drain(stage: Stage, pid: int, mails: int) -> tuple[float, float]:
    """Fill the inbox while the worker reads it; return the most megabytes it held, and mails a second."""
    meter = stage.meter(pid)
    begun = time.monotonic()
    with Peak(pid, every_seconds=0.1) as peak:
        stage.fill(mails, size=_MAIL_BYTES)
        until(lambda: stage.waiting() == 0, "the inbox to be empty", seconds=600)
    rate = mails / (time.monotonic() - begun)
    tell(f"broker: {mails} mails in {time.monotonic() - begun:.1f} s; {meter.shares()}")
    return peak.megabytes, rate


def _pile_up(stage: Stage, mails: int) -> None:
    """Publish one of the waiting payloads again and again, each under an id of its own."""
    with _channel(stage) as channel:
        method, properties, body = channel.basic_get(_QUEUE)
        if method is None or properties is None or body is None:
            raise RuntimeError("no mail arrived")
        channel.queue_purge(_QUEUE)
        for _ in range(mails):
            properties.message_id = uuid.uuid4().hex
            channel.basic_publish(_QUEUE, method.routing_key, body, properties, mandatory=True)
    until(lambda: _count(stage) >= mails, "the broker to take all", seconds=300)


def _count(stage: Stage) -> int:
    with _channel(stage) as channel:
        return int(channel.queue_declare(_QUEUE, passive=True).method.message_count)


@contextlib.contextmanager
def _channel(stage: Stage) -> Iterator[BlockingChannel]:
    with contextlib.closing(pika.BlockingConnection(pika.URLParameters(stage.broker.url))) as connection:
        channel = connection.channel()
        yield channel
        channel.close()
