"""Each right of a least-privilege user is needed, and there is no other: one is left out at a time, and work stops."""

from __future__ import annotations

import asyncio
import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pytest
from pika.exceptions import ChannelClosedByBroker

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.adapters.rabbitmq.errors import ACCESS_REFUSED
from bridge.errors import BrokerAccessRefused
from bridge.wire.rights import ROLES, Role
from bridge.wire.topology import (
    EVENTS,
    INBOUND,
    OUTBOUND,
    lease_queue,
    reader_lease,
    topology,
)
from tests.integration.rabbitmq.support import TOPOLOGY, quick
from tests.integration.rabbitmq.work import KEYS, QUEUES, WORK, prepare
from tests.support.rabbit import a_channel

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from bridge.demo.broker_node import BrokerNode

_ROLES = {role.user.removeprefix("bridge-"): role for role in ROLES}
_DECLARED = {one.name for one in TOPOLOGY.amqp_exchanges} | {one.name for one in TOPOLOGY.queues}
_NAMES = sorted(
    _DECLARED
    | {reader_lease("dispatch"), *(lease_queue(name) for name in QUEUES)}
    | {"cad.flights", "cad", "mail", "other", "amq.default", "amq.topic", "amq.gen-1", "xmail.inbound", "mail.inbound2"}
)
"""Everything that there is on the virtual host, and names beside it that a careless pattern would match."""

_ASIDE = {INBOUND: ["dispatch.other", "mail", "dispatch.mail.more"], EVENTS: ["outbound", "outbound.sent.more", "x"]}


@dataclass(frozen=True)
class Right:
    """One thing that a user may do."""

    kind: Literal["configure", "write", "read", "publish"]
    name: str
    key: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name} {self.key}".strip()


def _granted(role: Role) -> list[Right]:
    """Return every right that the user has on what there is."""
    found = [
        Right(kind, name)
        for kind in ("configure", "write", "read")
        for name in _NAMES
        if re.search(getattr(role, kind), name)
    ]
    for topic in role.topics:
        keys = [*KEYS[topic.amqp_exchange], *_ASIDE[topic.amqp_exchange]]
        found += [Right("publish", topic.amqp_exchange, key) for key in keys if re.search(topic.write, key)]
    return found


def _without(role: Role, right: Right | None, user: str, vhost: str) -> dict[str, list[object]]:
    """Return a user with the rights of the role, one left out."""
    patterns = {kind: getattr(role, kind) for kind in ("configure", "write", "read")}
    topics = {topic.amqp_exchange: topic.write for topic in role.topics}
    if right is not None and right.kind == "publish":
        topics[right.name] = f"(?!^{re.escape(right.key)}$)" + topics[right.name]
    elif right is not None:
        patterns[right.kind] = f"(?!^{re.escape(right.name)}$)" + patterns[right.kind]
    return {
        "users": [{"name": user, "password": "pw", "tags": []}],
        "permissions": [{"user": user, "vhost": vhost, **patterns}],
        "topic_permissions": [
            {"user": user, "vhost": vhost, "exchange": exchange, "write": write, "read": "^$"}
            for exchange, write in topics.items()
        ],
    }


@pytest.fixture
def prepared(broker_url: str) -> str:
    """The topology, with a request in each queue that is drained."""
    asyncio.run(prepare(broker_url))
    return broker_url


@pytest.mark.parametrize("name", [user.removeprefix("bridge-") for user in WORK])
def test_each_right_is_needed_and_there_is_no_other(name: str, prepared: str, broker: BrokerNode, vhost: str) -> None:
    """The work is done with all of them, and is refused as soon as any one is missing."""
    role, work = _ROLES[name], WORK[f"bridge-{name}"]
    granted = _granted(role)
    users = {right: f"{vhost}-{name}-{number}" for number, right in enumerate([None, *granted])}
    documents = [_without(role, right, user, vhost) for right, user in users.items()]
    broker.import_definitions(
        {part: list(itertools.chain.from_iterable(one[part] for one in documents)) for part in documents[0]}
    )

    def refused(user: str) -> bool:
        answer = _refused(work, broker.vhost_url(vhost, username=user, password="pw"))
        with a_channel(prepared) as channel:  # what is there already, nobody needs a right to dead-letter from
            channel.queue_delete("cad.flights")
        return answer

    assert not refused(users.pop(None))
    not_needed = [str(right) for right, user in users.items() if not refused(user)]

    print(f"{name}: {len(granted)} rights: {', '.join(map(str, granted))}")
    assert granted
    assert not_needed == []


def _refused(work: Callable[[str], Coroutine[Any, Any, None]], url: str) -> bool:
    async def in_time() -> None:
        async with asyncio.timeout(20):
            await work(url)

    try:
        asyncio.run(in_time())
    except BrokerAccessRefused:
        return True
    except ChannelClosedByBroker as error:
        if error.reply_code != ACCESS_REFUSED:
            raise
        return True
    return False


def test_a_user_for_both_directions_has_the_rights_of_both_and_no_more() -> None:
    """`bridge run` is both workers in one process; a CAD system may be both sides in one."""
    for both, parts in (("run", ("ingest", "egress")), ("cad", ("cad-publisher", "cad-consumer"))):
        of_parts = {right for part in parts for right in _granted(_ROLES[part])}
        assert set(_granted(_ROLES[both])) == of_parts


def test_no_worker_may_make_change_or_read_what_is_not_its_own() -> None:
    """In words, what the patterns come to."""
    ingest, egress = set(_granted(_ROLES["ingest"])), set(_granted(_ROLES["egress"]))

    assert {right.name for right in ingest if right.kind == "configure"} == {reader_lease("dispatch")}
    assert not [right for right in ingest if right.kind == "read"]
    assert {right.name for right in egress if right.kind == "configure"} == set(map(lease_queue, QUEUES[:2]))
    assert {right.name for right in egress if right.kind == "read"} == set(QUEUES)
    assert OUTBOUND not in {right.name for right in ingest | egress}


@pytest.mark.parametrize("left_out", [None, "configure", "write", "read"])
async def test_the_operator_needs_each_kind_of_right_to_apply(
    left_out: str | None, broker: BrokerNode, vhost: str
) -> None:
    """And has none to a worker's lease."""
    role = _ROLES["operator"]
    document = _without(role, None, f"{vhost}-operator", vhost)
    if left_out is not None:
        document["permissions"][0][left_out] = "^$"  # type: ignore[index]
    await asyncio.to_thread(broker.import_definitions, document)
    desk = RabbitTopology(quick(broker.vhost_url(vhost, username=f"{vhost}-operator", password="pw")))

    if left_out is None:
        assert {one.state for one in await desk.apply(topology(["dispatch"]))} == {"declared"}
    else:
        with pytest.raises(BrokerAccessRefused):
            await desk.apply(topology(["dispatch"]))
    names = {right.name for right in _granted(role)}
    assert names == _DECLARED | {"mail.inbound2"}
