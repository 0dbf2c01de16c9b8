"""Each planted fault is what `bridge check` names first, and nothing else is accused."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from bridge.doctor.configuration import examine_configuration
from bridge.doctor.examination import Examination
from bridge.doctor.examine import examine
from bridge.telemetry.reasons import CODES
from tests.identity.faults.ground import MAILBOX, Ground
from tests.identity.faults.plants import PLANTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.doctor.findings import Finding
    from tests.identity.faults.plant import Environment, Plant

_AT_LEAST = 45


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with Ground.prepared(tmp_path_factory.mktemp("faults")) as prepared:
        yield prepared


def findings(ground: Ground, variables: Environment) -> list[Finding]:
    """Return what check finds, as the command would tell it."""
    environment = {key: value for key, value in {**ground.environment, **variables}.items() if value is not None}
    surroundings = {
        key: value for key, value in os.environ.items() if "proxy" not in key.lower() and not key.startswith("BRIDGE_")
    }
    with mock.patch.dict(os.environ, surroundings | environment, clear=True):
        settings, found = examine_configuration(None, environment)
        if settings is not None:
            found += asyncio.run(_examined(Examination(settings)))
    return found


async def _examined(examination: Examination) -> list[Finding]:
    return [finding async for finding in examine(examination)]


def test_nothing_is_wrong_where_nothing_is_planted(ground: Ground) -> None:
    assert [one for one in findings(ground, {}) if one.state in {"warning", "failed"}] == []


def test_there_are_as_many_plants_as_promised_and_each_has_a_name_of_its_own() -> None:
    assert len([plant for plant in PLANTS if plant.state != "ok"]) >= _AT_LEAST
    assert len({plant.planted for plant in PLANTS}) == len(PLANTS)
    assert {plant.code for plant in PLANTS} <= CODES


@pytest.mark.parametrize("plant", PLANTS, ids=[plant.name for plant in PLANTS])
def test_a_planted_fault_is_named_first_and_nothing_else_is_accused(ground: Ground, plant: Plant) -> None:
    with plant.plant(ground) as variables:
        found = findings(ground, variables)

    failed = [one for one in found if one.state == "failed"]
    accused = [one for one in found if one.state in {"warning", "failed"}]
    if plant.state == "ok":
        assert accused == []
        return
    first = (failed or accused)[0]
    assert (first.code, first.state) == (plant.code, plant.state)
    assert {one.code for one in accused} - plant.also <= {plant.code}
    assert first.means
    assert first.fix
    assert MAILBOX not in str(found)
    assert str(ground.app["client_secret"]) not in str(found)
