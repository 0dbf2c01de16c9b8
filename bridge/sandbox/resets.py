"""Ending a TCP connection by a reset (RST), which the other side gets as an error and not as an end."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


def close_by_reset(connection: socket.socket) -> None:
    """Close a socket; what it has not sent is lost."""
    _forget_the_rest(connection)
    connection.close()


def abort_by_reset(transport: asyncio.Transport | None) -> None:
    """End the connection under a transport, None being one that has ended; what it has not sent is lost."""
    if transport is not None:
        plain = transport.get_extra_info("socket")
        if plain is not None and plain.family in {socket.AF_INET, socket.AF_INET6}:
            _forget_the_rest(plain)
        transport.abort()


def _forget_the_rest(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
