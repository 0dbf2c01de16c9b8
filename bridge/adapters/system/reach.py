"""Whether a host can be reached from here, step by step: its name, a connection, a proxy in between, TLS."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from bridge.adapters.network_failures import network_failure

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST_HEAD_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Reach:
    """
    How far it went: `ok`, or a code of `bridge.telemetry.reasons`.

    `detail` names certificates' defects and addresses of hosts, nothing else.
    """

    code: str
    detail: str = ""


class _ProxyRefusedError(OSError):
    """The proxy answered something else than that it has connected."""


async def reach(
    host: str,
    port: int,
    *,
    tls: bool,
    ca_file: Path | None = None,
    proxy: str | None = None,
    timeout_seconds: float = 10.0,
) -> Reach:
    """
    Resolve, connect, and shake hands with verification; nothing else is sent. Never raises for what it may find.

    With `proxy` (a URL) the proxy is asked to connect, and resolves the name itself.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file) if tls else None
    except (OSError, ssl.SSLError):
        return Reach("ca_file_unusable")
    if proxy is not None:
        return await _through(proxy, host, port, context, timeout_seconds)
    try:
        addresses = await _addresses(host, port, timeout_seconds)
    except TimeoutError:
        return Reach("name_unresolved", f"no answer within {timeout_seconds:g} s")
    except (socket.gaierror, UnicodeError):
        return Reach("name_unresolved")
    try:
        async with asyncio.timeout(timeout_seconds):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLError as error:
        return _of_tls(error)
    except TimeoutError:
        return Reach("host_unreachable", f"{addresses}: no answer within {timeout_seconds:g} s")
    except OSError as error:
        return Reach("host_unreachable", f"{addresses}: {_words(error)}")
    await _hang_up(writer)
    return Reach("ok", addresses)


async def _addresses(host: str, port: int, timeout_seconds: float) -> str:
    async with asyncio.timeout(timeout_seconds):
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return ", ".join(dict.fromkeys(str(address[0]) for *_, address in found))


async def _through(proxy: str, host: str, port: int, context: ssl.SSLContext | None, timeout_seconds: float) -> Reach:
    parts = urlsplit(proxy)
    told = f"{parts.hostname}:{parts.port or 80}"
    writer: asyncio.StreamWriter | None = None
    failing = "proxy_failed"
    try:
        async with asyncio.timeout(timeout_seconds):
            to_proxy = ssl.create_default_context() if parts.scheme == "https" else None
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80, ssl=to_proxy)
            await _connect(reader, writer, f"{host}:{port}", parts.username, parts.password)
            failing = "tls_failed"  # the proxy has done its part
            if context is not None:
                await writer.start_tls(context, server_hostname=host)
    except ssl.SSLError as error:
        return _of_tls(error)
    except TimeoutError:
        return Reach(failing, f"{told}: no answer within {timeout_seconds:g} s")
    except (OSError, EOFError, UnicodeError, asyncio.LimitOverrunError) as error:
        return Reach(failing, f"{told}: {_words(error)}")
    finally:
        if writer is not None:
            await _hang_up(writer)
    return Reach("ok", f"through the proxy {told}")


async def _connect(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str, user: str | None, password: str | None
) -> None:
    head = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"
    if user is not None:
        login = f"{unquote(user)}:{unquote(password or '')}".encode()
        head += f"Proxy-Authorization: Basic {base64.b64encode(login).decode()}\r\n"
    writer.write(f"{head}\r\n".encode())
    await writer.drain()
    answer = await reader.readuntil(b"\r\n\r\n")
    status = answer[:_LONGEST_HEAD_BYTES].split(b"\r\n", 1)[0].split(b" ")
    number = status[1].decode("ascii", "replace")[:3] if len(status) > 1 else ""
    if number != "200":
        raise _ProxyRefusedError(f"it answers HTTP {number}" if number.isdecimal() else "it does not speak HTTP")


def _of_tls(error: ssl.SSLError) -> Reach:
    failure = network_failure(error)
    return Reach("tls_failed") if failure is None else Reach(failure.code, failure.detail)


def _words(error: Exception) -> str:
    if isinstance(error, _ProxyRefusedError):
        return str(error)
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "no connection"


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, ssl.SSLError):  # the other side may be ruder about the end; it was reached
        await writer.wait_closed()
