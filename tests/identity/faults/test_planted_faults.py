"""Each planted fault is what `bridge check` names first, and nothing else is accused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.telemetry.reasons import CODES
from tests.identity.faults.checking import findings
from tests.identity.faults.ground import CLOSED, MAILBOX, Ground
from tests.identity.faults.plants import PLANTS

if TYPE_CHECKING:
    from tests.identity.faults.plant import Plant

_AT_LEAST = 45


def test_nothing_is_wrong_where_nothing_is_planted(ground: Ground) -> None:
    assert [one for one in findings(ground.environment) if one.state in {"warning", "failed"}] == []


def test_without_a_broker_the_mailboxes_are_tried(ground: Ground) -> None:
    found = findings({**ground.environment, "BRIDGE_RABBITMQ__URLS": None})

    assert "mailbox dispatch, must_not_reach[0]" in {one.step for one in found if one.state == "ok"}
    assert [one.state for one in found if one.step.startswith("rabbitmq")] == ["skipped"]


def test_a_proxy_in_between_is_shown(ground: Ground) -> None:
    [plant] = [one for one in PLANTS if one.planted.startswith("HTTPS_PROXY leads to")]

    with plant.plant(ground) as variables:
        found = findings({**ground.environment, **variables})

    shown = [one for one in found if one.code == "proxied"]
    assert [one.step.partition(" ")[0] for one in shown] == ["entra", "ews"]
    assert all("through the proxy 127.0.0.1:" in one.tried for one in shown)


def test_there_are_as_many_plants_as_promised_and_each_has_a_name_of_its_own() -> None:
    assert len([plant for plant in PLANTS if plant.state != "ok"]) >= _AT_LEAST
    assert len({plant.planted for plant in PLANTS}) == len(PLANTS)
    assert {plant.code for plant in PLANTS} <= CODES


@pytest.mark.parametrize("plant", PLANTS, ids=[plant.name for plant in PLANTS])
def test_a_planted_fault_is_named_first_and_nothing_else_is_accused(ground: Ground, plant: Plant) -> None:
    with plant.plant(ground) as variables:
        found = findings({**ground.environment, **variables})

    accused = [one for one in found if one.state in {"warning", "failed"}]
    accused = [one for one in accused if one.code == plant.code or one.code not in plant.also]
    if plant.state == "ok":
        assert accused == []
        return
    first = next((one for one in accused if one.state == "failed"), accused[0])
    assert (first.code, first.state) == (plant.code, plant.state)
    assert {one.code for one in accused} == {plant.code}
    assert first.means
    assert first.fix
    assert MAILBOX not in str(found)
    assert CLOSED not in str(found)
    assert str(ground.app["client_secret"]) not in str(found)
