"""
The page's own files, and the headers of every answer of the admin server.

Nothing in the page is inline and nothing comes from elsewhere, so its policy forbids both; trusted types forbid what
would turn a text into HTML. A mail's HTML has a policy of its own (`MAIL_POLICY`): an origin that is nobody's, no
scripts, no forms, and nothing is loaded from anywhere.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.typedefs import Handler

PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
MAIL_POLICY: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
_DATA_POLICY: Final = "default-src 'none'; frame-ancestors 'none'; sandbox"
_TYPES: Final = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
# The newest browsers' word for "for this origin alone", and that nothing is kept or guessed.
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": _DATA_POLICY,
}


def page_routes() -> list[web.RouteDef]:
    """Return the routes of the page's files, which are read once: what is not a file of the package is not found."""
    found = _read()

    async def front(_request: web.Request) -> web.Response:
        return _answer("index.html", found["index.html"])

    async def file(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in found:
            raise web.HTTPNotFound
        return _answer(name, found[name])

    return [web.get("/", front), web.get("/web/{name}", file)]


@web.middleware
async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give every answer the headers that it does not have: no sniffing, no keeping, no framing, no loading."""
    answer = await handler(request)
    for name, value in _HEADERS.items():
        answer.headers.setdefault(name, value)
    return answer


def _read() -> Mapping[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in files(__package__).joinpath("static").iterdir()}


def _answer(name: str, content: bytes) -> web.Response:
    kind = _TYPES["." + name.rpartition(".")[2]]
    return web.Response(
        body=content, content_type=kind, charset="utf-8", headers={"Content-Security-Policy": PAGE_POLICY}
    )
