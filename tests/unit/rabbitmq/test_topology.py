"""The topology as data: what each queue must have, whoever adds the next one."""

from __future__ import annotations

import json
import re

import pytest

from bridge.wire.definitions import export
from bridge.wire.rights import ROLES, scopes
from bridge.wire.topology import (
    EVENTS,
    INBOUND,
    OUTBOUND,
    OUTBOUND_RETURNED,
    RETRY_STEPS,
    TopologyOptions,
    check_alias,
    egress_needs,
    ingest_needs,
    outbound_queue,
    outbound_urgent_queue,
    parse_outbound_key,
    topology,
)

_TOPOLOGY = topology(["dispatch", "night-desk"])
_QUEUES = {queue.name: queue.arguments for queue in _TOPOLOGY.queues}


@pytest.mark.parametrize("name", _QUEUES)
def test_every_queue_is_a_quorum_queue_with_limits_set_on_purpose(name: str) -> None:
    """A delivery limit left out would be 20, and messages would be dropped after it."""
    arguments = _QUEUES[name]

    assert arguments["x-queue-type"] == "quorum"
    assert "x-delivery-limit" in arguments
    assert "x-consumer-timeout" in arguments


@pytest.mark.parametrize("name", _QUEUES)
def test_a_queue_with_a_delivery_limit_has_somewhere_to_send_what_exceeds_it(name: str) -> None:
    """Events are the one exception: they may be dropped."""
    arguments = _QUEUES[name]

    if arguments["x-delivery-limit"] != -1 and name != EVENTS:
        assert arguments["x-dead-letter-exchange"]
        assert arguments["x-dead-letter-strategy"] == "at-least-once"
        assert arguments["x-overflow"] == "reject-publish"


def test_dead_lettering_is_at_least_once_wherever_there_is_any() -> None:
    """The default may lose a message, silently."""
    for arguments in _QUEUES.values():
        if "x-dead-letter-exchange" in arguments:
            assert (arguments["x-dead-letter-strategy"], arguments["x-overflow"]) == (
                "at-least-once",
                "reject-publish",
            )


def test_everything_that_is_referred_to_is_declared() -> None:
    """A dead-letter or alternate amqp_exchange that does not exist would swallow messages."""
    declared = {one.name for one in _TOPOLOGY.amqp_exchanges}

    wanted = {one.amqp_exchange for one in _TOPOLOGY.bindings}
    wanted |= {str(a["x-dead-letter-exchange"]) for a in _QUEUES.values() if "x-dead-letter-exchange" in a}
    wanted |= {
        str(v) for one in _TOPOLOGY.amqp_exchanges for k, v in one.arguments.items() if k == "alternate-exchange"
    }
    assert wanted <= declared
    assert {one.queue for one in _TOPOLOGY.bindings} == set(_QUEUES)


def test_requests_that_no_queue_takes_are_returned_and_mails_that_none_takes_are_not() -> None:
    """A mail stays in its inbox instead; a request has no such place, and would be dropped."""
    where = {one.name: one.arguments.get("alternate-exchange") for one in _TOPOLOGY.amqp_exchanges}

    assert where[OUTBOUND] == OUTBOUND_RETURNED
    assert where[INBOUND] is None


def test_retry_steps_grow_and_come_back_to_the_outbound_exchange() -> None:
    """Shortest first; no routing key of their own, so that the original one stays."""
    assert [step.seconds for step in RETRY_STEPS] == [5, 30, 120, 600]
    for step in RETRY_STEPS:
        arguments = _QUEUES[step.amqp_exchange]
        assert arguments["x-message-ttl"] == step.seconds * 1000
        assert arguments["x-dead-letter-exchange"] == OUTBOUND
        assert "x-dead-letter-routing-key" not in arguments


def test_unread_events_fill_nothing() -> None:
    """The oldest go first, by age and by size."""
    arguments = _QUEUES[EVENTS]

    assert arguments["x-overflow"] == "drop-head"
    assert arguments["x-message-ttl"]
    assert arguments["x-max-length-bytes"]


def test_without_the_default_queue_mails_go_only_where_consumers_bind() -> None:
    """No queue, no binding, and still no alternate amqp_exchange."""
    lean = topology(["dispatch"], TopologyOptions(default_queue=False))

    assert INBOUND not in {queue.name for queue in lean.queues}
    assert all(binding.amqp_exchange != INBOUND for binding in lean.bindings)
    assert next(one for one in lean.amqp_exchanges if one.name == INBOUND).arguments == {}


@pytest.mark.parametrize(
    "alias", ["", "Dispatch", "a.b", "a b", "ä", "retry", "dead", "returned", "urgent", "a" * 65, "a\n"]
)
def test_an_alias_that_would_break_names_is_refused(alias: str) -> None:
    """Dots, capitals and the bridge's own words."""
    with pytest.raises(ValueError, match="alias"):
        check_alias(alias)


def test_the_same_alias_twice_is_refused() -> None:
    """Two mailboxes would share queues."""
    with pytest.raises(ValueError, match="same alias"):
        topology(["dispatch", "dispatch"])


@pytest.mark.parametrize(
    ("key", "expected"), [("dispatch", ("dispatch", False)), ("dispatch.urgent", ("dispatch", True))]
)
def test_a_routing_key_tells_mailbox_and_urgency(key: str, expected: tuple[str, bool]) -> None:
    """The inverse of `outbound_key`."""
    assert parse_outbound_key(key) == expected


def test_what_workers_need_is_declared() -> None:
    """`verify` must never ask for what `apply` does not make."""
    exchanges = {one.name for one in _TOPOLOGY.amqp_exchanges}

    for needed_exchanges, needed_queues in (ingest_needs(), egress_needs(["dispatch", "night-desk"])):
        assert set(needed_exchanges) <= exchanges
        assert set(needed_queues) <= set(_QUEUES)
    assert {outbound_queue("dispatch"), outbound_urgent_queue("dispatch"), OUTBOUND_RETURNED} <= set(
        egress_needs(["dispatch"])[1]
    )


def test_export_carries_no_password_and_is_plain_json() -> None:
    """It is meant to be committed and mailed around."""
    document = export(_TOPOLOGY, vhost="mail", with_users=True)

    text = json.dumps(document)
    assert json.loads(text) == document
    assert [user["password_hash"] for user in document["users"]] == [""] * len(ROLES)  # type: ignore[attr-defined]
    assert '"password":' not in text
    assert "users" not in export(_TOPOLOGY)


def test_rights_alone_touch_no_user_and_no_password() -> None:
    """What is imported again after a mailbox or a release was added."""
    document = export(_TOPOLOGY, vhost="mail", with_rights=True)

    assert "users" not in document
    with_users = export(_TOPOLOGY, vhost="mail", with_users=True)
    assert document["permissions"] == with_users["permissions"]
    assert document["topic_permissions"] == with_users["topic_permissions"]


def test_scopes_carry_the_prefix_and_the_virtual_host_as_rabbitmq_reads_it() -> None:
    """A name with a slash in it is escaped, or it would end there; Entra takes values of up to 120 characters."""
    made = {scope for role in ROLES for scope in scopes(role, vhost="a/b", prefix="bridge.")}

    assert all(re.fullmatch(r"bridge\.(configure|write|read):a%2Fb/[a-z.*]+(/[a-z._*]+)?", scope) for scope in made)
    assert "bridge.write:a%2Fb/mail.events/outbound.sent" in made
    assert max(map(len, made)) <= 120
