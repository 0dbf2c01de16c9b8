"""Faults of RabbitMQ: on the way, in the login, in its rights, in what is declared."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.identity.faults.ground import EMPTY_VHOST, VHOST, closed_port
from tests.identity.faults.plant import IN_USE, NO_START, Plant, only_check, with_variables, within
from tests.support.certificates import TestAuthority

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.identity.faults.ground import Ground
    from tests.identity.faults.plant import Environment, Planting

_URLS = "BRIDGE_RABBITMQ__URLS"
_ASKS_FOR_NO_OTHER = only_check("it asks for no right that it does not need")
_MAY_NOT_COMPARE = only_check("RabbitMQ compares a queue for those alone who may declare it, which a worker may not")
_WIDE = frozenset({"broker_rights_too_wide"})
"""The administrator, who alone sees how queues differ, may do too much for a worker."""
_LEASES = r"^mail\.lease\."
_ANNOUNCING = r"workers|lease\.workers\.[0-9a-f]+"
_WRITE = rf"^mail\.(inbound|events|events\.default|{_ANNOUNCING}|dead|outbound\.retry\..*)$"
_READ = rf"^mail\.({_ANNOUNCING}|outbound\.(returned|dispatch(\.urgent)?))$"


def _at(host: str, port: int) -> Planting:
    return with_variables(lambda _: {_URLS: f"amqp://bridge-run:x@{host}:{port}/{VHOST}"})


def _rights(*, configure: str = _LEASES, write: str = _WRITE, read: str = _READ) -> Planting:
    @contextmanager
    def plant(ground: Ground) -> Iterator[Environment]:
        with ground.user_with(configure, write, read) as url:
            yield {_URLS: url}

    return plant


@contextmanager
def _no_publish(ground: Ground) -> Iterator[Environment]:
    """With a mail that waits: a worker meets this when it publishes."""
    ground.deliver()
    try:
        with ground.user_with(_LEASES, _WRITE.replace("inbound|", ""), _READ) as url:
            yield {_URLS: url}
    finally:
        ground.empty("inbox")


def _queue(name: str, arguments: dict[str, object]) -> Planting:
    return within(lambda g: g.queue_instead(name, arguments), lambda g: {_URLS: g.administrator})


@contextmanager
def _policy(ground: Ground) -> Iterator[Environment]:
    body = {"pattern": r"^mail\.", "definition": {"max-length": 1000}, "apply-to": "queues", "priority": 1}
    ground.broker(f"policies/{VHOST}/planted", method="PUT", body=body)
    with ground.user_with(_LEASES, _WRITE, _READ, tags="management") as url:
        try:
            yield {_URLS: url, "BRIDGE_RABBITMQ__MANAGEMENT_URL": ground.management_url}
        finally:
            ground.broker(f"policies/{VHOST}/planted", method="DELETE")


@contextmanager
def _managed(ground: Ground, tags: str) -> Iterator[Environment]:
    with ground.user_with(_LEASES, _WRITE, _READ, tags=tags) as url:
        yield {_URLS: url, "BRIDGE_RABBITMQ__MANAGEMENT_URL": ground.management_url}


@contextmanager
def _unbound(ground: Ground) -> Iterator[Environment]:
    where = f"bindings/{VHOST}/e/mail.inbound/q/mail.inbound"
    ground.broker(f"{where}/%23", method="DELETE")
    try:
        with _managed(ground, "management") as variables:
            yield variables
    finally:
        ground.broker(where, method="POST", body={"routing_key": "#"})


@contextmanager
def _alarm(ground: Ground) -> Iterator[Environment]:
    ground.node.ctl("set_vm_memory_high_watermark", "0.00000001")
    try:
        yield {}
    finally:
        ground.node.ctl("set_vm_memory_high_watermark", "0.6")  # as it is unless configured
        until = time.monotonic() + 20
        while ground.broker("nodes")[0]["mem_alarm"]:
            assert time.monotonic() < until
            time.sleep(0.1)


PLANTS = [
    Plant(
        "there is no broker yet: the rest is tried all the same",
        "setting_missing",
        with_variables(lambda _: {_URLS: None}),
        worker=NO_START,
    ),
    # On the way
    Plant("the broker's host name cannot be resolved", "name_unresolved", _at("nowhere.invalid", 5672)),
    Plant("nothing listens at the broker's port", "broker_unavailable", _at("127.0.0.1", closed_port())),
    Plant(
        "rabbitmq.ca_file is another CA's",
        "tls_untrusted",
        with_variables(
            lambda g: {_URLS: g.amqps(), "BRIDGE_RABBITMQ__CA_FILE": str(TestAuthority(g.directory, "other").file)}
        ),
    ),
    Plant(
        "the broker by TLS under its own CA (works)",
        "ok",
        with_variables(lambda g: {_URLS: g.amqps(), "BRIDGE_RABBITMQ__CA_FILE": str(g.authority.file)}),
        state="ok",
    ),
    Plant(
        "amqps:// to the port without TLS",
        "tls_failed",
        with_variables(
            lambda g: {_URLS: g.amqps(port=g.node.amqp_port), "BRIDGE_RABBITMQ__CA_FILE": str(g.authority.file)}
        ),
    ),
    Plant(
        "amqp:// to the port with TLS",
        "broker_protocol_mismatch",
        with_variables(lambda g: {_URLS: g.amqps().replace("amqps://", "amqp://")}),
    ),
    Plant(
        "what listens there is no broker",
        "broker_unavailable",
        with_variables(
            lambda g: {
                _URLS: f"amqp://bridge-run:x@{g.sandbox.info['smtp']}/{VHOST}",
                "BRIDGE_RABBITMQ__CONNECT_TIMEOUT_SECONDS": "1",
            }
        ),
    ),
    # The login
    Plant(
        "the broker's password is wrong",
        "broker_login_refused",
        with_variables(lambda g: {_URLS: g.amqp("bridge-run", password="wrong")}),
    ),
    Plant(
        "the broker's user does not exist", "broker_login_refused", with_variables(lambda g: {_URLS: g.amqp("nobody")})
    ),
    Plant(
        "the virtual host does not exist",
        "broker_vhost_missing",
        with_variables(lambda g: {_URLS: g.amqp("bridge-run", vhost="nowhere")}),
    ),
    Plant(
        "the user may not enter the virtual host",
        "broker_vhost_refused",
        with_variables(lambda g: {_URLS: g.amqp("bridge-run", vhost="%2F")}),
    ),
    # Rights
    Plant("no right to publish mails", "broker_right_missing", _no_publish, worker=IN_USE),
    Plant(
        "no right to publish events",
        "broker_right_missing",
        _rights(write=_WRITE.replace("events|", "")),
        worker=IN_USE,
    ),
    Plant(
        "no right to put requests off",
        "broker_right_missing",
        _rights(write=_WRITE.replace(r"|outbound\.retry\..*", "")),
        worker=IN_USE,
    ),
    Plant(
        "no right to take requests",
        "broker_right_missing",
        _rights(read=rf"^mail\.({_ANNOUNCING}|outbound\.returned)$"),
    ),
    Plant("no right to hold leases", "broker_right_missing", _rights(configure="^$")),
    Plant(
        "the user may declare and delete everything",
        "broker_rights_too_wide",
        _rights(configure=".*"),
        state="warning",
        worker=_ASKS_FOR_NO_OTHER,
    ),
    Plant(
        "the user may read the mails in the queue",
        "broker_rights_too_wide",
        _rights(read=".*"),
        state="warning",
        worker=_ASKS_FOR_NO_OTHER,
    ),
    Plant(
        "the user has the tag administrator",
        "broker_rights_too_wide",
        lambda g: _managed(g, "administrator"),
        state="warning",
        worker=_ASKS_FOR_NO_OTHER,
    ),
    Plant(
        "a user with the tag management, and no policy (works)", "ok", lambda g: _managed(g, "management"), state="ok"
    ),
    # What is declared, and what is in it
    Plant(
        "nothing is declared in the virtual host",
        "topology_missing",
        with_variables(lambda g: {_URLS: g.amqp("bridge-run", vhost=EMPTY_VHOST)}),
    ),
    Plant("no queue is bound to mail.inbound", "publish_unroutable", _unbound, worker=IN_USE),
    Plant(
        "a queue has another delivery limit",
        "topology_differs",
        _queue("mail.dead", {"x-queue-type": "quorum", "x-delivery-limit": 7}),
        also=_WIDE,
        worker=_MAY_NOT_COMPARE,
    ),
    Plant(
        "a queue is a classic one",
        "queue_type_wrong",
        _queue("mail.dead", {"x-queue-type": "classic"}),
        also=_WIDE | {"topology_differs"},
    ),
    Plant(
        "a policy limits the length of the bridge's queues",
        "policy_overrides",
        _policy,
        worker=only_check("policies show in the management API alone, for which a worker has no tag"),
    ),
    Plant(
        "mails wait, and nobody consumes them",
        "inbound_unread",
        within(lambda g: g.message_in("mail.inbound")),
        state="warning",
    ),
    Plant(
        "a request that failed for good waits",
        "dead_letters_wait",
        within(lambda g: g.message_in("mail.dead")),
        state="warning",
    ),
    Plant("the broker's memory alarm is on", "broker_blocked", _alarm),
]
