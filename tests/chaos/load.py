"""Mails and requests, as the world and CAD systems make them: delivered until they are taken, whatever is down."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import random
import smtplib
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pika
from pika import exceptions as amqp

from tests.chaos import privacy
from tests.chaos.deliveries import Deliveries, Mail
from tests.chaos.plant import ALIASES, CREW, address_of
from tests.chaos.requests import Request

if TYPE_CHECKING:
    from tests.chaos.plant import Plant

_AGAIN_SECONDS = 0.2
_MOST_IN_CALM = 100


@dataclass
class Load:
    """What is delivered and requested, and how fast; `stop` ends it early."""

    plant: Plant
    seed: int
    mails: int
    requests: int
    seconds: float
    requested: dict[str, Request] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    deliveries: Deliveries = field(init=False)

    def __post_init__(self) -> None:
        """Begin with nothing delivered."""
        self.deliveries = Deliveries(realistic=self.plant.realistic)

    def deliver(self) -> None:
        """Deliver the mails but those for the calm, evenly over the time, each until the sandbox takes it."""
        chance = random.Random(f"mails {self.seed}")
        begun = time.monotonic()
        mails = self.mails - self._for_calm
        for number in range(mails):
            self._until_taken(*self._mail(chance, number, chance.choice(ALIASES)))
            self._pace(begun, number, mails)

    def deliver_in_calm(self) -> None:
        """Deliver the rest, once nothing goes wrong any more."""
        chance = random.Random(f"calm {self.seed}")
        for number in range(self.mails - self._for_calm, self.mails):
            mail, mime = self._mail(chance, number, chance.choice(ALIASES))
            self.deliveries.offered[mail] += 1
            self.plant.sandbox.deliver(address_of(mail.alias), mime)
            self.deliveries.accepted[mail] += 1
            self.deliveries.in_calm.append(mail)

    @property
    def _for_calm(self) -> int:
        return min(_MOST_IN_CALM, self.mails // 10)

    def request(self) -> None:
        """Publish all requests, evenly over the time, each until the broker confirms it; some twice."""
        chance = random.Random(f"requests {self.seed}")
        begun = time.monotonic()
        with contextlib.ExitStack() as stack:
            channel = None
            for number in range(self.requests):
                request_id, key, body = self._request(chance, number)
                for _ in range(2 if chance.random() < 0.05 else 1):
                    while not self.stop.is_set():
                        try:
                            channel = channel or self._channel(stack)
                            properties = pika.BasicProperties(
                                message_id=request_id, content_type="application/json", delivery_mode=2
                            )
                            channel.basic_publish("mail.outbound", key, body, properties, mandatory=True)
                            break
                        except (amqp.AMQPError, OSError):
                            channel = None
                            stack.close()
                            time.sleep(_AGAIN_SECONDS)
                self._pace(begun, number, self.requests)

    def _request(self, chance: random.Random, number: int) -> tuple[str, str, bytes]:
        request_id = f"r-{number}"
        alias = chance.choice(ALIASES)
        key = alias + (".urgent" if chance.random() < 0.2 else "")
        body: dict[str, Any] = {
            "request_id": request_id,
            "to": [{"address": CREW, "name": privacy.NAME}],
            "subject": f"{privacy.SUBJECT} {number}",
            "text": privacy.BODY * chance.choice([1, 100, 5_000]),
        }
        kind = chance.random()
        wanted = "sent"
        attached = []
        if chance.random() < 0.1:
            content = privacy.BODY.encode()
            attachment: dict[str, Any] = {"name": f"{privacy.FILE}.txt", "content_type": "text/plain"}
            if chance.random() < 0.5:
                attachment["content"] = base64.b64encode(content).decode()
            else:
                content *= 10_000
                attachment["blob"] = self._stored(request_id, content)
            body["attachments"] = [attachment]
            attached.append((str(attachment["name"]), hashlib.sha256(content).hexdigest()))
        if kind < 0.03:
            body["to"] = [{"address": f"{privacy.LOCAL_PART} is no address"}]
            wanted = "failed"
        elif kind < 0.13:
            body["expires_at"] = (datetime.now(UTC) + timedelta(seconds=chance.uniform(1, 10))).isoformat()
            wanted = "any"
        self.requested[request_id] = Request(
            wanted, address_of(alias), (CREW,), body["subject"], body["text"], tuple(attached)
        )
        return request_id, key, json.dumps(body).encode()

    def _stored(self, request_id: str, content: bytes) -> dict[str, Any]:
        path = self.plant.store / "out" / request_id
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return {"url": f"file://{path}", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    def _channel(self, stack: contextlib.ExitStack) -> Any:  # noqa: ANN401 - pika's own
        parameters = pika.URLParameters(self.plant.broker.url)
        parameters.blocked_connection_timeout = 60
        connection = pika.BlockingConnection(parameters)
        stack.callback(_close, connection)
        channel = connection.channel()
        channel.confirm_delivery()
        return channel

    def _until_taken(self, mail: Mail, mime: bytes) -> None:
        while not self.stop.is_set():
            self.deliveries.offered[mail] += 1
            try:
                self.plant.sandbox.deliver(address_of(mail.alias), mime)
            except ConnectionRefusedError:
                self.deliveries.offered[mail] -= 1  # it is down, and never saw the mail
                time.sleep(_AGAIN_SECONDS)
            except (OSError, smtplib.SMTPException):
                time.sleep(_AGAIN_SECONDS)  # it may have taken the mail, which is then there twice
            else:
                self.deliveries.accepted[mail] += 1
                return

    def _mail(self, chance: random.Random, number: int, alias: str) -> tuple[Mail, bytes]:
        words = f"{privacy.BODY} {number} "
        # One in a few hundred is read beside all others, and in pieces.
        size = chance.choice([50, 500, 5_000, 50_000]) if chance.random() > 0.003 else 5_000_000
        body = words * (size // len(words) + 1)
        message_id = f"<{number}.{privacy.LOCAL_PART}@example.com>"
        # A mail without a Date is none that Exchange could know again.
        date = "Date: Wed, 02 Dec 2026 10:00:00 +0000\r\n" if self.plant.realistic else ""
        mime = (
            f"From: {privacy.NAME} <{privacy.LOCAL_PART}@example.com>\r\nTo: {address_of(alias)}\r\n{date}"
            f"Subject: {privacy.SUBJECT} {number}\r\nMessage-ID: {message_id}\r\n"
            f'MIME-Version: 1.0\r\nContent-Disposition: attachment; filename="{privacy.FILE}.txt"\r\n\r\n{body}\r\n'
        ).encode()
        return Mail(alias, message_id, self.deliveries.digest_of(mime)), mime

    def _pace(self, begun: float, number: int, count: int) -> None:
        ahead = begun + self.seconds * (number + 1) / count - time.monotonic()
        if ahead > 0:
            self.stop.wait(ahead)


def _close(connection: pika.BlockingConnection) -> None:
    with contextlib.suppress(amqp.AMQPError, OSError):
        connection.close()
