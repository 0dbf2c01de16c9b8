"""
A cluster beside the tenant: the issuer of the tokens that Kubernetes writes into pods, with discovery and its keys.

It is another issuer than Entra, with a key of its own, and its clock is the true one. Federated credentials name it.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from bridge.sandbox.entra import signed
from bridge.sandbox.hosts import WORKLOAD_PATH

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.sandbox.entra.keys import SigningKey

_DISCOVERY: Final = f"{WORKLOAD_PATH}/.well-known/openid-configuration"
_KEYS: Final = f"{WORKLOAD_PATH}/openid/v1/jwks"
_OPERATIONS: Final = {_DISCOVERY: "issuer_discovery", _KEYS: "issuer_keys"}
_ACCOUNT: Final = "system:serviceaccount"


def operation_of(path: str) -> str | None:
    """Return what fault rules and the call log name a path of the cluster; None for any other."""
    return _OPERATIONS.get(path)


class WorkloadIssuer:
    """The cluster's issuer. Its key is made when it is first needed."""

    def __init__(self, base_url: str, key: Callable[[], SigningKey]) -> None:
        """Be reached below `base_url`; `key` returns the cluster's key and is called once, in a thread."""
        self.url = base_url + WORKLOAD_PATH
        self._keys_url = base_url + _KEYS
        self._make_key = key
        self._key: SigningKey | None = None
        self._making = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, to be added to Entra's application before its own."""
        return [web.get(_DISCOVERY, self._discovery), web.get(_KEYS, self._keys)]

    async def token(self, subject: str, audience: str, *, lifetime_seconds: float) -> dict[str, Any]:
        """Return a token for a service account: what a projected volume holds, its issuer, and when it ends."""
        key, now = await self._own_key(), int(time.time())
        begins = min(now, now + int(lifetime_seconds))
        claims: dict[str, Any] = {
            "aud": [audience],
            "exp": now + int(lifetime_seconds),
            "iat": begins,
            "iss": self.url,
            "jti": str(uuid.uuid4()),
            "nbf": begins,
            "sub": subject,
        }
        kind, _, account = subject.rpartition(":")
        if kind.startswith(f"{_ACCOUNT}:"):
            namespace = kind.removeprefix(f"{_ACCOUNT}:")
            claims["kubernetes.io"] = {"namespace": namespace, "serviceaccount": {"name": account}}
        return {"token": signed.encode(claims, key, typed=False), "issuer": self.url, "expires_at": claims["exp"]}

    async def _discovery(self, _request: web.Request) -> web.Response:
        return web.json_response({
            "issuer": self.url,
            "jwks_uri": self._keys_url,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        })  # fmt: skip

    async def _keys(self, _request: web.Request) -> web.Response:
        key = await self._own_key()
        jwk = key.jwk(self.url)
        published = {"alg": "RS256", **{name: jwk[name] for name in ("kty", "use", "kid", "n", "e")}}
        return web.json_response({"keys": [published]}, content_type="application/jwk-set+json")

    async def _own_key(self) -> SigningKey:
        async with self._making:
            if self._key is None:
                self._key = await asyncio.to_thread(self._make_key)
            return self._key
