"""
An HTTP proxy for CONNECT that brings host names to ports on loopback; in a process of its own.

`with ConnectProxy({"login.microsoftonline.com": 8443}) as proxy:` then `HTTPS_PROXY=proxy.url`. A host that is not
named is refused with 403, so that nothing of a test ever leaves the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from typing import TYPE_CHECKING

from tests.support.ordered_process import OrderedProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHUNK = 256 * 1024
_HEAD_BYTES = 16 * 1024


class ConnectProxy(OrderedProcess):
    """The handle that tests hold."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        """Start on a free port of loopback."""
        super().__init__("tests.support.connect_proxy", "--ports", json.dumps(dict(ports)))
        self.url = f"http://127.0.0.1:{self.ready['port']}"

    def carried(self) -> dict[str, int]:
        """Return how many connections were asked for so far, by host."""
        return self.order("status")


class _Proxy:
    def __init__(self, ports: Mapping[str, int]) -> None:
        self._ports = ports
        self.asked: dict[str, int] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
            host, _, port = target.rpartition(":")
            self.asked[host] = self.asked.get(host, 0) + 1
            if method != "CONNECT" or port != "443" or host not in self._ports:
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await writer.drain()
            else:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._ports[host], limit=_CHUNK)
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                try:
                    await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
                finally:
                    far_writer.transport.abort()
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    if writer.can_write_eof():
        with contextlib.suppress(OSError):
            writer.write_eof()


async def _main(ports: Mapping[str, int]) -> None:
    proxy = _Proxy(ports)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, limit=_HEAD_BYTES)
    _say({"port": server.sockets[0].getsockname()[1]})
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while await orders.readline():  # ends with whoever started it
        _say(proxy.asked)


def _say(answer: Mapping[str, int]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _parser = argparse.ArgumentParser()
    _parser.add_argument("--ports", type=json.loads, required=True)
    asyncio.run(_main(_parser.parse_args().ports))
