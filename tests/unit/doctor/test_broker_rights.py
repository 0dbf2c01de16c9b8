"""What check asks RabbitMQ for is what the users of `topology export` have, neither more nor less."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from bridge.config import MailboxSettings
from bridge.doctor.broker_rights import Right, needed_by
from bridge.wire.rights import ROLES
from bridge.wire.topology import EVENTS_DEFAULT, WORKERS, announcements_queue

if TYPE_CHECKING:
    from bridge.wire.rights import Role

MAILBOXES = (
    MailboxSettings(alias="dispatch", address="dispatch@example.org"),
    MailboxSettings(alias="archive-2", address="archive@example.org", send=False),
)


def role(name: str) -> Role:
    return next(one for one in ROLES if one.user == f"bridge-{name}")


def grants(user: Role, right: Right) -> bool:
    """Return whether RabbitMQ would let the user."""
    pattern = {"publish": user.write, "consume": user.read}.get(right.what, user.configure)
    topics = [topic.write for topic in user.topics if topic.amqp_exchange == right.name]
    by_key = all(re.search(topic, right.routing_key) for topic in topics)
    return re.search(pattern, right.name) is not None and (right.what != "publish" or by_key)


@pytest.mark.parametrize("name", ["ingest", "egress", "run"])
def test_each_worker_s_user_has_every_right_that_check_wants(name: str) -> None:
    needed = list(needed_by(name, MAILBOXES))

    assert len(needed) == len(set(needed)) > 3
    assert [str(right) for right in needed if not grants(role(name), right)] == []


def test_a_worker_of_both_roles_needs_what_each_does() -> None:
    assert set(needed_by("run", MAILBOXES)) == set(needed_by("ingest", MAILBOXES)) | set(needed_by("egress", MAILBOXES))


def test_neither_has_the_other_s_rights() -> None:
    """But those to announce itself, and to publish an event to its default queue, which each worker has."""
    shared = set(needed_by("ingest", MAILBOXES)) & set(needed_by("egress", MAILBOXES))
    assert {right.name for right in shared} == {WORKERS, announcements_queue("0"), EVENTS_DEFAULT}
    assert not any(grants(role("ingest"), right) for right in set(needed_by("egress", MAILBOXES)) - shared)
    assert not any(grants(role("egress"), right) for right in set(needed_by("ingest", MAILBOXES)) - shared)


def test_nobody_but_workers_and_operators_may_announce() -> None:
    announcing = [right for right in needed_by("ingest", MAILBOXES) if right.name == WORKERS]
    may = {user.user for user in ROLES if any(grants(user, right) for right in announcing)}
    assert may == {"bridge-ingest", "bridge-egress", "bridge-run", "bridge-operator"}


def test_a_mailbox_that_is_not_sent_from_needs_no_queue() -> None:
    assert not any("archive-2" in right.name for right in needed_by("egress", MAILBOXES))
