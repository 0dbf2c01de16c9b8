"""
The admin API: a look behind the curtain and the switches, as JSON over HTTP on loopback.

Reached from a browser by a page of somebody else's it does nothing: Host must be this server, and Origin, where a
browser sends one, too.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from bridge.sandbox.appadmin import Applications
from bridge.sandbox.appcredentials import new_secret
from bridge.sandbox.entra.issued import IssuedTokens
from bridge.sandbox.ews.behaviour import BehaviourSettings, SettingError, arriving
from bridge.sandbox.ews.behaviour.backends import back_end
from bridge.sandbox.ews.behaviour.book import MAILBOXES, SETTINGS
from bridge.sandbox.ews.subscriptions import Subscriptions
from bridge.sandbox.faults.errors import FaultRuleError
from bridge.sandbox.identities import Identities
from bridge.sandbox.requests import EVERYTHING, RefusedError, json_body, json_object, number, text
from bridge.sandbox.store import FolderNotFoundError, ItemNotFoundError, MailboxNotFoundError
from bridge.sandbox.surroundings import Surroundings
from bridge.sandbox.tenant import is_address
from bridge.sandbox.web.pages import guarded, page_routes
from bridge.sandbox.web.views import WebViews

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from aiohttp.typedefs import Handler, Middleware

    from bridge.sandbox.calls import CallLog
    from bridge.sandbox.entra.workload import WorkloadIssuer
    from bridge.sandbox.faults.rules import FaultBook
    from bridge.sandbox.presented import Presented
    from bridge.sandbox.settings import Announcement
    from bridge.sandbox.store import MailSummary, Send, Store
    from bridge.sandbox.tenant import TenantFile

_PAGE_DEFAULT: Final = 1000
_PAGE_MOST: Final = 100_000
_BODY_LIMIT_BYTES: Final = 4 << 20
_EXPIRING: Final = ("secret", "tokens", "certificate", "ca", "subscriptions")
_TOKEN_LIFETIME: Final = "token_lifetime_seconds"  # noqa: S105 - the name of a setting
_MOVE_SECONDS: Final = 10
_MOVE_SECONDS_MOST: Final = 86_400
_ISSUED: Final = ("secret", "old", "certificate", "ca")


@dataclass(frozen=True, slots=True)
class AdminApi:
    """The routes of the admin API."""

    store: Store
    tenants: TenantFile
    faults: FaultBook
    log: CallLog
    announcement: Announcement
    issued: IssuedTokens = field(default_factory=IssuedTokens)
    behaviour: BehaviourSettings = field(default_factory=BehaviourSettings)
    subscriptions: Subscriptions = field(default_factory=Subscriptions)
    users_changed: Callable[[], None] | None = None
    """Called when a user was added, for those who keep a list of their own."""
    presented: Presented = field(kw_only=True)
    workload: WorkloadIssuer | None = None

    def application(self, *, port: int) -> web.Application:
        """Return the application that listens on `port`."""
        application = web.Application(
            middlewares=[guarded, _own_site_only(port), _errors_as_json], client_max_size=_BODY_LIMIT_BYTES
        )
        # Ids are base64: they may hold a slash, and not everybody encodes it.
        folder = "/mailboxes/{address}/folders/{folder:.+}"
        views = WebViews(self.store, self.tenants, self.faults, self.log, self.issued)
        changed = self.users_changed or (lambda: None)
        identities = Identities(self.store, self.tenants, self.announcement, changed)
        applications = Applications(self.tenants, self.behaviour, self.announcement)
        application.add_routes([
            *page_routes(),
            *views.routes(),
            web.get("/mailboxes/{address}/folders", self._folders),
            web.get(folder + "/mails/{item:.+}/mime", self._mime),
            web.get(folder + "/mails", self._mails),
            web.post("/mailboxes", self._add_mailbox),
            web.get("/arriving", self._arriving),
            web.get("/sends", self._sends),
            web.get("/faults", self._get_faults),
            web.put("/faults", self._put_faults),
            web.post("/faults", self._add_fault),
            web.delete("/faults", self._delete_faults),
            web.post("/expire", self._expire),
            web.post("/issue", self._issue),
            web.get("/calls", self._calls),
            *identities.routes(),
            *applications.routes(),
            *Surroundings(self.tenants, self.workload).routes(),
            web.get("/settings", self._get_settings),
            web.put("/settings", self._put_settings),
            web.post("/mailboxes/{address}/move", self._move),
        ])  # fmt: skip
        return application

    async def _folders(self, request: web.Request) -> web.Response:
        found = await asyncio.to_thread(self.store.folders, request.match_info["address"])
        return web.json_response([
            {
                "id": folder.id,
                "name": folder.name,
                "path": folder.path,
                "count": folder.count,
                "unread": folder.unread,
                "distinguished_name": folder.distinguished,
            }
            for folder in found
        ])  # fmt: skip

    async def _mails(self, request: web.Request) -> web.Response:
        offset = number(request, "offset", default=0, most=EVERYTHING)
        limit = number(request, "limit", default=_PAGE_DEFAULT, most=_PAGE_MOST)
        newest_first = number(request, "newest_first", default=0, most=1) == 1
        address, folder = request.match_info["address"], request.match_info["folder"]
        page = await asyncio.to_thread(
            self.store.mails, address, folder, offset=offset, limit=limit, newest_first=newest_first
        )
        return web.json_response({"total": page.total, "mails": [_mail(mail) for mail in page.mails]})

    async def _mime(self, request: web.Request) -> web.Response:
        mime = await asyncio.to_thread(self.store.mime, request.match_info["address"], request.match_info["item"])
        # A browser shows nothing of it, whatever the mail says it is.
        headers = {"X-Content-Type-Options": "nosniff", "Content-Disposition": 'attachment; filename="mail.eml"'}
        return web.Response(body=mime, content_type="message/rfc822", headers=headers)

    async def _arriving(self, _request: web.Request) -> web.Response:
        def count() -> int:
            with self.store.reading() as db:
                return arriving.count(db)

        return web.json_response({"mails": await asyncio.to_thread(count)})

    async def _add_mailbox(self, request: web.Request) -> web.Response:
        address = text(await json_object(request, ("address",)), "address")
        if not is_address(address):
            raise RefusedError("address is no mail address")
        tenant = self.tenants.tenant
        tenant.add_users([address])
        # Kept before the mailbox is made: a start makes the mailboxes of all users that it finds.
        self.tenants.save()
        user = next(user for user in tenant.users if user.address.lower() == address.lower())
        await asyncio.to_thread(
            self.store.add_mailbox, user.address, alias=user.alias, username=user.username, password=user.password
        )
        if self.users_changed is not None:
            self.users_changed()
        self.announcement.write()
        return web.json_response({
            "address": user.address,
            "alias": user.alias,
            "username": user.username,
            "password": user.password,
        })  # fmt: skip

    async def _sends(self, request: web.Request) -> web.Response:
        after = number(request, "after", default=0, most=EVERYTHING)
        limit = number(request, "limit", default=EVERYTHING, most=EVERYTHING)
        found = await asyncio.to_thread(self.store.sends, after=after, limit=limit)
        return web.json_response([_send(send) for send in found])

    async def _get_faults(self, _request: web.Request) -> web.Response:
        return web.json_response(self.faults.report())

    async def _put_faults(self, request: web.Request) -> web.Response:
        self.faults.put(await json_body(request))
        return web.json_response(self.faults.report())

    async def _add_fault(self, request: web.Request) -> web.Response:
        self.faults.add(await json_body(request))
        return web.json_response(self.faults.report())

    async def _delete_faults(self, request: web.Request) -> web.Response:
        name = request.query.get("name")
        if name is None:
            self.faults.put([])
        elif not self.faults.remove(name):
            raise web.HTTPNotFound(reason="no such rule")
        return web.json_response(self.faults.report())

    async def _expire(self, request: web.Request) -> web.Response:
        what = await _what(request, _EXPIRING)
        tenant = self.tenants.tenant
        expired = 0
        if what == "secret":
            for secret in tenant.apps[0].secrets:
                expired += not secret.expired
                secret.expired = True
        elif what == "tokens":
            tenant.token_generation += 1
            expired = 1
        elif what == "subscriptions":
            expired = self.subscriptions.lose_all()
        elif what == "certificate":
            self.presented.expire()
            expired = 1
        elif what == "ca":
            expired = self.presented.drop_old_authorities()
        self.tenants.save()
        return web.json_response({"what": what, "expired": expired})

    async def _issue(self, request: web.Request) -> web.Response:
        what = await _what(request, _ISSUED, default="secret")
        if what == "certificate":
            return web.json_response({"what": what, "ends_at": _iso(self.presented.renew())})
        if what == "ca":
            known = self.presented.add_authority()
            return web.json_response({"what": what, "ca_file": str(self.presented.ca_file), "certificates": known})
        app = self.tenants.tenant.apps[0]
        if what == "secret":
            app.secrets.append(new_secret())
        else:
            expired = [secret for secret in app.secrets if secret.expired]
            if expired:
                expired[-1].expired = False
        self.tenants.save()
        self.announcement.write()
        return web.json_response({"what": what, "client_secret": app.current_secret_value()})

    async def _calls(self, _request: web.Request) -> web.Response:
        return web.json_response(self.log.report())

    async def _get_settings(self, _request: web.Request) -> web.Response:
        lifetime = {_TOKEN_LIFETIME: self.tenants.tenant.token_lifetime_seconds}
        return web.json_response({**lifetime, **self.behaviour.report()})

    async def _put_settings(self, request: web.Request) -> web.Response:
        given = await json_object(request, (_TOKEN_LIFETIME, *SETTINGS, MAILBOXES))
        seconds = given.pop(_TOKEN_LIFETIME, self.tenants.tenant.token_lifetime_seconds)
        if type(seconds) is not int or not 1 <= seconds <= 86_400:
            raise RefusedError("token_lifetime_seconds is not a whole number from 1 to 86400")
        mailboxes = given.get(MAILBOXES)
        for address in mailboxes if isinstance(mailboxes, dict) else ():
            await asyncio.to_thread(self.store.mailbox, address)
        await asyncio.to_thread(self.behaviour.put, given)
        self.tenants.tenant.token_lifetime_seconds = seconds
        self.tenants.save()
        return await self._get_settings(request)

    async def _move(self, request: web.Request) -> web.Response:
        given = await json_object(request, ("seconds",)) if request.can_read_body else {}
        seconds = given.get("seconds", _MOVE_SECONDS)
        if type(seconds) not in (int, float) or not 0 <= seconds <= _MOVE_SECONDS_MOST:
            raise RefusedError(f"seconds is not a number from 0 to {_MOVE_SECONDS_MOST}")
        mailbox = await asyncio.to_thread(self.store.mailbox, request.match_info["address"])
        await asyncio.to_thread(self.behaviour.move, mailbox.address, until=time.time() + seconds)
        lost = self.subscriptions.lose_all(mailbox.address)
        target = back_end(self.behaviour, mailbox.address)
        return web.json_response({"back_end": target, "seconds": seconds, "subscriptions_lost": lost})


def _mail(mail: MailSummary) -> dict[str, Any]:
    return {
        "item_id": mail.item_id,
        "internet_message_id": mail.internet_message_id,
        "received_at": _iso(mail.received_at),
        "size": mail.size,
        "sha256": mail.sha256,
        "subject": mail.subject,
        "item_class": mail.item_class,
        "from": mail.sender,
        "read": mail.read,
        "has_attachments": mail.has_attachments,
    }


def _send(send: Send) -> dict[str, Any]:
    return {
        "id": send.id,
        "internet_message_id": send.internet_message_id,
        "request_id": next((value for key, value in send.named.items() if _names_a_request(key)), None),
        "from": send.sender,
        "recipients": list(send.recipients),
        "at": _iso(send.at),
        "mailbox": send.mailbox,
        "properties": send.named,
    }


def _names_a_request(key: str) -> bool:
    """Return whether a named property stamps the id of a request: `…RequestId`, however it is spelt, in any set."""
    name = key.split(":")[1]
    return "".join(filter(str.isalpha, name)).lower().endswith("requestid")


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


async def _what(request: web.Request, known: tuple[str, ...], default: str | None = None) -> str:
    given = await json_object(request, ("what",)) if request.can_read_body or default is None else {}
    what = given.get("what", default)
    if what not in known:
        raise RefusedError("what is unknown or missing", known)
    return str(what)


def _own_site_only(port: int) -> Middleware:
    hosts = {f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"}
    origins = {f"http://{host}" for host in hosts}

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        crossed = request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}
        if request.host not in hosts or (origin is not None and origin not in origins) or crossed:
            return web.json_response({"error": "cross-site requests are refused"}, status=403)
        return await handler(request)

    return check


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except RefusedError as error:
        return web.json_response({"error": str(error), "known": list(error.known)}, status=400)
    except FaultRuleError as error:
        return web.json_response({"error": str(error), "key": error.key, "known": error.known}, status=400)
    except SettingError as error:
        return web.json_response({"error": str(error), "key": error.key, "known": error.known}, status=400)
    except MailboxNotFoundError:
        return web.json_response({"error": "no such mailbox"}, status=404)
    except FolderNotFoundError:
        return web.json_response({"error": "no such folder"}, status=404)
    except ItemNotFoundError:
        return web.json_response({"error": "no such item"}, status=404)
    except web.HTTPException as error:
        return web.json_response({"error": error.reason}, status=error.status)
