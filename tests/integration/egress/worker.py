"""
An egress worker as a process of its own, to be killed.

`python -m tests.integration.egress.worker SANDBOX_JSON AMQP_URL`. It ends by SIGTERM as a worker does,
and writes its events to standard error.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.adapters.entra.tokens import EntraApp, EntraTokens
from bridge.adapters.ews.client import EwsClient, EwsConnection
from bridge.adapters.ews.sender import EwsSender
from bridge.adapters.rabbitmq.consumer import RabbitConsumer
from bridge.adapters.rabbitmq.publisher import RabbitPublisher
from bridge.adapters.rabbitmq.settings import RabbitSettings
from bridge.adapters.system.clock import SystemClock
from bridge.domain.outbound import Mailbox
from bridge.domain.send_rate import RateLimits
from bridge.telemetry.health import Health
from bridge.wire.outbound_v1 import OutboundLimits
from bridge.workers.egress import EgressOptions, MailboxSender
from bridge.workers.egress_returned import ReturnedDrain

if TYPE_CHECKING:
    from typing import Any

    from bridge.telemetry.events import Event

ALIAS = "dispatch"


def client_of(info: dict[str, Any]) -> EwsClient:
    """Return a client for a sandbox."""
    app = EntraApp(
        authority_url=info["authority_url"],
        client_id=info["client_id"],
        scope="https://outlook.office365.com/.default",
        ca_file=info["ca_file"],
        timeout_seconds=10,
    )
    tokens = EntraTokens(app, lambda: str(info["client_secret"]))
    connection = EwsConnection(info["ews_url"], ca_file=info["ca_file"], connections=6, call_timeout_seconds=20)
    return EwsClient(connection, tokens=tokens)


def say(event: Event) -> None:
    """Write an event."""
    if event.level != "debug":
        sys.stderr.write(json.dumps({"event": event.name, **event.as_fields()}, default=str) + "\n")
        sys.stderr.flush()


async def run(info: dict[str, Any], amqp_url: str) -> None:
    """Drain until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    rabbit = RabbitSettings((amqp_url,), heartbeat_seconds=2, first_wait_seconds=0.1, longest_wait_seconds=1)
    clock, health, client = SystemClock(), Health(), client_of(info)
    async with RabbitPublisher(rabbit) as publisher, RabbitConsumer(rabbit) as consumer:
        sender = MailboxSender(
            alias=ALIAS,
            sender=Mailbox("dispatch@example.org"),
            mailbox=EwsSender(client, "dispatch@example.org"),
            publisher=publisher,
            consumer=consumer,
            clock=clock,
            emit=say,
            health=health,
            options=EgressOptions(rate=RateLimits(None, None)),
        )
        returned = ReturnedDrain(
            senders={ALIAS: sender},
            publisher=publisher,
            consumer=consumer,
            clock=clock,
            emit=say,
            health=health,
            limits=OutboundLimits(),
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(sender.run(stop))
            tasks.create_task(returned.run(stop))
    client.close()


if __name__ == "__main__":
    asyncio.run(run(json.loads(Path(sys.argv[1]).read_text("utf-8")), sys.argv[2]))
