"""From the configuration to what the broker's adapter takes."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from bridge.adapters.rabbitmq.settings import RabbitSettings
from bridge.wire.topology import TopologyOptions, topology

if TYPE_CHECKING:
    from bridge.config import RabbitMqSettings, TopologySettings
    from bridge.wire.topology import Topology


def rabbit_settings(section: RabbitMqSettings, *, name: str = "bridge") -> RabbitSettings:
    """Return the adapter's settings."""
    return RabbitSettings(
        urls=tuple(url.get_secret_value() for url in section.urls),
        ca_file=section.ca_file,
        heartbeat_seconds=section.heartbeat_seconds,
        connect_timeout_seconds=section.connect_timeout_seconds,
        confirm_timeout_seconds=section.confirm_timeout_seconds,
        max_message_bytes=section.largest_body_bytes,
        name=name,
    )


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
