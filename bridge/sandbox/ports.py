"""Sockets on loopback whose numbers a directory keeps."""

from __future__ import annotations

import asyncio
import errno
import random
import socket
from typing import Final

from bridge.sandbox.settings import HOST

# Below the range from which Linux takes the ports of outgoing connections (32768 and up): a kept port must not be
# lost to somebody's passing connection between two runs.
_LOWEST, _HIGHEST = 15_000, 32_000
_WAIT_SECONDS: Final = 5.0
_LOOK_AGAIN_SECONDS: Final = 0.1


class PortTakenError(RuntimeError):
    """A port that the directory keeps, or that was asked for, belongs to somebody else."""


def free_port() -> tuple[socket.socket, int]:
    """Return a socket that is bound to a port which nobody used."""
    while True:
        port = random.randint(_LOWEST, _HIGHEST)  # noqa: S311 - any will do
        try:
            return _bind(port), port
        except OSError as error:
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                raise


async def bound(name: str, port: int) -> socket.socket:
    """
    Return a socket that is bound to `port`, waiting a moment for a predecessor that is just ending.

    Raises:
        PortTakenError: It is still taken after that.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + _WAIT_SECONDS
    while True:
        try:
            return _bind(port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or loop.time() >= until:
                message = (
                    f"port {port} for {name} cannot be had on {HOST} ({error.strerror}); "
                    "end what uses it, or give another port with the options"
                )
                raise PortTakenError(message) from error
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)


def _bind(port: int) -> socket.socket:
    # asyncio sends at once (TCP_NODELAY) only where the protocol is named.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        # Listening at once: with SO_REUSEADDR alone, two could be bound to the port.
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    listener.settimeout(0)
    return listener
