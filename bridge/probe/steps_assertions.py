"""Guesses about proofs that are signed. Each try leaves a line in the tenant's sign-in log; none signs in."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from bridge.probe.assertion import JWT_BEARER, StrangersKey
from bridge.probe.guesses import Seen, step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.probe.context import ProbeContext

_NOBODY: Final = "11111111-1111-1111-1111-111111111111"
_UNKNOWN_CERTIFICATE: Final = "401 invalid_client AADSTS700027"


def _told(
    probe: ProbeContext,
    *,
    claims: Mapping[str, object] | None = None,
    head: Mapping[str, object | None] | None = None,
    text: str | None = None,
    kind: str | None = JWT_BEARER,
) -> str:
    """Return what Entra says to an assertion of an unknown key, or to another text in its place."""
    entra = probe.token_endpoint()
    key = probe.shared.setdefault("a stranger's key", StrangersKey())
    assert isinstance(key, StrangersKey)  # noqa: S101 - the line above
    made = key.assertion(entra.client_id, entra.url, claims=claims, head=head)
    return entra.ask(client_secret=None, client_assertion=text or made, client_assertion_type=kind).told


def _compared(found: Mapping[str, str], expected: Mapping[str, str]) -> Seen:
    return Seen(found == expected, "; ".join(f"{name}: {told}" for name, told in found.items()))


@step(
    139,
    "an assertion's app is looked at before its audience, both before its certificate, that before its times",
    sign_in="oauth",
)
def order_of_an_assertion(probe: ProbeContext) -> Seen:
    elsewhere, ended = {"aud": "https://elsewhere.example/"}, {"exp": int(time.time()) - 86_400, "nbf": 0}
    found = {
        "another app, audience and certificate": _told(probe, claims={"iss": _NOBODY, "sub": _NOBODY, **elsewhere}),
        "another audience and certificate": _told(probe, claims={**elsewhere, **ended}),
        "another certificate, and ended": _told(probe, claims=ended),
    }
    expected = {
        "another app, audience and certificate": "401 invalid_client AADSTS700021",
        "another audience and certificate": "401 invalid_client AADSTS700023",
        "another certificate, and ended": _UNKNOWN_CERTIFICATE,
    }
    return _compared(found, expected)


@step(
    140,
    "what is no assertion, names no certificate, or is of another algorithm or type has a code of its own",
    sign_in="oauth",
)
def form_of_an_assertion(probe: ProbeContext) -> Seen:
    found = {
        "no JWT": _told(probe, text="none"),
        "no thumbprint": _told(probe, head={"x5t#S256": None}),
        "algorithm": _told(probe, head={"alg": "HS256"}),
        "typ": _told(probe, head={"typ": "at+jwt"}),
        "type": _told(probe, kind="urn:ietf:params:oauth:client-assertion-type:saml2-bearer"),
        "no type": _told(probe, kind=None),
    }
    expected = {
        "no JWT": "400 invalid_request AADSTS50027",
        "no thumbprint": "400 invalid_request AADSTS50027",
        "algorithm": "400 invalid_request AADSTS5002738",
        "typ": "400 invalid_request AADSTS5002727",
        "type": "400 invalid_request AADSTS90023",
        "no type": "400 invalid_request AADSTS900144",
    }
    return _compared(found, expected)


@step(141, "of a secret and an assertion in one request the secret is looked at, and nothing else", sign_in="oauth")
def secret_beside_an_assertion(probe: ProbeContext) -> Seen:
    answer = probe.token_endpoint().ask(client_assertion="none", client_assertion_type=JWT_BEARER)
    return Seen(answer.told == "200", answer.told)


@step(
    142,
    "a token of another issuer, shown for an app that trusts none, is 401 invalid_client AADSTS70025",
    sign_in="oauth",
)
def token_of_another_issuer(probe: ProbeContext) -> Seen:
    claims = {"iss": "https://elsewhere.example", "sub": "nobody", "aud": "api://AzureADTokenExchange"}
    told = _told(probe, claims=claims, head={"alg": "RS256", "kid": "nobody's", "x5t#S256": None})
    return Seen(told == "401 invalid_client AADSTS70025", told)
