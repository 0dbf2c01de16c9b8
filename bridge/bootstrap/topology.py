"""From the configuration to what should be declared on the broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.wire.topology import TopologyOptions, topology

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.config import RabbitMqSettings
    from bridge.wire.topology import Topology


def wanted_topology(section: RabbitMqSettings, aliases: Sequence[str]) -> Topology:
    """Return what should be declared for the mailboxes with these aliases."""
    options = TopologyOptions(
        default_queue=section.default_queue,
        inbound_delivery_limit=section.inbound_delivery_limit,
        outbound_delivery_limit=section.outbound_delivery_limit,
        consumer_timeout_seconds=section.consumer_timeout_seconds,
        events_kept_seconds=section.events_kept_seconds,
        events_kept_bytes=section.events_kept_bytes,
    )
    return topology(aliases, options)
