"""What faults do to an HTTP call, seen from a client."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.sandbox.ews.faults import EwsRefusals
from bridge.sandbox.faults.effects import strike_after, strike_before
from bridge.sandbox.faults.kinds import KINDS, Stage, read_fault
from bridge.sandbox.faults.rules import Fault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_ANSWER = b"<s:Envelope><s:Body><m:Answer>" + b"x" * 4000 + b"</m:Answer></s:Body></s:Envelope>"


class _Service:
    """Does its work once for each call, unless a fault comes first."""

    def __init__(self, given: object) -> None:
        kind, parameters = read_fault(given)
        fault = [Fault(kind, parameters)]
        before = KINDS[kind].stage is Stage.BEFORE
        self._before, self._after = (fault, []) if before else ([], fault)
        self.worked = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        answer = await strike_before(self._before, request, EwsRefusals())
        if answer is not None:
            return answer
        self.worked += 1
        whole = web.Response(body=_ANSWER, headers={"Content-Type": "text/xml; charset=utf-8"})
        return await strike_after(self._after, request, whole)


@asynccontextmanager
async def _serving(given: object) -> AsyncIterator[tuple[_Service, str]]:
    service = _Service(given)
    application = web.Application()
    application.router.add_route("*", "/", service.handle)
    async with TestServer(application) as server:
        yield service, str(server.make_url("/"))


async def _post(url: str, timeout: float = 5) -> tuple[int, bytes, Any]:
    limits = aiohttp.ClientTimeout(total=timeout)
    async with aiohttp.ClientSession(timeout=limits) as session, session.post(url, data=b"<request/>") as answer:
        return answer.status, await answer.read(), answer.headers


@pytest.mark.parametrize("kind", ["cut_before", {"kind": "stall_before", "seconds": 0.05}])
async def test_a_cut_before_the_work_leaves_it_undone(kind: object) -> None:
    async with _serving(kind) as (service, url):
        with pytest.raises(aiohttp.ClientConnectionError):
            await _post(url)

        assert service.worked == 0


@pytest.mark.parametrize("kind", ["cut_after", {"kind": "stall_after", "seconds": 0.05}])
async def test_a_cut_after_the_work_loses_the_answer_alone(kind: object) -> None:
    async with _serving(kind) as (service, url):
        with pytest.raises(aiohttp.ClientConnectionError):
            await _post(url)

        assert service.worked == 1


async def test_a_stalled_call_gives_nothing_until_the_client_gives_up() -> None:
    async with _serving("stall_before") as (service, url):
        with pytest.raises(TimeoutError):
            await _post(url, timeout=0.2)

        assert service.worked == 0


async def test_latency_delays_and_the_call_goes_on() -> None:
    async with _serving({"kind": "latency", "seconds": 0.2}) as (service, url):
        started = asyncio.get_running_loop().time()
        status, body, _ = await _post(url)

        assert asyncio.get_running_loop().time() - started >= 0.2
        assert (status, body, service.worked) == (200, _ANSWER, 1)


async def test_throttling_by_status_says_when_to_come_back_only_if_told_to() -> None:
    async with _serving({"kind": "unavailable", "retry_after_seconds": 7}) as (service, url):
        status, _, headers = await _post(url)
        assert (status, headers["Retry-After"], service.worked) == (503, "7", 0)

    async with _serving("unavailable") as (_, url):
        assert "Retry-After" not in (await _post(url))[2]


async def test_throttling_by_soap_fault_carries_the_back_off() -> None:
    async with _serving({"kind": "server_busy", "back_off_milliseconds": 1234}) as (service, url):
        status, body, headers = await _post(url)

    assert (status, service.worked) == (500, 0)
    assert headers["Content-Type"].startswith("text/xml")
    assert b"ErrorServerBusy" in body
    assert b'<t:Value Name="BackOffMilliseconds">1234</t:Value>' in body


async def test_a_block_by_policy_names_itself_in_the_header() -> None:
    async with _serving("blocked_by_policy") as (_, url):
        status, _, headers = await _post(url)

    assert (status, headers["X-EWS-Policy-Reason"]) == (403, "EWS is blocked by policy for this user or tenant")


async def test_a_truncated_answer_is_whole_for_http() -> None:
    async with _serving({"kind": "truncated", "keep": 0.25}) as (service, url):
        status, body, headers = await _post(url)

    assert (status, body, service.worked) == (200, _ANSWER[: len(_ANSWER) // 4], 1)
    assert headers["Content-Length"] == str(len(body))


async def test_an_answer_that_is_cut_within_arrives_in_part() -> None:
    async with _serving({"kind": "cut_within", "keep": 0.5}) as (service, url):
        with pytest.raises(aiohttp.ClientPayloadError):
            await _post(url)

        assert service.worked == 1


async def test_a_malformed_answer_keeps_its_length_and_not_its_form() -> None:
    async with _serving("malformed") as (_, url):
        _, body, _ = await _post(url)

    assert body != _ANSWER
    assert len(body) > len(_ANSWER)


async def test_an_empty_answer_is_empty() -> None:
    async with _serving("empty") as (_, url):
        assert (await _post(url))[:2] == (200, b"")


@pytest.mark.parametrize(("kind", "status"), [("html_page", 200), ("http_error", 502)])
async def test_a_gateway_answers_html(kind: str, status: int) -> None:
    async with _serving(kind) as (_, url):
        answered, body, headers = await _post(url)

    assert (answered, headers["Content-Type"].partition(";")[0]) == (status, "text/html")
    assert body.startswith(b"<html>")


async def test_a_slow_answer_arrives_whole() -> None:
    async with _serving({"kind": "slow_drip", "bytes_per_second": 100_000}) as (_, url):
        assert (await _post(url))[1] == _ANSWER
