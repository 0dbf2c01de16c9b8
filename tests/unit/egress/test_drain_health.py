"""What is known of the urgent queue decides whether the ordinary one is worked on; both always say the same."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from bridge.errors import BrokerUnavailable, QueueTaken, TopologyMissing
from bridge.telemetry.health import Health
from bridge.workers.egress_health import DrainHealth
from bridge.workers.standing_by import StandingBy

if TYPE_CHECKING:
    from bridge.errors import BridgeError
    from bridge.ports.broker import Consumer
    from bridge.workers.egress_pause import Pauses


def a_health() -> DrainHealth:
    part, health = "mailbox:dispatch:egress", Health()
    pauses = cast("Pauses", SimpleNamespace(code=None, detail=""))
    standing_by = StandingBy(
        None, "egress", "dispatch", part=part, lease="", look=nothing, health=health, emit=lambda _: None
    )
    return DrainHealth(part, health, pauses, cast("Consumer", SimpleNamespace(trouble=None)), standing_by)


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
