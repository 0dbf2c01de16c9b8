"""Mail in both directions, counted and timed from outside the workers."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pika

from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from pika.adapters.blocking_connection import BlockingChannel

    from tests.identity.place import Place
    from tests.support.workers import Worker

LATE_SECONDS = 2.0
_MAIL_EVERY_SECONDS = 0.2
_REQUEST_EVERY_SECONDS = 0.5
_LAST_ONES_SECONDS = 20.0


@dataclass(frozen=True)
class Figures:
    """What became of some traffic."""

    mails: int
    requests: int
    slowest_mail: float
    slowest_request: float
    late: tuple[str, ...]
    """Which were late, when they were sent, and how long they took."""

    def __str__(self) -> str:
        """Say it in a line."""
        return (
            f"{self.mails} mails in, the slowest after {self.slowest_mail:.2f} s; "
            f"{self.requests} mails out, the slowest after {self.slowest_request:.2f} s; "
            + " ".join([f"{len(self.late)} late", *self.late])
        )


class Traffic(AbstractContextManager["Traffic"]):
    """Five mails a second into a mailbox and two requests a second out of it, until told to stop."""

    def __init__(self, place: Place, alias: str, address: str) -> None:
        """Prepare it; it begins with the `with` block."""
        self._place, self._alias, self._address = place, alias, address
        self._begun: dict[str, float] = {}
        self._ended: dict[str, float] = {}
        self._repeats = 0
        self._flows_since = self._counted_from = 0.0
        self._stop, self._done = threading.Event(), threading.Event()
        self._troubles: list[BaseException] = []
        self._threads = [threading.Thread(target=self._guarded, args=[work]) for work in (self._load, self._take)]

    def __enter__(self) -> Traffic:
        """Begin, and return once the workers have caught up with what came before they were ready."""
        for thread in self._threads:
            thread.start()
        until(lambda: self._caught_up() or bool(self._troubles), "mail to flow both ways")
        # What came before waited for the workers to start.
        self._counted_from = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it, whatever has arrived."""
        self._stop.set()
        self._done.set()
        for thread in self._threads:
            thread.join()
        if error is None and self._troubles:
            raise self._troubles[0]

    def go_on(self, seconds: float) -> None:
        """Let it go on for so long."""
        assert not self._stop.wait(seconds)

    def settle(self, *, seconds: float = _LAST_ONES_SECONDS) -> Figures:
        """Send no more, wait until everything has arrived, and return the figures; nothing may be lost or doubled."""
        self._stop.set()
        self._threads[0].join()
        until(lambda: not self.under_way(), f"all of {len(self._begun)} to arrive", seconds=seconds)
        assert not self._repeats
        return self.figures()

    def under_way(self) -> set[str]:
        """Return what has not arrived yet."""
        return set(self._begun.copy()) - set(self._ended.copy())

    def figures(self) -> Figures:
        """Return the figures of what has arrived so far, of all that was sent once the workers were at work."""
        counted = {key: begun for key, begun in tuple(self._begun.items()) if begun >= self._counted_from}
        taken = {key: self._ended[key] - begun for key, begun in counted.items() if key in self._ended}
        mails = [seconds for key, seconds in taken.items() if key.startswith("mail-")]
        requests = [seconds for key, seconds in taken.items() if key.startswith("request-")]
        late = (
            f"({key.partition('-')[0]} at {counted[key] - self._counted_from:.1f} s: {seconds:.1f} s)"
            for key, seconds in taken.items()
            if seconds > LATE_SECONDS
        )
        return Figures(len(mails), len(requests), max(mails, default=0.0), max(requests, default=0.0), tuple(late))

    def _caught_up(self) -> bool:
        kinds = {key.partition("-")[0] for key in tuple(self._ended)}
        if kinds != {"mail", "request"}:
            return False
        # What was begun before that has waited; of what came since, something is under way at every moment.
        since = self._flows_since = self._flows_since or time.monotonic()
        return all(self._begun[key] >= since for key in self.under_way())

    def _guarded(self, work: object) -> None:
        assert callable(work)
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - told by the test's thread
            self._troubles.append(error)
            self._stop.set()

    def _load(self) -> None:
        with _channel(self._place.amqp_url) as channel:
            channel.confirm_delivery()
            next_request = time.monotonic()
            while not self._stop.is_set():
                key = f"mail-{uuid.uuid4()}"
                self._begun[key] = time.monotonic()
                self._place.sandbox.deliver(self._address, a_mail(self._address, key))
                if time.monotonic() >= next_request:
                    next_request += _REQUEST_EVERY_SECONDS
                    key = f"request-{uuid.uuid4()}"
                    self._begun[key] = time.monotonic()
                    request(channel, self._alias, key)
                self._stop.wait(_MAIL_EVERY_SECONDS)

    def _take(self) -> None:
        with _channel(self._place.amqp_url) as channel:
            for queue in ("mail.inbound", "mail.events"):
                channel.basic_consume(queue, self._taken, auto_ack=True)
            while not self._done.is_set():
                channel.connection.process_data_events(0.05)

    def _taken(self, _channel: object, method: object, _properties: object, body: bytes) -> None:
        content = json.loads(body)
        if "subject" in content:
            key = content["subject"]
        elif content["event"] == "outbound.sent":
            key = content["request_id"]
        else:
            raise AssertionError(content)
        self._repeats += key in self._ended
        self._ended.setdefault(key, time.monotonic())


def flows(place: Place, worker: Worker, alias: str, address: str) -> None:
    """Three mails go in and two out through a worker that has just been started, or the test fails."""
    keys = {f"mail-{uuid.uuid4()}" for _ in range(3)}
    asked = {f"request-{uuid.uuid4()}" for _ in range(2)}
    for key in sorted(keys):
        place.sandbox.deliver(address, a_mail(address, key))
    arrived: set[str] = set()
    with _channel(place.amqp_url) as channel:
        for key in sorted(asked):
            request(channel, alias, key)

        def all_arrived() -> bool:
            assert worker.running
            for queue, field in (("mail.inbound", "subject"), ("mail.events", "request_id")):
                while (body := channel.basic_get(queue, auto_ack=True)[2]) is not None:
                    content = json.loads(body)
                    assert content.get("event", "outbound.sent") == "outbound.sent", content
                    arrived.add(content[field])
            return arrived == keys | asked

        until(all_arrived, f"{len(keys)} mails in and {len(asked)} out", seconds=30)
    until(lambda: place.waiting(address) == 0, "the inbox to be empty", seconds=10)
    sent = [send["request_id"] for send in place.sandbox.sends() if send["mailbox"].lower() == address]
    assert sorted(sent) == sorted(asked)


def a_mail(address: str, key: str) -> bytes:
    """Return a small mail whose subject is the key."""
    return (
        f"From: cad@example.com\r\nTo: {address}\r\nSubject: {key}\r\nMessage-ID: <{key}@example.com>\r\n\r\n{key}\r\n"
    ).encode()


def request(channel: BlockingChannel, alias: str, key: str) -> None:
    """Ask for a mail to be sent, under the key as its request id."""
    body = {"request_id": key, "to": [{"address": "crew@elsewhere.example"}], "subject": "Ready", "text": "Ready."}
    properties = pika.BasicProperties(message_id=key, content_type="application/json", delivery_mode=2)
    channel.basic_publish("mail.outbound", alias, json.dumps(body).encode(), properties, mandatory=True)


@contextlib.contextmanager
def _channel(amqp_url: str) -> Iterator[BlockingChannel]:
    with contextlib.closing(pika.BlockingConnection(pika.URLParameters(amqp_url))) as connection:
        yield connection.channel()
