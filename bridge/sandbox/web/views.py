"""What the page asks the admin server for, beside what scripts do: mails taken apart, calls, tokens, what is new."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid, parseaddr
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from bridge.sandbox.faults.kinds import KINDS
from bridge.sandbox.requests import RefusedError, json_object, number, text
from bridge.sandbox.tenant import is_address
from bridge.sandbox.web.mails import attachment_of, disposition, html_of, source_of, view_of
from bridge.sandbox.web.pages import MAIL_POLICY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.sandbox.calls import CallLog
    from bridge.sandbox.entra.issued import IssuedTokens
    from bridge.sandbox.faults.rules import FaultBook
    from bridge.sandbox.store import Store
    from bridge.sandbox.tenant import TenantFile

_RECENT: Final = 200
_RECENT_MOST: Final = 1000
_MAIL_LIMIT_BYTES: Final = 150 << 20
_COMPOSED: Final = ("from", "subject", "text", "html", "in_reply_to", "references")
_MESSAGE_IDS: Final = re.compile(r"[!-~]{1,990}(?: [!-~]{1,990}){0,99}")


class WebViews:
    """The routes of the page's data."""

    def __init__(
        self, store: Store, tenants: TenantFile, faults: FaultBook, log: CallLog, issued: IssuedTokens
    ) -> None:
        """Show what these hold."""
        self._store = store
        self._tenants = tenants
        self._faults = faults
        self._log = log
        self._issued = issued

    def routes(self) -> list[web.RouteDef]:
        """Return all routes, to be added before those that would match them too."""
        mail = "/mailboxes/{address}/folders/{folder:.+}/mails/{item:.+}"
        return [
            web.get("/state", self._state),
            web.get("/mailboxes", self._mailboxes),
            web.post("/mailboxes/{address}/mails", self._deliver),
            web.get(mail + "/view", self._view),
            web.get(mail + "/html", self._html),
            web.get(mail + "/source", self._source),
            web.get(mail + r"/attachments/{number:\d{1,6}}", self._attachment),
            web.get("/calls/recent", self._calls),
            web.get("/tokens", self._tokens),
            web.get("/faults/kinds", self._kinds),
        ]

    async def _state(self, _request: web.Request) -> web.Response:
        rules = self._faults.report()
        return web.json_response({
            "store": await asyncio.to_thread(self._store.latest),
            "calls": self._log.latest(),
            "tokens": [self._issued.latest(), self._tenants.tenant.token_generation],
            "faults": [len(rules), sum(rule["seen"] for rule in rules), sum(rule["fired"] for rule in rules)],
        })  # fmt: skip

    async def _mailboxes(self, _request: web.Request) -> web.Response:
        found = await asyncio.to_thread(self._store.mailboxes)
        return web.json_response([{"address": one.address, "name": one.display_name} for one in found])

    async def _view(self, request: web.Request) -> web.Response:
        return web.json_response(await asyncio.to_thread(view_of, await self._mime(request)))

    async def _source(self, request: web.Request) -> web.Response:
        return web.json_response(await asyncio.to_thread(source_of, await self._mime(request)))

    async def _html(self, request: web.Request) -> web.Response:
        html = await asyncio.to_thread(html_of, await self._mime(request))
        if html is None:
            raise web.HTTPNotFound(reason="no HTML in this mail")
        headers = {"Content-Security-Policy": MAIL_POLICY}
        return web.Response(body=html, content_type="text/html", charset="utf-8", headers=headers)

    async def _attachment(self, request: web.Request) -> web.Response:
        which = int(request.match_info["number"])
        found = await asyncio.to_thread(attachment_of, await self._mime(request), which)
        if found is None:
            raise web.HTTPNotFound(reason="no such attachment")
        # Its own type is the sender's to choose: whatever it says, it is saved and not shown.
        headers = {"Content-Disposition": disposition(found.name)}
        return web.Response(body=found.content, content_type="application/octet-stream", headers=headers)

    async def _mime(self, request: web.Request) -> bytes:
        return await asyncio.to_thread(self._store.mime, request.match_info["address"], request.match_info["item"])

    async def _deliver(self, request: web.Request) -> web.Response:
        address = request.match_info["address"]
        mailbox = await asyncio.to_thread(self._store.mailbox, address)
        if request.content_type == "message/rfc822":
            mime = await _read_mail(request)
        else:
            mime = _compose(await json_object(request, _COMPOSED), mailbox.address)
        mail = await asyncio.to_thread(self._store.deliver, address, mime)
        return web.json_response({"item_id": mail.item_id, "sha256": mail.sha256})

    async def _calls(self, request: web.Request) -> web.Response:
        limit = number(request, "limit", default=_RECENT, most=_RECENT_MOST)
        return web.json_response([
            {
                "number": call.number,
                "operation": call.operation,
                "mailbox": call.mailbox,
                "at": _iso(call.at),
                "seconds": round(call.seconds, 6),
                "failed": call.failed,
            }
            for call in self._log.recent()[:limit]
        ])  # fmt: skip

    async def _tokens(self, request: web.Request) -> web.Response:
        limit = number(request, "limit", default=_RECENT, most=_RECENT_MOST)
        now, generation = datetime.now(UTC).timestamp(), self._tenants.tenant.token_generation
        return web.json_response([
            {
                "number": token.number,
                "client_id": token.client_id,
                "app": token.app,
                "audience": token.audience,
                "roles": token.roles,
                "user": token.user,
                "scopes": token.scopes,
                "proof": token.proof,
                "at": _iso(token.at),
                "expires_at": _iso(token.expires_at),
                "state": token.state(now=now, generation=generation),
            }
            for token in self._issued.recent()[:limit]
        ])  # fmt: skip

    async def _kinds(self, _request: web.Request) -> web.Response:
        return web.json_response([
            {
                "kind": name,
                "stage": kind.stage.name.lower(),
                "when": kind.stage.value,
                "meaning": kind.meaning,
                "parameters": [
                    {
                        "name": key,
                        "wanted": parameter.wanted,
                        "required": parameter.required,
                        "default": None if parameter.required else parameter.default,
                        "choices": parameter.choices,
                    }
                    for key, parameter in kind.parameters.items()
                ],
            }
            for name, kind in KINDS.items()
        ])  # fmt: skip


async def _read_mail(request: web.Request) -> bytes:
    """Return a mail that was posted as it is; it may be as big as by SMTP, which the limit for JSON is not."""
    pieces, size = [], 0
    async for piece in request.content.iter_any():
        size += len(piece)
        if size > _MAIL_LIMIT_BYTES:
            raise web.HTTPRequestEntityTooLarge(max_size=_MAIL_LIMIT_BYTES, actual_size=size)
        pieces.append(piece)
    return b"".join(pieces)


def _compose(given: Mapping[str, Any], recipient: str) -> bytes:
    fields = dict(given)
    author = text(fields, "from")
    name, sender = parseaddr(author)
    if not is_address(sender) or not sender.isascii() or not author.isprintable():
        raise RefusedError("from is no mail address")
    subject = text(fields, "subject")
    if not subject.isprintable():
        raise RefusedError("subject holds control characters")
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address(name, addr_spec=sender)
    mail["To"] = Address(addr_spec=recipient)
    mail["Subject"] = subject
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    mail.set_content(text(fields, "text"))
    if text(fields, "html"):
        mail.add_alternative(text(fields, "html"), subtype="html")
    return _thread(fields) + mail.as_bytes()


def _thread(fields: dict[str, Any]) -> bytes:
    """Return the header lines that make a mail an answer; the library would encode ids that are long."""
    lines = b""
    for name, key in (("In-Reply-To", "in_reply_to"), ("References", "references")):
        ids = text(fields, key)
        if ids and _MESSAGE_IDS.fullmatch(ids) is None:
            raise RefusedError(f"{key} holds something else than message ids")
        lines += f"{name}: {ids.replace(' ', chr(13) + chr(10) + ' ')}\r\n".encode() if ids else b""
    return lines


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
