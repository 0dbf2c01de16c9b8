"""The users that RabbitMQ should have for the bridge, each with the least rights that its work needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args
from urllib.parse import quote

from bridge.wire.event_v1 import TERMINAL, EventName
from bridge.wire.inbound_v1 import InboundMail
from bridge.wire.topology import EVENTS, EVENTS_DEFAULT, INBOUND, WORKERS

_KINDS: tuple[str, ...] = get_args(InboundMail.model_fields["kind"].annotation)
_OF_INGEST: tuple[EventName, ...] = ("inbound.parked", "outbound.bounced")
_OF_EGRESS: tuple[EventName, ...] = (*sorted(TERMINAL), "outbound.delayed")


@dataclass(frozen=True, slots=True)
class TopicRight:
    """Which routing keys may be published to one topic exchange; a user without one for it may publish any."""

    amqp_exchange: str
    write: str


@dataclass(frozen=True, slots=True)
class Role:
    """A user of the broker: regular expressions over names of one virtual host, which RabbitMQ does not anchor."""

    user: str
    configure: str = "^$"
    write: str = "^$"
    read: str = "^$"
    topics: tuple[TopicRight, ...] = ()
    scopes: tuple[str, ...] = ()
    """The same for tokens: `<right>:<name>`, with `/<routing key>` for topic exchanges; * stands for anything."""


_READERS_LEASES = r"mail\.lease\.inbound\.[a-z0-9-]+"
_SENDERS_LEASES = r"mail\.lease\.outbound\.(?!returned$)[a-z0-9-]+(\.urgent)?"
# A worker announces itself at `mail.workers`, and hears the others in a queue of its own, which it binds there.
_ANNOUNCEMENTS = r"mail\.lease\.workers\.[0-9a-f]+"
_ANNOUNCING = rf"mail\.workers|{_ANNOUNCEMENTS}"
_REQUESTS = r"mail\.outbound\.[a-z0-9-]+(\.urgent)?"
_FAILED_OR_WAITING = r"mail\.(dead|outbound\.retry\.[0-9a-z]+)"

_EVENTS = r"mail\.events(\.default)?"

_MAILS = TopicRight(INBOUND, rf"^[a-z0-9-]+\.({'|'.join(_KINDS)})$")


_ANNOUNCING_SCOPES = (
    "configure:mail.lease.workers.*",
    *(f"{right}:{name}" for right in ("write", "read") for name in (WORKERS, "mail.lease.workers.*")),
)


def _events(*names: str) -> TopicRight:
    return TopicRight(EVENTS, "^(" + "|".join(name.replace(".", r"\.") for name in names) + ")$")


_INGEST = Role(
    "bridge-ingest",
    configure=f"^({_READERS_LEASES}|{_ANNOUNCEMENTS})$",
    write=rf"^(mail\.inbound|{_EVENTS}|{_ANNOUNCING})$",
    read=f"^({_ANNOUNCING})$",
    topics=(_MAILS, _events(*_OF_INGEST)),
    scopes=(
        "configure:mail.lease.inbound.*",
        f"write:{INBOUND}/*",
        *(f"write:{EVENTS}/{name}" for name in _OF_INGEST),
        f"write:{EVENTS_DEFAULT}",
        *_ANNOUNCING_SCOPES,
    ),
)
_EGRESS = Role(
    "bridge-egress",
    configure=f"^({_SENDERS_LEASES}|{_ANNOUNCEMENTS})$",
    write=rf"^({_FAILED_OR_WAITING}|{_EVENTS}|{_ANNOUNCING})$",
    read=f"^({_REQUESTS}|{_ANNOUNCING})$",
    topics=(_events(*_OF_EGRESS),),
    scopes=(
        "configure:mail.lease.outbound.*",
        "write:mail.dead",
        "write:mail.outbound.retry.*",
        *(f"write:{EVENTS}/{name}" for name in _OF_EGRESS),
        f"write:{EVENTS_DEFAULT}",
        "read:mail.outbound.*",
        *_ANNOUNCING_SCOPES,
    ),
)
_RUN = Role(
    "bridge-run",
    configure=f"^({_READERS_LEASES}|{_SENDERS_LEASES}|{_ANNOUNCEMENTS})$",
    write=rf"^({_FAILED_OR_WAITING}|mail\.inbound|{_EVENTS}|{_ANNOUNCING})$",
    read=_EGRESS.read,
    topics=(_MAILS, _events(*_OF_INGEST, *_OF_EGRESS)),
    scopes=tuple(dict.fromkeys((*_INGEST.scopes, *_EGRESS.scopes))),
)
_CAD_PUBLISHER = Role("bridge-cad-publisher", write=r"^mail\.outbound$", scopes=("write:mail.outbound",))
# Consumers declare queues of their own below `cad.` and bind them; these may dead-letter to the bridge's.
_CAD_CONSUMER = Role(
    "bridge-cad-consumer",
    configure=r"^cad\.",
    write=r"^(cad\..*|mail\.inbound\.dead)$",
    read=r"^(cad\..*|mail\.inbound|mail\.events)$",
    scopes=(
        "configure:cad.*",
        "write:cad.*",
        "write:mail.inbound.dead",
        "read:cad.*",
        f"read:{INBOUND}/*",
        f"read:{EVENTS}/*",
    ),
)
_CAD = Role(
    "bridge-cad",
    configure=_CAD_CONSUMER.configure,
    write=r"^(cad\..*|mail\.inbound\.dead|mail\.outbound)$",
    read=_CAD_CONSUMER.read,
    scopes=(*_CAD_PUBLISHER.scopes, *_CAD_CONSUMER.scopes),
)
# For people: `bridge topology apply`, and to look into the queues of what failed. A lease is nobody's but a worker's.
_OURS = r"^mail\.(?!lease\.)"
_OPERATOR = Role(
    "bridge-operator",
    configure=_OURS,
    write=_OURS,
    read=_OURS,
    scopes=("configure:mail.*", "write:mail.*/*", "read:mail.*/*"),
)

ROLES = (_INGEST, _EGRESS, _RUN, _CAD_PUBLISHER, _CAD_CONSUMER, _CAD, _OPERATOR)


def scopes(role: Role, *, vhost: str, prefix: str = "") -> list[str]:
    """
    Return the scopes that give a token the rights of a role: values of app roles in Entra, claims elsewhere.

    RabbitMQ's patterns for scopes know no alternatives, so some of these reach a little further than the user's rights.
    """
    made = []
    for scope in role.scopes:
        right, _, names = scope.partition(":")
        made.append(f"{prefix}{right}:{quote(vhost, safe='')}/{names}")
    return made
