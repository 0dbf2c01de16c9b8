"""Least-privilege users on a broker under test, as `bridge topology export` makes them, and urls that log them in."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bridge.wire.definitions import rights
from bridge.wire.rights import ROLES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.demo.broker_node import BrokerNode

_PASSWORD = "of-a-test"
_URLS = "BRIDGE_RABBITMQ__URLS"


def users_and_rights(vhosts: Sequence[str]) -> dict[str, list[object]]:
    """Return what a definitions document needs for these users to exist, and to have their rights in virtual hosts."""
    document: dict[str, list[object]] = {
        "users": [{"name": role.user, "password": _PASSWORD, "tags": []} for role in ROLES],
        "permissions": [],
        "topic_permissions": [],
    }
    for vhost in vhosts:
        for part, entries in rights(vhost).items():
            assert isinstance(entries, list)
            document[part] += entries
    return document


def give_rights(node: BrokerNode, vhosts: Sequence[str] = ("/",)) -> None:
    """Make the users on a node, with their rights in these virtual hosts."""
    node.import_definitions(users_and_rights(vhosts))


def make_vhosts(node: BrokerNode, names: Sequence[str]) -> None:
    """Make virtual hosts in which the administrator may do everything, and each of the users its work; in one call."""
    document = users_and_rights(names)
    document["vhosts"] = [{"name": name} for name in names]
    document["permissions"] += [
        {"user": node.username, "vhost": name, "configure": ".*", "write": ".*", "read": ".*"} for name in names
    ]
    node.import_definitions(document)


def as_user(url: str, user: str) -> str:
    """Return the url with the login of `bridge-ingest`, `bridge-cad` or another of them."""
    assert user in {role.user for role in ROLES}
    parts = urlsplit(url)
    return parts._replace(netloc=f"{user}:{_PASSWORD}@{parts.netloc.rpartition('@')[2]}").geturl()


def with_least_rights(command: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the surroundings of a worker (`ingest`, `egress`, `run`) with the login of its own user."""
    urls = environment[_URLS].split(",")
    return {**environment, _URLS: ",".join(as_user(url, f"bridge-{command}") for url in urls)}
