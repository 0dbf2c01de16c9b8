"""
A TCP proxy that can be slow, cut, deaf or closed; in a process of its own, so that it costs the tested one nothing.

`with TcpProxy(port) as proxy:` then connect to `proxy.port`. Works for any protocol, TLS included.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import time

from tests.support.ordered_process import OrderedProcess

_CHUNK = 256 * 1024
_IN_FLIGHT_CHUNKS = 256


class TcpProxy(OrderedProcess):
    """The handle that tests hold. Every method returns once it is in force."""

    def __init__(self, target_port: int, *, target_host: str = "127.0.0.1", round_trip_seconds: float = 0.0) -> None:
        """Start to forward a free port on loopback to the target, adding half the round trip in each direction."""
        target = f"{target_host}:{target_port}"
        super().__init__("tests.support.proxy", "--target", target, "--round-trip", str(round_trip_seconds))
        self.port = self.ready["port"]

    def delay(self, round_trip_seconds: float) -> None:
        """Add this to each round trip from now on."""
        self.order(f"delay {round_trip_seconds}")

    def cut(self) -> int:
        """Reset every connection; new ones are taken. Returns how many there were."""
        return int(self.order("cut")["connections"])

    def blackhole(self) -> None:
        """Keep connections open and carry nothing, in neither direction; new ones are taken and get no answer."""
        self.order("blackhole")

    def carry(self) -> None:
        """Carry again what a black hole kept, and take connections again after `refuse`."""
        self.order("carry")

    def refuse(self) -> None:
        """Reset every connection and take no new ones, as when nothing listens."""
        self.order("refuse")

    @property
    def carried_bytes(self) -> int:
        """How much was carried so far, both directions together."""
        return int(self.order("status")["carried"])


class _Proxy:
    def __init__(self, host: str, port: int, round_trip_seconds: float) -> None:
        self._host = host
        self._port = port
        self._delay = round_trip_seconds / 2
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._own_port = 0
        self._carried = 0

    async def listen(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._own_port, limit=_CHUNK)
        self._own_port = self._server.sockets[0].getsockname()[1]
        return self._own_port

    async def order(self, word: str, argument: str) -> dict[str, int]:
        match word:
            case "delay":
                self._delay = float(argument) / 2
            case "cut":
                return {"connections": self._cut()}
            case "blackhole":
                self._open.clear()
            case "carry":
                self._open.set()
                if self._server is None:
                    await self.listen()
            case "refuse":
                if self._server is not None:
                    self._server.close()
                    self._server = None
                self._cut()
            case "status":
                return {"carried": self._carried, "connections": len(self._writers) // 2}
            case _:
                raise ValueError(word)
        return {}

    def _cut(self) -> int:
        connections = len(self._writers) // 2
        for writer in list(self._writers):
            writer.transport.abort()
        return connections

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._open.wait()
            far_reader, far_writer = await asyncio.open_connection(self._host, self._port, limit=_CHUNK)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        except asyncio.CancelledError:
            return  # the proxy ends; asyncio's streams would ask a cancelled task for its exception
        finally:
            self._writers -= {writer, far_writer}
            writer.transport.abort()
            far_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Read ahead of what is due, so that a delay costs time and not throughput.
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_IN_FLIGHT_CHUNKS)
        writing = asyncio.create_task(self._write(under_way, writer))
        try:
            with contextlib.suppress(OSError):
                while data := await reader.read(_CHUNK):
                    await self._open.wait()
                    await under_way.put((time.monotonic() + self._delay, data))
            await under_way.put((time.monotonic() + self._delay, b""))
            await writing
        finally:
            writing.cancel()

    async def _write(self, under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = await under_way.get()
                if (wait := due - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                await self._open.wait()
                if not data:
                    writer.write_eof() if writer.can_write_eof() else writer.close()
                    return
                writer.write(data)
                self._carried += len(data)
                await writer.drain()


async def _main(host: str, port: int, round_trip_seconds: float) -> None:
    proxy = _Proxy(host, port, round_trip_seconds)
    _say({"port": await proxy.listen()})
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():  # ends with whoever started it
        word, _, argument = line.decode().strip().partition(" ")
        _say(await proxy.order(word, argument))


def _say(answer: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _parser = argparse.ArgumentParser()
    _parser.add_argument("--target", required=True)
    _parser.add_argument("--round-trip", type=float, default=0.0)
    _options = _parser.parse_args()
    _host, _, _port = _options.target.rpartition(":")
    asyncio.run(_main(_host, int(_port), _options.round_trip))
