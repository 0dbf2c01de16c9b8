"""The demo's users on its broker: one for each who logs in, as `bridge topology export --users` makes them."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from bridge.wire.definitions import rights
from bridge.wire.rights import ROLES

if TYPE_CHECKING:
    from bridge.demo.broker_node import BrokerNode

_VHOST = "/"


class BrokerUsers:
    """The users of a node, with the least rights that each one's work needs and passwords of this demo alone."""

    def __init__(self, node: BrokerNode) -> None:
        self._node = node
        self._passwords = {role.user: secrets.token_hex(16) for role in ROLES}

    def make(self) -> None:
        """
        Make them.

        Raises:
            BrokerNodeError: The node does not take them.
        """
        users = [{"name": user, "password": password, "tags": []} for user, password in self._passwords.items()]
        self._node.import_definitions({"users": users, **rights(_VHOST)})

    def url(self, user: str) -> str:
        """Return the AMQP address with the login of `bridge-ingest`, `bridge-cad` or another of them."""
        return self._node.vhost_url(_VHOST, username=user, password=self._passwords[user])
