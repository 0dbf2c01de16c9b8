"""Short settings and small messages for the tests beside this file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.adapters.rabbitmq.settings import RabbitSettings
from bridge.ports.broker import Message
from bridge.wire.topology import INBOUND, topology

if TYPE_CHECKING:
    from bridge.wire.topology import Topology

TOPOLOGY: Topology = topology(["dispatch"])


def patient(*urls: str) -> RabbitSettings:
    """Settings for what a test stands on, and is not about: a machine that does other things may take its time."""
    return replace(quick(*urls), answer_timeout_seconds=20)


def quick(
    *urls: str, confirm_timeout_seconds: float = 2.0, max_outstanding_bytes: int = 64 * 1024 * 1024
) -> RabbitSettings:
    """Settings that notice trouble within seconds once connected; a machine that does other things connects slowly."""
    return RabbitSettings(
        urls,
        heartbeat_seconds=2,
        connect_timeout_seconds=20,
        answer_timeout_seconds=5,
        confirm_timeout_seconds=confirm_timeout_seconds,
        first_wait_seconds=0.1,
        longest_wait_seconds=0.5,
        max_outstanding_bytes=max_outstanding_bytes,
    )


def mail(
    number: int = 1, *, amqp_exchange: str = INBOUND, routing_key: str = "dispatch.mail", size: int = 2
) -> Message:
    """Return a payload of a size."""
    return Message(amqp_exchange, routing_key, b"x" * size, f"m-{number}", "mail.inbound.v1")
