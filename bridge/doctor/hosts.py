"""Name, connection and TLS of each host, through the proxy where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bridge.adapters.http_trust import BUNDLE
from bridge.adapters.system.proxies import proxy_for
from bridge.adapters.system.reach import reach
from bridge.doctor.findings import ok, wrong

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.doctor.examination import Examination
    from bridge.doctor.findings import Finding

_PORTS = {"https": 443, "http": 80, "amqps": 5671, "amqp": 5672}


async def reachable(examination: Examination, part: str, url: str, ca_file: Path | None) -> Finding:
    """Return how far the way to a host goes."""
    parts = urlsplit(url)
    tls = parts.scheme in {"https", "amqps"}
    host, port = parts.hostname or "localhost", parts.port or _PORTS.get(parts.scheme, 443)
    proxy = proxy_for(url) if parts.scheme in {"https", "http"} else None
    step, tried = f"{part} {host}:{port}", f"connect{' with TLS' if tls else ''}"
    if proxy is not None:
        through = urlsplit(proxy)
        tried += f" through the proxy {through.hostname}:{through.port or 80}"
    examination.begin(step, tried)
    if parts.scheme == "https" and ca_file is None:
        ca_file = BUNDLE  # as calls over HTTP do it; the system may trust more, or less
    found = await reach(host, port, tls=tls, ca_file=ca_file, proxy=proxy)
    if found.code != "ok":
        return wrong(step, tried, found.code, found.detail)
    return ok(step, tried, f"reached ({found.detail})", code="proxied" if proxy is not None else "ok")
