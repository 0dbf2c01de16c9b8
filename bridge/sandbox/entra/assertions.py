"""
Signed proofs in place of a secret: by a certificate's key, or by another issuer that the app trusts.

Which of the two an assertion is, its issuer says: the app itself, or an address.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from bridge.sandbox.entra import assertionerrors as errors
from bridge.sandbox.entra import signed
from bridge.sandbox.entra.encoding import unbase64url
from bridge.sandbox.entra.errors import MISSING_PARAMETER, EntraError
from bridge.sandbox.entra.federation import IssuerKeys, IssuerUnreachableError
from bridge.sandbox.entra.proofs import BY_CERTIFICATE, BY_FEDERATION, Proof
from bridge.sandbox.entra.publickeys import ALGORITHMS, PublicKey
from bridge.sandbox.hosts import LOGIN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.sandbox.appcredentials import Certificate, Federated
    from bridge.sandbox.entra.signed import Token
    from bridge.sandbox.tenant import App, Tenant

JWT_BEARER: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

_HEADER_TYPES: Final = ("JWT", "http://openid.net/specs/jwt/1.0")
_LEEWAY_SECONDS: Final = 300.0
_END_OF_CALENDAR: Final = 253_402_300_800.0
_REMEMBERED: Final = 10_000
_TOKEN_PATHS: Final = ("oauth2/v2.0/token", "oauth2/token", "v2.0", "")


@dataclass(slots=True)
class ClientAssertion:
    """
    Takes assertions as Entra does: `now` is its clock, `keys` are those of other issuers.

    An assertion may be shown any number of times until it ends, as clients rely on, unless `once` says otherwise.
    """

    tenant: Tenant
    base_url: str
    now: Callable[[], float]
    keys: IssuerKeys | None = None
    once: Callable[[], bool] = lambda: False
    cloud: Callable[[], str | None] = lambda: None
    _shown: dict[str, float] = field(default_factory=dict)

    def presented(self, form: Mapping[str, str]) -> bool:
        """Return whether a request carries an assertion."""
        return bool(form.get("client_assertion"))

    async def verify(self, app: App, form: Mapping[str, str]) -> Proof:
        """Return what an assertion proves, if it does."""
        kind = form.get("client_assertion_type", "")
        if not kind:
            raise EntraError(MISSING_PARAMETER, name="client_assertion_type")
        if kind != JWT_BEARER:
            raise EntraError(errors.WRONG_TYPE, type=kind, wanted=JWT_BEARER)
        try:
            token = signed.read(form["client_assertion"])
        except signed.NoTokenError:
            raise EntraError(errors.MALFORMED) from None
        # Kubernetes leaves the type out.
        if token.head.get("typ", "JWT") not in _HEADER_TYPES:
            raise EntraError(errors.WRONG_HEADER_TYPE)
        issuer, subject = _text(token.claims, "iss"), _text(token.claims, "sub")
        if issuer.startswith(("http://", "https://")):
            await self._check_federated(app, token, issuer, subject)
            proof = BY_FEDERATION
        else:
            self._check_certificate(app, token, issuer, subject)
            proof = BY_CERTIFICATE
        self._check_times(token)
        self._check_new(token)
        return proof

    def _check_certificate(self, app: App, token: Token, issuer: str, subject: str) -> None:
        algorithm = _algorithm(token, ALGORITHMS)
        if {issuer.lower(), subject.lower()} != {app.client_id}:
            raise EntraError(errors.ANOTHER_APP)
        if not any(self._is_own_audience(audience) for audience in _audiences(token)):
            raise EntraError(errors.WRONG_AUDIENCE)
        certificate = _certificate(app, token)
        about = {"client_id": app.client_id, "used": _used(token), "found": _found(certificate)}
        if self.now() >= certificate.expires_at:
            raise EntraError(errors.EXPIRED_CERTIFICATE, **about)
        if self.now() < certificate.starts_at - _LEEWAY_SECONDS:
            raise EntraError(errors.EARLY_CERTIFICATE)
        key = PublicKey.of(certificate.modulus, certificate.exponent)
        if not key.signed(algorithm, token.signed, token.signature):
            raise EntraError(errors.WRONG_SIGNATURE, **about)

    async def _check_federated(self, app: App, token: Token, issuer: str, subject: str) -> None:
        algorithm = _algorithm(token, ("RS256",))
        _match_federated(app, issuer, subject, _audiences(token))
        if self.keys is None:
            raise EntraError(errors.ISSUER_UNREACHABLE)
        try:
            keys = await self.keys.of(issuer)
        except IssuerUnreachableError:
            raise EntraError(errors.ISSUER_UNREACHABLE) from None
        key_id = token.head.get("kid")
        key = keys.get(key_id) if isinstance(key_id, str) else None
        if key is None:
            raise EntraError(errors.UNKNOWN_FEDERATED_KEY, key=str(key_id), issuer=issuer)
        if not key.signed(algorithm, token.signed, token.signature):
            raise EntraError(errors.WRONG_FEDERATED_SIGNATURE, key=str(key_id), issuer=issuer)

    def _check_times(self, token: Token) -> None:
        now, begins, ends = self.now(), _moment(token.claims, "nbf", 0.0), _moment(token.claims, "exp", None)
        if not begins - _LEEWAY_SECONDS <= now < ends + _LEEWAY_SECONDS:
            raise EntraError(errors.OUTSIDE_TIMES, now=_iso(now), begins=_iso(begins), ends=_iso(ends))

    def _check_new(self, token: Token) -> None:
        """Remember an assertion until it ends; nothing of it outlives the process."""
        if not self.once():
            return
        now, identity = self.now(), str(token.claims.get("jti") or token.signature.hex())
        self._shown = {one: ends for one, ends in self._shown.items() if now < ends + _LEEWAY_SECONDS}
        if identity in self._shown:
            raise EntraError(errors.REPLAYED)
        while len(self._shown) >= _REMEMBERED:
            del self._shown[next(iter(self._shown))]
        self._shown[identity] = _moment(token.claims, "exp", None)

    def _is_own_audience(self, audience: str) -> bool:
        """Return whether an audience is this tenant here: its issuer or its token endpoint, of either version."""
        if audience.rstrip("/") == f"https://sts.windows.net/{self.tenant.tenant_id}":
            return True
        try:
            where = urlsplit(audience)
        except ValueError:
            return False
        named, _, rest = where.path.strip("/").partition("/")
        return (
            (where.scheme, where.query, where.fragment) == ("https", "", "")
            and self._is_own_host(where.netloc.lower())
            and self.tenant.answers_to(named)
            and rest in _TOKEN_PATHS
        )

    def _is_own_host(self, host: str) -> bool:
        if host == urlsplit(self.base_url).netloc:
            return True
        return host in LOGIN and self.cloud() in (None, LOGIN[host])


def _match_federated(app: App, issuer: str, subject: str, audiences: list[str]) -> None:
    found: list[Federated] = app.federated
    if not found:
        raise EntraError(errors.NO_FEDERATION, client_id=app.client_id, name=app.name)
    found = [one for one in found if one.issuer == issuer]
    if not found:
        raise EntraError(errors.UNKNOWN_ISSUER, value=issuer)
    found = [one for one in found if one.subject == subject]
    if not found:
        raise EntraError(errors.UNKNOWN_SUBJECT, value=subject)
    if not any(one.audience in audiences for one in found):
        raise EntraError(errors.UNKNOWN_AUDIENCE, value=", ".join(audiences))


def _certificate(app: App, token: Token) -> Certificate:
    """Return the certificate that the head names, by either thumbprint."""
    named = {name: _thumbprint(token.head.get(name)) for name in ("x5t#S256", "x5t", "kid")}
    if not any(named.values()):
        raise EntraError(errors.NO_THUMBPRINT)
    for certificate in app.certificates:
        if certificate.thumbprint_sha256 == named["x5t#S256"] or certificate.thumbprint in (named["x5t"], named["kid"]):
            return certificate
    raise EntraError(errors.UNKNOWN_CERTIFICATE, client_id=app.client_id, used=_used(token))


def _thumbprint(value: object) -> str:
    if not isinstance(value, str):
        return ""
    try:
        return unbase64url(value).hex().upper()
    except ValueError:
        return ""


def _used(token: Token) -> str:
    # Entra tells the thumbprint by SHA-1, for that is what the portal shows; of the other one it says nothing.
    thumbprint = _thumbprint(token.head.get("x5t"))
    return f"Thumbprint of key used by client: '{thumbprint}', " if thumbprint else ""


def _found(certificate: Certificate) -> str:
    begins, ends = (
        datetime.fromtimestamp(moment, UTC).strftime("%m/%d/%Y %H:%M:%S")
        for moment in (certificate.starts_at, certificate.expires_at)
    )
    return f"Start={begins}, End={ends}"


def _algorithm(token: Token, supported: tuple[str, ...]) -> str:
    algorithm = token.head.get("alg")
    if algorithm not in supported:
        raise EntraError(errors.WRONG_ALGORITHM, algorithm=str(algorithm), supported=", ".join(supported))
    return str(algorithm)


def _audiences(token: Token) -> list[str]:
    audience = token.claims.get("aud")
    given = audience if isinstance(audience, list) else [audience]
    audiences = [one for one in given if isinstance(one, str)]
    if not audiences or len(audiences) != len(given):
        raise EntraError(errors.MALFORMED)
    return audiences


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise EntraError(errors.MALFORMED)
    return value


def _moment(claims: Mapping[str, Any], name: str, default: float | None) -> float:
    value = claims.get(name, default)
    if type(value) not in (int, float) or not 0 <= value < _END_OF_CALENDAR or math.isnan(value):
        raise EntraError(errors.MALFORMED)
    return float(value)


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
