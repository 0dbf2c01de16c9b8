"""From the configuration to what should be declared on the broker."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from bridge.wire.topology import TopologyOptions, topology

if TYPE_CHECKING:
    from bridge.config import RabbitMqSettings, TopologySettings
    from bridge.wire.topology import Topology


def wanted_topology(settings: TopologySettings) -> Topology:
    """Return what should be declared for the configured mailboxes."""
    section = settings.rabbitmq
    options = TopologyOptions(
        default_queue=section.default_queue,
        inbound_delivery_limit=section.inbound_delivery_limit,
        outbound_delivery_limit=section.outbound_delivery_limit,
        consumer_timeout_seconds=section.consumer_timeout_seconds,
        events_kept_seconds=section.events_kept_seconds,
        events_kept_bytes=section.events_kept_bytes,
    )
    return topology([mailbox.alias for mailbox in settings.mailboxes], options)


def virtual_host(section: RabbitMqSettings) -> str:
    """Return the virtual host that the urls name."""
    path = urlsplit(section.urls[0].get_secret_value()).path
    return unquote(path[1:]) or "/"
