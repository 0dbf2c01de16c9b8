"""What commands declare on the broker, and its address without the password."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from bridge.bootstrap.topology import wanted_topology as for_mailboxes

if TYPE_CHECKING:
    from bridge.config import RabbitMqSettings, TopologySettings
    from bridge.wire.topology import Topology


def wanted_topology(settings: TopologySettings) -> Topology:
    """Return what should be declared for the configured mailboxes."""
    return for_mailboxes(settings.rabbitmq, [mailbox.alias for mailbox in settings.mailboxes])


def virtual_host(section: RabbitMqSettings) -> str:
    """Return the virtual host that the urls name."""
    path = urlsplit(section.urls[0].get_secret_value()).path
    return unquote(path[1:]) or "/"
