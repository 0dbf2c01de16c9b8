"""Guesses about Entra. Each failed try leaves a line in the tenant's sign-in log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.probe.guesses import Seen, step

if TYPE_CHECKING:
    from bridge.probe.context import ProbeContext
    from bridge.probe.token_endpoint import TokenAnswer

_CLAIMS: Final = frozenset({
    "aud", "iss", "iat", "nbf", "exp", "aio", "app_displayname", "appid", "appidacr",
    "idp", "idtyp", "oid", "roles", "sub", "tid", "uti", "ver",
    "wids",
})  # fmt: skip
_TWO_HOURS: Final = 7200


def _is(answer: TokenAnswer, expected: str) -> Seen:
    return Seen(answer.told == expected, answer.told)


@step(1, "a wrong secret is told before a scope without /.default: 401 invalid_client AADSTS7000215", sign_in="oauth")
def order_of_checks(probe: ProbeContext) -> Seen:
    scope = probe.token_endpoint().right_form()["scope"].removesuffix("/.default") + "/EWS.AccessAsUser.All"
    answer = probe.token_endpoint().ask(client_secret="wrong-on-purpose", scope=scope)  # noqa: S106 - a wrong one
    return _is(answer, "401 invalid_client AADSTS7000215")


@step(2, "an unknown resource is 400 invalid_resource AADSTS500011", sign_in="oauth")
def unknown_resource(probe: ProbeContext) -> Seen:
    answer = probe.token_endpoint().ask(scope="https://unknown.example/.default")
    return _is(answer, "400 invalid_resource AADSTS500011")


@step(3, "a missing credential is 401 invalid_client AADSTS7000216", sign_in="oauth")
def missing_credential(probe: ProbeContext) -> Seen:
    return _is(probe.token_endpoint().ask(client_secret=None), "401 invalid_client AADSTS7000216")


@step(4, "/common with client credentials is 400 invalid_request AADSTS50059", sign_in="oauth")
def common(probe: ProbeContext) -> Seen:
    return _is(probe.token_endpoint().ask(tenant="common"), "400 invalid_request AADSTS50059")


@step(5, "a parameter given twice is 400 AADSTS90014, GET is 400 AADSTS900561", sign_in="oauth")
def twice_and_get(probe: ProbeContext) -> Seen:
    form = list(probe.token_endpoint().right_form().items())
    twice = probe.token_endpoint().ask_with([*form, ("grant_type", "client_credentials")]).told
    got = probe.token_endpoint().ask(method="GET").told
    same = twice == "400 invalid_request AADSTS90014" and got == "400 invalid_request AADSTS900561"
    return Seen(same, f"twice: {twice}; GET: {got}")


@step(6, "an app-only token has the claims that the sandbox writes", sign_in="oauth")
def claims(probe: ProbeContext) -> Seen:
    found = frozenset(probe.token_endpoint().ask().claims())
    more = sorted(name for name in found - _CLAIMS if name.isascii() and name.isidentifier() and len(name) < 30)
    fewer = sorted(_CLAIMS - found)
    return Seen(found == _CLAIMS, f"beside them: {' '.join(more) or 'none'}; missing: {' '.join(fewer) or 'none'}")


@step(7, "refresh_in is half of a life of two hours or longer, absent below", sign_in="oauth")
def refresh_in(probe: ProbeContext) -> Seen:
    fields = probe.token_endpoint().ask().fields
    life, refresh = fields.get("expires_in"), fields.get("refresh_in")
    if type(life) is not int or type(refresh) not in {int, type(None)}:
        return Seen(same=False, what="expires_in or refresh_in is no whole number")
    expected = life // 2 if life >= _TWO_HOURS else None
    return Seen(refresh == expected, f"expires_in {life}, refresh_in {refresh if refresh is not None else 'absent'}")
