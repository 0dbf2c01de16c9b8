"""The topology as a RabbitMQ definitions document, for `rabbitmqctl import_definitions` or `load_definitions`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.wire.topology import Topology


@dataclass(frozen=True, slots=True)
class Role:
    """A broker user with the least rights that its work needs: regular expressions over names of one virtual host."""

    user: str
    configure: str
    write: str
    read: str


ROLES = (
    Role("bridge-ingest", configure=r"^mail\.lease\.inbound\.", write=r"^mail\.(inbound|events)$", read="^$"),
    Role(
        "bridge-egress",
        configure=r"^mail\.lease\.outbound\.",
        write=r"^mail\.(events|dead|outbound\.retry\.[0-9a-z]+)$",
        read=r"^mail\.outbound\.[a-z0-9-]+(\.urgent)?$",
    ),
    # Consumers declare queues of their own below `cad.` and bind them; they may dead-letter to the bridge's.
    Role(
        "bridge-cad",
        configure=r"^cad\.",
        write=r"^(cad\..*|mail\.outbound|mail\.inbound\.dead)$",
        read=r"^(cad\..*|mail\.inbound|mail\.events)$",
    ),
    # For people: `bridge topology apply`, `bridge dead`.
    Role("bridge-operator", configure=r"^mail\.", write=r"^mail\.", read=r"^mail\."),
)


def export(topology: Topology, *, vhost: str = "/", with_users: bool = False) -> dict[str, object]:
    """
    Return a definitions document that declares the topology in a virtual host.

    Args:
        topology: What to declare.
        vhost: The virtual host; it is made where missing.
        with_users: Add a user for each of `ROLES` with its rights and no password, so that nobody can log in until
            `rabbitmqctl change_password` sets one. Importing such a document again takes the passwords away again.
    """
    document: dict[str, object] = {
        "vhosts": [{"name": vhost}],
        "exchanges": [
            {
                "name": one.name,
                "vhost": vhost,
                "type": one.type,
                "durable": True,
                "auto_delete": False,
                "internal": False,
                "arguments": dict(one.arguments),
            }
            for one in topology.amqp_exchanges
        ],
        "queues": [
            {
                "name": one.name,
                "vhost": vhost,
                "durable": True,
                "auto_delete": False,
                "arguments": dict(one.arguments),
            }
            for one in topology.queues
        ],
        "bindings": [
            {
                "source": one.amqp_exchange,
                "vhost": vhost,
                "destination": one.queue,
                "destination_type": "queue",
                "routing_key": one.routing_key,
                "arguments": {},
            }
            for one in topology.bindings
        ],
    }
    if with_users:
        # An empty hash matches no password.
        document["users"] = [{"name": role.user, "password_hash": "", "tags": []} for role in ROLES]
        document["permissions"] = [
            {
                "user": role.user,
                "vhost": vhost,
                "configure": role.configure,
                "write": role.write,
                "read": role.read,
            }
            for role in ROLES
        ]
    return document
