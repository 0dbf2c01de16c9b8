"""What is known of the urgent queue decides whether the ordinary one is worked on; both always say the same."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from bridge.egress.availability.health import DrainHealth
from bridge.errors import BrokerUnavailable, QueueTaken, TopologyMissing
from bridge.telemetry.health import Health
from bridge.worker.standing_by import StandingBy

if TYPE_CHECKING:
    from bridge.egress.availability.pauses import Availability
    from bridge.errors import BridgeError
    from bridge.ports.broker import Consumer


def a_health() -> DrainHealth:
    part, health = "mailbox:dispatch:egress", Health()
    availability = cast("Availability", SimpleNamespace(code=None, detail=""))
    standing_by = StandingBy(
        None, "egress", "dispatch", part=part, lease="", look=nothing, health=health, emit=lambda _: None
    )
    return DrainHealth(part, health, availability, cast("Consumer", SimpleNamespace(trouble=None)), standing_by)


async def nothing() -> tuple[str, ...]:
    return ()


async def test_the_ordinary_queue_is_left_to_whoever_has_the_urgent_one() -> None:
    health = a_health()

    health.fail("urgent", QueueTaken("it is another's"))
    assert health.urgent_elsewhere
    assert health.urgent_taken.is_set()

    health.mend("urgent")
    assert not health.urgent_elsewhere
    assert not health.urgent_taken.is_set()


@pytest.mark.parametrize("error", [BrokerUnavailable("gone"), TopologyMissing("gone")])
async def test_what_is_not_known_of_the_urgent_queue_ends_nothing(error: BridgeError) -> None:
    """A worker that stood by as the broker went away ended each attempt as it began, at the cost of a core."""
    health = a_health()
    health.fail("urgent", QueueTaken("it is another's"))

    health.fail("urgent", error)

    assert not health.urgent_elsewhere
    assert not health.urgent_taken.is_set()


async def test_a_day_that_is_over_is_told_no_more_though_nobody_sends_anything() -> None:
    """What is left of it grows with time alone; nobody counts while requests wait."""
    health, left = a_health(), 0.0
    health.day_left = lambda: left
    health.mend("urgent")
    health.mend("ordinary")

    def code() -> str | None:
        state = health._health.state("mailbox:dispatch:egress")
        return state.code if state is not None else None

    assert code() == "send_limit_reached"
    left = 1.0
    health.alive()
    assert code() == "ok"
    left = 0.0
    health.alive()
    assert code() == "send_limit_reached"
