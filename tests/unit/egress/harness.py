"""A mailbox sender on memory adapters, a clock that nobody waits for, and requests."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bridge.domain.outbound import Mailbox
from bridge.domain.send_rate import RateLimits
from bridge.egress.options import EgressOptions, PauseOptions
from bridge.egress.sender import MailboxSender
from bridge.ports.broker import Message
from bridge.telemetry.health import Health
from bridge.wire import event_v1
from bridge.wire.topology import DEAD, EVENTS, OUTBOUND, RETRY_STEPS, outbound_key, topology
from tests.support.clock import InstantClock
from tests.support.memory.broker import MemoryBroker, MemoryConsumer, MemoryPublisher
from tests.support.memory.outbox import MemoryOutbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from bridge.ports.broker import HeaderValue
    from bridge.ports.outbox import SendingMailbox
    from bridge.telemetry.events import Event

ALIAS = "dispatch"
PLENTY = EgressOptions(
    rate=RateLimits(None, None),
    self_test=False,  # it has tests of its own (test_first_send.py); others count calls
    pauses=PauseOptions(0.01, 0.01, 0.05, 0.05),
    probe_seconds=0.05,
)


def a_body(request_id: str = "r-1", **fields: Any) -> bytes:
    return json.dumps(
        {"request_id": request_id, "to": [{"address": "crew@example.org"}], "text": "x", **fields}
    ).encode()


async def eventually(condition: Callable[[], bool]) -> None:
    """Return once it is so; the test's own timeout ends a wait for what never comes."""
    for turn in range(20_000):
        if condition():
            return
        await asyncio.sleep(0 if turn < 2_000 else 0.001)
    raise AssertionError("it never came to be")


@dataclass
class Bench:
    """One broker, one mailbox, and as many senders of it as a test wants."""

    options: EgressOptions = PLENTY
    clock: InstantClock = field(default_factory=InstantClock)
    emitted: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.broker = MemoryBroker(topology([ALIAS]))
        self.publisher = MemoryPublisher(self.broker)
        self.mailbox = MemoryOutbox(self.clock)
        self.health = Health(monotonic=self.clock.monotonic)

    def sender(self, consumer: MemoryConsumer | None = None, mailbox: SendingMailbox | None = None) -> MailboxSender:
        return MailboxSender(
            alias=ALIAS,
            sender=Mailbox("dispatch@example.org", "Dispatch"),
            mailbox=mailbox or self.mailbox,
            publisher=self.publisher,
            consumer=consumer or MemoryConsumer(self.broker),
            clock=self.clock,
            emit=self.emitted.append,
            health=self.health,
            options=self.options,
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[MailboxSender]:
        """Run a sender until the block ends; the end is a graceful stop."""
        sender, stop = self.sender(), asyncio.Event()
        task = asyncio.create_task(sender.run(stop))
        try:
            yield sender
        finally:
            stop.set()
            await task

    async def killed(self, when: Callable[[], bool]) -> None:
        """Run a sender and kill it as soon as something is so; what it held goes back to its queue."""
        task = asyncio.create_task(self.sender().run(asyncio.Event()))
        await eventually(when)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def request(
        self,
        request_id: str | None = "r-1",
        *,
        body: bytes | None = None,
        urgent: bool = False,
        headers: Mapping[str, HeaderValue] | None = None,
        alias: str = ALIAS,
        **fields: Any,
    ) -> None:
        """Publish a request as a CAD system does."""
        self.broker.publish(
            Message(
                OUTBOUND,
                outbound_key(alias, urgent=urgent),
                a_body(request_id or "r-1", **fields) if body is None else body,
                request_id,  # type: ignore[arg-type]  # publishers of others leave it out
                "mail.outbound.v1",
                headers=headers or {},
                timestamp=self.clock.now(),
            )
        )

    def events(self) -> list[event_v1.MailEvent]:
        return [event_v1.from_json(message.body) for message in self.broker.messages(EVENTS)]

    def told(self) -> list[tuple[str, str | None]]:
        """Names and codes of the events, in order."""
        return [(event.event, event.code) for event in self.events()]

    def dead(self) -> list[Message]:
        return self.broker.messages(DEAD)

    def waiting(self) -> dict[str, int]:
        """How many requests wait in each retry queue that is not empty."""
        counts = {step.name: len(self.broker.messages(step.amqp_exchange)) for step in RETRY_STEPS}
        return {name: count for name, count in counts.items() if count}

    def retried(self) -> Message:
        """The request that waits."""
        [message] = [m for step in RETRY_STEPS for m in self.broker.messages(step.amqp_exchange)]
        return message

    def retried_attempts(self) -> set[object]:
        messages = [m for step in RETRY_STEPS for m in self.broker.messages(step.amqp_exchange)]
        return {message.headers["x-bridge-attempts"] for message in messages}

    def come_back(self) -> None:
        """End the wait of every request in a retry queue."""
        for step in RETRY_STEPS:
            self.broker.expire(step.amqp_exchange)

    def drafts_left(self) -> int:
        return sum(1 for item in self.mailbox.items.values() if item.place == "drafts" and item.state.value == "unsent")
