"""The topology as a RabbitMQ definitions document, for `rabbitmqctl import_definitions` or `load_definitions`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.wire.rights import ROLES

if TYPE_CHECKING:
    from bridge.wire.topology import Topology


def export(
    topology: Topology, *, vhost: str = "/", with_users: bool = False, with_rights: bool = False
) -> dict[str, object]:
    """
    Return a definitions document that declares the topology in a virtual host. It never holds a password.

    Args:
        topology: What to declare.
        vhost: The virtual host; it is made where missing.
        with_users: Add a user for each of `ROLES` with its rights and no password, so that nobody can log in until
            `rabbitmqctl change_password` sets one. Importing such a document again takes the passwords away again.
        with_rights: Add the rights alone, for users who are there: nothing else of them changes.
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
    if with_users or with_rights:
        document |= rights(vhost)
    return document


def rights(vhost: str) -> dict[str, object]:
    """Return the part of a definitions document that gives the users of `ROLES` their rights in a virtual host."""
    return {
        "permissions": [
            {
                "user": role.user,
                "vhost": vhost,
                "configure": role.configure,
                "write": role.write,
                "read": role.read,
            }
            for role in ROLES
        ],
        "topic_permissions": [
            {
                "user": role.user,
                "vhost": vhost,
                "exchange": topic.amqp_exchange,
                "write": topic.write,
                "read": "^$",
            }
            for role in ROLES
            for topic in role.topics
        ],
    }
