"""Whether a host can be reached from here, step by step: its name, a connection, TLS."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

Code = Literal["ok", "name_unresolved", "host_unreachable", "tls_untrusted", "tls_failed", "ca_file_unusable"]


@dataclass(frozen=True, slots=True)
class Reach:
    """How far it went. `detail` names certificates' defects and addresses of hosts, nothing else."""

    code: Code
    detail: str = ""


async def reach(
    host: str, port: int, *, tls: bool, ca_file: Path | None = None, timeout_seconds: float = 10.0
) -> Reach:
    """Resolve, connect, and shake hands with verification; nothing is sent. Never raises for what it may find."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_seconds):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        return Reach("name_unresolved", f"no answer within {timeout_seconds:g} s")
    except (socket.gaierror, UnicodeError):
        return Reach("name_unresolved")
    try:
        context = ssl.create_default_context(cafile=ca_file) if tls else None
    except (OSError, ssl.SSLError):
        return Reach("ca_file_unusable")
    addresses = ", ".join(dict.fromkeys(str(address[0]) for *_, address in found))
    try:
        async with asyncio.timeout(timeout_seconds):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLCertVerificationError as error:
        return Reach("tls_untrusted", error.verify_message)
    except ssl.SSLError as error:
        return Reach("tls_failed", error.reason or "")
    except TimeoutError:
        return Reach("host_unreachable", f"{addresses}: no answer within {timeout_seconds:g} s")
    except OSError as error:
        return Reach("host_unreachable", f"{addresses}: {os.strerror(error.errno) if error.errno else 'no connection'}")
    writer.close()
    with contextlib.suppress(OSError, ssl.SSLError):  # the other side may be ruder about the end; it was reached
        await writer.wait_closed()
    return Reach("ok", addresses)
