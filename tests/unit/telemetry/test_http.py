"""What probes, Prometheus and people get over HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import aiohttp
import pytest

from bridge.errors import ConfigurationError
from bridge.telemetry.health import Health
from bridge.telemetry.http import TelemetryServer
from bridge.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PART = "mailbox:dispatch:ingest"


@pytest.fixture
def health() -> Health:
    health = Health()
    health.expect(PART)
    return health


@pytest.fixture
async def server(health: Health) -> AsyncIterator[TelemetryServer]:
    server = TelemetryServer(Metrics(), health, {"version": "1.2.3"})
    await server.start("127.0.0.1", 0)
    yield server
    await server.close()


async def get(server: TelemetryServer, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(server.url + path) as answer:
        return answer.status, await answer.text()


async def test_a_process_is_alive_before_it_is_ready(server: TelemetryServer, health: Health) -> None:
    assert await get(server, "/health/live") == (200, "alive\n")
    assert (await get(server, "/health/ready"))[0] == 503

    health.ok(PART)

    assert await get(server, "/health/ready") == (200, "ready\n")


async def test_readiness_says_which_part_does_not_work_and_why(server: TelemetryServer, health: Health) -> None:
    health.trouble(PART, "ews_blocked", "EWS is disabled")

    status, text = await get(server, "/health/ready")

    assert status == 503
    assert text.startswith(f"{PART} ews_blocked: EWS is blocked by policy")
    assert "(EWS is disabled): Exchange Online PowerShell:" in text


async def test_health_has_a_code_a_reason_and_a_hint_for_each_part(server: TelemetryServer, health: Health) -> None:
    health.trouble(PART, "topology_missing")

    told = json.loads((await get(server, "/health"))[1])

    (part,) = told["parts"]
    assert (told["ready"], told["version"]) == (False, "1.2.3")
    assert (part["part"], part["status"], part["code"]) == (PART, "trouble", "topology_missing")
    assert part["hint"] == "bridge topology apply"


async def test_metrics_are_in_prometheus_text_format(server: TelemetryServer) -> None:
    async with aiohttp.ClientSession() as session, session.get(server.url + "/metrics") as answer:
        assert answer.content_type == "text/plain"
        assert "bridge_ingest_published_mails_total" in await answer.text()


async def test_nothing_else_is_served_and_nothing_can_be_changed(server: TelemetryServer) -> None:
    assert (await get(server, "/"))[0] == 404
    async with aiohttp.ClientSession() as session, session.post(server.url + "/health") as answer:
        assert answer.status == 405


async def test_a_port_that_is_taken_is_a_plain_error_with_the_fix(server: TelemetryServer) -> None:
    port = int(server.url.rpartition(":")[2])

    with pytest.raises(ConfigurationError, match=r"is taken by another process .* BRIDGE_HTTP__LISTEN"):
        await TelemetryServer(Metrics(), Health(), {}).start("127.0.0.1", port)


async def test_an_address_that_is_not_ours_is_a_plain_error() -> None:
    with pytest.raises(ConfigurationError, match=r"http\.listen"):
        await TelemetryServer(Metrics(), Health(), {}).start("192.0.2.1", 9)
