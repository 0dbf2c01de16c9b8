"""The part of the admin API that changes users, and what they let each other do. Apps have one of their own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from bridge.sandbox.ews.rights import LEVELS
from bridge.sandbox.requests import RefusedError, json_object, switch, text, texts
from bridge.sandbox.tenant import EVERY_MAILBOX, is_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.sandbox.settings import Announcement
    from bridge.sandbox.store import Store
    from bridge.sandbox.tenant import TenantFile, User

_OF_USERS: Final = ("password", "enabled", "impersonates")
_USERS_GRANTED: Final = ("full_access", "send_as", "send_on_behalf")
_OF_GRANTS: Final = (*_USERS_GRANTED, "folders")


@dataclass(frozen=True, slots=True)
class Identities:
    """The routes. Everything that is given is judged before anything is changed."""

    store: Store
    tenants: TenantFile
    announcement: Announcement
    users_changed: Callable[[], None]

    def routes(self) -> list[web.RouteDef]:
        """Return all routes, to be added to the admin API."""
        return [
            web.get("/users", self._users),
            web.put("/users/{name}", self._put_user),
            web.post("/users/{name}/revoke", self._revoke),
            web.get("/mailboxes/{address}/grants", self._get_grants),
            web.put("/mailboxes/{address}/grants", self._put_grants),
        ]

    async def _users(self, _request: web.Request) -> web.Response:
        tenant = self.tenants.tenant
        return web.json_response([_user(user) for user in (*tenant.users, tenant.service_account) if user is not None])

    async def _put_user(self, request: web.Request) -> web.Response:
        user = self._user(request.match_info["name"])
        given = await json_object(request, _OF_USERS)
        password = text(given, "password")
        # The library that knows NTLM reads names and passwords from a file of lines, with colons between.
        if "password" in given and not (password and password.isprintable() and ":" not in password):
            raise RefusedError("password is empty, or holds a colon or what cannot be printed")
        enabled, scopes = switch(given, "enabled"), _scopes(given)
        if enabled is not None:
            user.enabled = enabled
        if scopes is not None:
            user.impersonates = scopes
        if password:
            user.password = password
            user.generation += 1
        self.tenants.save()
        self.users_changed()
        self.announcement.write()
        return web.json_response(_user(user))

    async def _revoke(self, request: web.Request) -> web.Response:
        user = self._user(request.match_info["name"])
        user.generation += 1
        self.tenants.save()
        return web.json_response(_user(user))

    def _user(self, name: str) -> User:
        user = self.tenants.tenant.account(name)
        if user is None:
            raise web.HTTPNotFound(reason="no such user")
        return user

    async def _get_grants(self, request: web.Request) -> web.Response:
        return web.json_response(_grants(self._owner(request)))

    async def _put_grants(self, request: web.Request) -> web.Response:
        owner = self._owner(request)
        given = await json_object(request, _OF_GRANTS)
        lists = {
            key: [_account(self._user(name)) for name in texts(given, key)] for key in _USERS_GRANTED if key in given
        }
        folders = await self._folders(owner, given["folders"]) if "folders" in given else None
        owner.full_access = lists.get("full_access", owner.full_access)
        owner.send_as = lists.get("send_as", owner.send_as)
        owner.send_on_behalf = lists.get("send_on_behalf", owner.send_on_behalf)
        if folders is not None:
            owner.folder_permissions = folders
        self.tenants.save()
        return web.json_response(_grants(owner))

    async def _folders(self, owner: User, given: Any) -> dict[str, dict[str, str]]:  # noqa: ANN401 - JSON that is judged
        if not isinstance(given, dict) or not all(isinstance(levels, dict) for levels in given.values()):
            raise RefusedError("folders is not an object of users and levels by folder")
        known = {folder.id: folder for folder in await asyncio.to_thread(self.store.folders, owner.address)}
        names = {*known, *(folder.distinguished for folder in known.values())}
        judged: dict[str, dict[str, str]] = {}
        for name, levels in given.items():
            if name not in names:
                raise RefusedError("a folder is neither a distinguished name nor an id of the mailbox")
            if not all(isinstance(level, str) and level in LEVELS for level in levels.values()):
                raise RefusedError("a level is unknown", tuple(LEVELS))
            judged[name] = {_account(self._user(user)): level for user, level in levels.items()}
        return judged

    def _owner(self, request: web.Request) -> User:
        owner = self.tenants.tenant.user(request.match_info["address"])
        if owner is None:
            raise web.HTTPNotFound(reason="no such mailbox")
        return owner


def _scopes(given: dict[str, Any]) -> list[str] | None:
    if "impersonates" not in given:
        return None
    scopes = [scope.lower() for scope in texts(given, "impersonates")]
    for scope in scopes:
        if scope != EVERY_MAILBOX and not is_address(scope.replace(f"{EVERY_MAILBOX}@", "x@", 1)):
            raise RefusedError("impersonates holds what is neither an address nor *@domain nor *")
    return scopes


def _account(user: User) -> str:
    return (user.address or user.username).lower()


def _user(user: User) -> dict[str, Any]:
    return {
        "username": user.username,
        "address": user.address,
        "enabled": user.enabled,
        "impersonates": user.impersonates,
    }


def _grants(owner: User) -> dict[str, Any]:
    return {
        "full_access": owner.full_access,
        "send_as": owner.send_as,
        "send_on_behalf": owner.send_on_behalf,
        "folders": owner.folder_permissions,
    }
