"""A proxy in between is asked to connect, and whatever it answers instead is told as that."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.system.proxies import proxy_for
from bridge.adapters.system.reach import Reach, reach

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_URL = "https://login.microsoftonline.com/tenant"


@asynccontextmanager
async def a_proxy(answer: bytes | None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Yield the address of a proxy that answers so (None: not at all), and the requests that it gets."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        if answer is not None:
            writer.write(answer)
            writer.close()
        else:
            await reader.read()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", heard


async def _through(answer: bytes | None, *, login: str = "", tls: bool = True) -> tuple[Reach, bytes]:
    async with a_proxy(answer) as (address, heard):
        found = await reach("exchange.example.org", 443, tls=tls, proxy=f"http://{login}{address}", timeout_seconds=0.5)
    return found, heard[0]


async def test_the_proxy_is_asked_for_the_host_and_resolves_its_name() -> None:
    found, asked = await _through(b"HTTP/1.1 200 Connection established\r\n\r\n", tls=False)

    assert found.code == "ok"
    assert "through the proxy 127.0.0.1:" in found.detail
    assert asked == b"CONNECT exchange.example.org:443 HTTP/1.1\r\nHost: exchange.example.org:443\r\n\r\n"


async def test_the_login_of_the_proxy_is_sent_and_never_told() -> None:
    found, asked = await _through(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", login="user:p%40ss@")

    assert b"Proxy-Authorization: Basic dXNlcjpwQHNz\r\n" in asked
    assert (found.code, "HTTP 407" in found.detail) == ("proxy_failed", True)
    assert "user" not in found.detail
    assert "ss" not in found.detail.replace("answers", "")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 403 Forbidden\r\n\r\n",
        b"HTTP/1.1 200 OK",
        b"220 mail.example.org ESMTP\r\n\r\n",
        b"\r\n\r\n",
        b"\x00" * 200_000,
        b"",
        None,
    ],
)
async def test_whatever_is_no_connection_is_a_proxy_that_fails(answer: bytes | None) -> None:
    found, _ = await _through(answer)

    assert found.code == "proxy_failed"


async def test_tls_that_does_not_come_about_behind_the_proxy_is_told_as_that() -> None:
    found, _ = await _through(b"HTTP/1.1 200 OK\r\n\r\nno TLS at all, but some text that is long enough")

    assert found.code == "tls_failed"


def test_the_proxy_is_the_one_that_requests_go_through(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert proxy_for(_URL) is None

    monkeypatch.setenv("HTTPS_PROXY", "proxy.example.org:3128")
    assert proxy_for(_URL) == "http://proxy.example.org:3128"

    monkeypatch.setenv("NO_PROXY", "example.net,.microsoftonline.com")
    assert proxy_for(_URL) is None
