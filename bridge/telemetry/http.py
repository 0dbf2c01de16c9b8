"""/metrics and /health, on the worker's own event loop: when the loop hangs they hang as well, and a probe sees it."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import TYPE_CHECKING, Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from bridge.errors import ConfigurationError
from bridge.telemetry.health import WORKS
from bridge.telemetry.http_connections import Connections

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bridge.telemetry.health import Health, PartState
    from bridge.telemetry.metrics import Metrics

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_BACKLOG: Final = 128


class TelemetryServer:
    """
    Serves until closed, to a bounded number of connections, each for a bounded time.

    - `/metrics`: for Prometheus.
    - `/health/live`: 200 as long as the event loop turns.
    - `/health/ready`: 200 when every part works, otherwise 503; one line for each part that does not.
    - `/health`: JSON, every part with its code, the reason in words, and what to do. Always 200.
    """

    def __init__(self, metrics: Metrics, health: Health, about: Mapping[str, str]) -> None:
        self._metrics, self._health, self._about = metrics, health, dict(about)
        app = web.Application(middlewares=[self._plainly])
        app.router.add_get("/metrics", self._show_metrics)
        app.router.add_get("/health/live", self._show_live)
        app.router.add_get("/health/ready", self._show_ready)
        app.router.add_get("/health", self._show_health)
        self._connections = Connections(metrics.count_closed_connection)
        seconds = self._connections.seconds
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=1, keepalive_timeout=seconds
        )
        self._server: asyncio.Server | None = None
        self._address = ("", 0)

    @property
    def url(self) -> str:
        """Return where it is served, once started."""
        host, port = self._address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def start(self, host: str, port: int) -> None:
        """
        Listen; port 0 takes a free one.

        Raises:
            ConfigurationError: The address cannot be listened on.
        """
        await self._runner.setup()
        try:
            self._server = await self._listen(host, port)
        except OSError as error:
            await self._runner.cleanup()
            what = {
                errno.EADDRINUSE: "is taken by another process (perhaps another worker with the same configuration)",
                errno.EADDRNOTAVAIL: "is no address of this machine",
                errno.EACCES: "may not be listened on by this user",
            }.get(error.errno or 0, "cannot be listened on")
            message = f"http.listen {host}:{port} {what}: set another one there, or as BRIDGE_HTTP__LISTEN"
            raise ConfigurationError(message) from error
        self._address = self._server.sockets[0].getsockname()[:2]

    async def _listen(self, host: str, port: int) -> asyncio.Server:
        if self._runner.server is None:
            raise RuntimeError("the runner is not set up")
        make = self._connections.guarded(self._runner.server)
        # asyncio accepts as many connections at a time as the backlog is long, and where descriptors are missing it
        # fails, logs and tries again in a second for each of them: a hundred such lines become ten thousand.
        server = await asyncio.get_running_loop().create_server(make, host, port, backlog=1, reuse_port=False)
        for listening in server.sockets:
            with socket.socket(fileno=os.dup(listening.fileno())) as same:
                same.listen(_BACKLOG)
        return server

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()

    async def _show_metrics(self, _: web.Request) -> web.StreamResponse:
        return web.Response(body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    async def _show_live(self, _: web.Request) -> web.StreamResponse:
        return web.Response(text="alive\n")

    async def _show_ready(self, _: web.Request) -> web.StreamResponse:
        if self._health.ready:
            return web.Response(text="ready\n")
        lines = [_in_words(state) for state in self._health.report() if state.status not in WORKS]
        return web.Response(status=503, text="".join(lines) or "nothing has started yet\n")

    async def _show_health(self, _: web.Request) -> web.StreamResponse:
        parts = [state.as_fields() for state in self._health.report()]
        return web.json_response({"ready": self._health.ready, **self._about, "parts": parts})

    @web.middleware
    async def _plainly(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let nobody cache an answer or take it for something else."""
        self._connections.answering(request.transport)
        response = await handler(request)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def _in_words(state: PartState) -> str:
    detail = f" ({state.detail})" if state.detail else ""
    hint = f": {state.hint}" if state.hint else ""
    return f"{state.part} {state.code}: {state.reason}{detail}{hint}\n"
