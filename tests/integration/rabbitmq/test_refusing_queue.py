"""Two queues take a mailbox's mail, and one of them is full: the other one gets each mail at once, and few copies."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.adapters.rabbitmq.publisher import RabbitPublisher
from bridge.adapters.system.clock import SystemClock
from bridge.domain.disposition import RetryPolicy
from bridge.domain.mail import ReadMail
from bridge.flow.byte_budget import ByteBudget
from bridge.ingest.reader import IngestOptions, MailboxReader
from bridge.ports.broker import Message
from bridge.wire.topology import INBOUND
from tests.integration.rabbitmq.reading import Reading, wait_until
from tests.integration.rabbitmq.support import TOPOLOGY, patient
from tests.support.rabbit import a_channel, bind_a_full_queue, patiently, take_all
from tests.unit.ingest.doubles import a_mail

if TYPE_CHECKING:
    from collections.abc import Sequence

_SPEED = 60.0
_POLL_SECONDS = 1.0 / _SPEED
_FULL = "cad.full"


class FastClock(SystemClock):
    """A minute is a second."""

    def monotonic(self) -> float:
        return time.monotonic() * _SPEED


async def compose(mail: ReadMail) -> Sequence[Message]:
    """Every tenth mail is an automatic reply."""
    kind = "auto_reply" if int(mail.ref.message_id[1:]) % 10 == 0 else "mail"
    return [Message(INBOUND, f"dispatch.{kind}", b"{}", mail.ref.message_id, "mail.inbound.v1")]


def a_reader(reading: Reading) -> MailboxReader:
    """A reader for which a minute is a second."""
    return MailboxReader(
        alias="dispatch",
        inbox=reading.inbox,
        publisher=reading.publisher,
        compose=compose,
        budget=ByteBudget(1 << 20),
        clock=FastClock(),
        emit=reading.events.append,
        health=reading.health,
        options=IngestOptions(
            poll_interval_seconds=_POLL_SECONDS,
            retry=RetryPolicy(1 / _SPEED, 60 / _SPEED, 30 / _SPEED),
            standby_seconds=0.1,
        ),
    )


async def test_ordinary_mail_passes_at_once_while_the_queue_of_another_kind_is_full(broker_url: str) -> None:
    """Of ten ordinary mails one had passed after 90 s."""
    await RabbitTopology(patiently(broker_url)).apply(TOPOLOGY)
    bind_a_full_queue(broker_url, _FULL, INBOUND, "*.auto_reply")
    async with RabbitPublisher(patient(broker_url)) as publisher:
        reading, stop = Reading(publisher), asyncio.Event()
        reading.inbox.mails.extend(a_mail(number) for number in range(11))  # automatic replies: the first and the last
        running = asyncio.create_task(a_reader(reading).run(stop))

        await wait_until(lambda: len(reading.published()) == 9, "the ordinary mails")
        part = "mailbox:dispatch:ingest"
        await wait_until(lambda: _code(reading, part) == "publish_refused", "health to say so")

        state = reading.health.state(part)
        stop.set()
        await running
    assert state is not None
    assert "dispatch.auto_reply" in state.detail
    assert sorted(mail.ref.message_id for mail in reading.inbox.mails) == ["m0", "m10"]
    assert reading.failures() == []


async def test_a_healthy_queue_gets_each_mail_at_once_and_few_copies_of_it(broker_url: str) -> None:
    """In 150 s it had seven of the first mail, and none of those behind it."""
    await RabbitTopology(patiently(broker_url)).apply(TOPOLOGY)
    bind_a_full_queue(broker_url, _FULL, INBOUND, "#")
    async with RabbitPublisher(patient(broker_url)) as publisher:
        reading, stop = Reading(publisher), asyncio.Event()
        reading.inbox.mails.extend(a_mail(number) for number in range(8))
        started = time.monotonic()
        running = asyncio.create_task(a_reader(reading).run(stop))
        await asyncio.sleep(150 / _SPEED)

        stop.set()
        await running
        seconds = (time.monotonic() - started) * _SPEED
    copies = Counter(message.message_id for message in take_all(broker_url, INBOUND, expected=8))
    assert set(copies) == {f"m{number}" for number in range(8)}
    assert max(copies.values()) <= 2 + seconds // 60, "at first, then at most one a minute"
    assert copies.total() <= 8 + seconds / 30 + 2, "one probe each half minute of each kind"
    assert len(reading.inbox.mails) == 8


async def test_all_pass_once_the_queue_has_room(broker_url: str) -> None:
    await RabbitTopology(patiently(broker_url)).apply(TOPOLOGY)
    bind_a_full_queue(broker_url, _FULL, INBOUND, "#")
    async with RabbitPublisher(patient(broker_url)) as publisher:
        reading, stop = Reading(publisher), asyncio.Event()
        reading.inbox.mails.extend(a_mail(number) for number in range(40))
        running = asyncio.create_task(a_reader(reading).run(stop))
        await wait_until(lambda: _code(reading, "mailbox:dispatch:ingest") == "publish_refused", "a refusal")

        with a_channel(broker_url) as channel:
            channel.queue_unbind(_FULL, INBOUND, "#")
        await wait_until(lambda: not reading.inbox.mails, "every mail to pass")

        await wait_until(lambda: _code(reading, "mailbox:dispatch:ingest") == "ok", "health to be good again")
        stop.set()
        await running


def _code(reading: Reading, part: str) -> str | None:
    state = reading.health.state(part)
    return state.code if state is not None else None
