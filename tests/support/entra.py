"""An Entra without a port, and what apps post to it."""

from __future__ import annotations

import json
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import jwt
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bridge.sandbox.entra.certificate import read_certificate
from bridge.sandbox.entra.encoding import base64url
from bridge.sandbox.entra.federation import IssuerKeys, IssuerUnreachableError
from bridge.sandbox.entra.publickeys import PublicKey
from bridge.sandbox.entra.server import EntraServer
from bridge.sandbox.tenant import Tenant, new_tenant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from bridge.sandbox.entra.keys import SigningKey
    from tests.support.keys import AppKey

BASE = "https://entra.example"
NOW = 1_800_000_000.0
EXCHANGE = "https://outlook.office365.com/.default"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ISSUER = "https://cluster.example/"
SUBJECT = "system:serviceaccount:mail:bridge"


def moment(days: float = 0) -> datetime:
    """Return a moment by that Entra's clock."""
    return datetime.fromtimestamp(NOW + days * 86_400, UTC)


@dataclass
class FakeIssuers(IssuerKeys):
    """Issuers whose keys need not be fetched."""

    keys: dict[str, dict[str, PublicKey]] = field(default_factory=dict)

    async def of(self, issuer: str) -> dict[str, PublicKey]:
        if issuer not in self.keys:
            raise IssuerUnreachableError(issuer)
        return self.keys[issuer]


@dataclass
class Entra:
    """An Entra whose clock stands still."""

    tenant: Tenant
    client: TestClient[web.Request, web.Application]
    issuers: FakeIssuers
    settings: dict[str, Any]
    clock: list[float]

    @property
    def now(self) -> float:
        return self.clock[0]

    @property
    def token_endpoint(self) -> str:
        return f"{BASE}/{self.tenant.tenant_id}/oauth2/v2.0/token"

    def register(self, key: AppKey) -> None:
        """Upload a certificate to the first app."""
        self.tenant.apps[0].certificates.append(read_certificate(key.certificate_pem.encode()))

    async def ask(
        self,
        changes: Mapping[str, str | None] | None = None,
        *,
        tenant: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """Ask for a token with the first app's secret, but for what is changed."""
        app = self.tenant.apps[0]
        form = {
            "grant_type": "client_credentials",
            "client_id": app.client_id,
            "client_secret": app.current_secret_value(),
            "scope": EXCHANGE,
            **(changes or {}),
        }
        data = {name: value for name, value in form.items() if value is not None}
        path = f"/{tenant or self.tenant.tenant_id}/oauth2/v2.0/token"
        async with self.client.post(path, data=data, headers=headers) as answer:
            return answer.status, await answer.json(), answer.headers

    async def show(self, assertion: str, **changes: str | None) -> tuple[int, dict[str, Any]]:
        """Ask for a token with an assertion in place of the secret."""
        form = {"client_secret": None, "client_assertion": assertion, "client_assertion_type": JWT_BEARER, **changes}
        status, body, _ = await self.ask(form)
        return status, body

    def assertion(
        self,
        key: AppKey,
        *,
        claims: Mapping[str, object | None] | None = None,
        head: Mapping[str, object | None] | None = None,
        algorithm: str = "PS256",
    ) -> str:
        """Return an assertion as MSAL builds it, but for what is changed; None leaves a claim out."""
        app = self.tenant.apps[0]
        all_claims = {
            "aud": self.token_endpoint, "iss": app.client_id, "sub": app.client_id, "exp": self.now + 600,
            "iat": self.now, "jti": str(uuid.uuid4()), **(claims or {}),
        }  # fmt: skip
        named = {"x5t#S256": base64url(bytes.fromhex(key.sha256)), **(head or {})}
        # Not by jwt.encode, which refuses to write some of the claims that are to be refused.
        return jwt.api_jws.encode(
            json.dumps({name: value for name, value in all_claims.items() if value is not None}).encode(),
            key.key,
            algorithm=algorithm,
            headers={name: value for name, value in named.items() if value is not None},
        )

    def workload_token(self, key: AppKey, **changes: object) -> str:
        """Return a token as a cluster writes it into a pod, but for what is changed."""
        claims = {
            "aud": ["api://AzureADTokenExchange"], "iss": ISSUER, "sub": SUBJECT, "exp": int(self.now) + 3600,
            "iat": int(self.now), "nbf": int(self.now), **changes,
        }  # fmt: skip
        return jwt.encode(claims, key.key, algorithm="RS256", headers={"kid": "of-the-cluster", "typ": None})


@asynccontextmanager
async def an_entra(key: SigningKey) -> AsyncIterator[Entra]:
    """Yield an Entra of a fresh tenant."""
    tenant = new_tenant()
    tenant.add_users(["dispatch@example.org"])
    issuers, settings = FakeIssuers(), dict[str, Any]()
    clock = [NOW]
    server = EntraServer(tenant, key, base_url=BASE, now=lambda: clock[0], issuer_keys=issuers, setting=settings.get)
    application = web.Application()
    application.add_routes(server.routes())
    async with TestClient(TestServer(application)) as client:
        yield Entra(tenant, client, issuers, settings, clock)
