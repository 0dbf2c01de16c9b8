"""The web application that Entra is: its routes, with faults and counts around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from bridge.sandbox.clock import ENTRA
from bridge.sandbox.entra.workload import operation_of
from bridge.sandbox.faults.effects import strike_after, strike_before
from bridge.sandbox.faults.rules import Call

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.typedefs import Handler

    from bridge.sandbox.calls import CallLog
    from bridge.sandbox.entra.graph import GraphServer
    from bridge.sandbox.entra.server import EntraServer
    from bridge.sandbox.entra.workload import WorkloadIssuer
    from bridge.sandbox.faults.rules import FaultBook

_BODY_LIMIT_BYTES: Final = 1 << 20
# What fault rules and the call log name Entra's endpoints, by the end of the path.
_OPERATIONS: Final[Mapping[str, str]] = {
    "/token": "token",
    "/openid-configuration": "discovery",
    "/keys": "keys",
    "/discovery/instance": "instance",
}
_GRAPH: Final = "graph"


class EntraRefusals:
    """What Entra answers in place of work."""

    def __init__(self, server: EntraServer) -> None:
        """Word refusals as `server` does."""
        self._server = server

    def unavailable(self, request: web.Request, *, status: int, retry_after: str | None) -> web.Response:
        """Return an overloaded or broken Entra's answer."""
        return self._server.unavailable(request, status=status, retry_after=retry_after)

    def soap_fault(self, code: str, values: Mapping[str, str]) -> web.Response:  # noqa: ARG002 - Entra speaks no SOAP
        """Return HTTP 500: what a fault that is EWS's own comes down to here."""
        return web.Response(status=500)


def entra_application(
    server: EntraServer,
    book: FaultBook,
    log: CallLog,
    *,
    graph: GraphServer | None = None,
    workload: WorkloadIssuer | None = None,
) -> web.Application:
    """Return the application to be served over HTTPS, with what stands beside Entra on its port."""

    @web.middleware
    async def struck(request: web.Request, handler: Handler) -> web.StreamResponse:
        operation = _operation(request.path)
        if operation is None:
            return await handler(request)
        strikes = book.begin(Call(operation, service="entra"))
        with log.begin(operation) as call:
            words = graph if graph is not None and operation == _GRAPH else EntraRefusals(server)
            answer = await strike_before(strikes.before, request, words)
            if answer is None:
                answer = await handler(request)
                answer.headers.setdefault("Date", ENTRA.http_date())
                answer = await strike_after(strikes.after, request, answer)
            call.end(failed=answer.status >= web.HTTPBadRequest.status_code)
            return answer

    application = web.Application(middlewares=[struck], client_max_size=_BODY_LIMIT_BYTES)
    beside = [part for part in (graph, workload) if part is not None]
    application.add_routes([*(route for part in beside for route in part.routes()), *server.routes()])
    return application


def _operation(path: str) -> str | None:
    if path.startswith("/v1.0/"):
        return _GRAPH
    return operation_of(path) or next((name for end, name in _OPERATIONS.items() if path.endswith(end)), None)
