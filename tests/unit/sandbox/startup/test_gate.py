"""Where connections come in: nothing that a client or the machine does ends the accepting."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from bridge.sandbox import gate as module
from bridge.sandbox.faults.rules import FaultBook
from bridge.sandbox.gate import Gate
from bridge.sandbox.presented import Presented

if TYPE_CHECKING:
    from pathlib import Path


def _gate(directory: Path, listener: socket.socket) -> Gate:
    book = FaultBook(directory / "faults.json")
    book.put([{"fault": "tcp_reset"}])

    async def handler(_request: web.BaseRequest) -> web.Response:
        return web.Response()

    return Gate("ews", listener, web.Server(handler), Presented(directory / "certificates"), book)


def _listener() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0)
    return listener


async def _is_reset(port: int) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await reader.read()
    except ConnectionResetError:
        return True
    finally:
        writer.close()
    return False


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ECONNABORTED])
async def test_accepting_goes_on_when_the_machine_has_no_descriptor_or_the_client_has_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(module, "_TRY_AGAIN_SECONDS", 0)
    loop, failures = asyncio.get_running_loop(), [OSError(number, "no")] * 3
    accept = loop.sock_accept

    async def accept_in_the_end(listener: socket.socket) -> tuple[socket.socket, object]:
        if failures:
            raise failures.pop()
        return await accept(listener)

    monkeypatch.setattr(loop, "sock_accept", accept_in_the_end)
    listener = _listener()
    gate = _gate(tmp_path, listener)
    gate.open()

    assert await _is_reset(listener.getsockname()[1])
    assert failures == []
    await gate.close()


async def test_a_gate_that_is_closed_accepts_nothing_and_leaves_no_task(tmp_path: Path) -> None:
    listener = _listener()
    port = listener.getsockname()[1]
    before = asyncio.all_tasks()
    gate = _gate(tmp_path, listener)
    gate.open()

    await gate.close()

    assert asyncio.all_tasks() == before
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_connections_that_are_silent_end_with_the_gate(tmp_path: Path) -> None:
    listener = _listener()
    gate = _gate(tmp_path, listener)
    gate._book.put([{"fault": "tcp_silent"}])
    gate.open()
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.getsockname()[1])
    while not gate._connecting:
        await asyncio.sleep(0)

    await gate.close()

    assert await reader.read() == b""
    writer.close()
