"""Clients that come by the names of Microsoft's clouds, through a proxy that brings them here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jwt
import pytest
import requests

from bridge.sandbox.hosts import EXCHANGE, GRAPH, LOGIN
from tests.support.callers import DISPATCH, codes, envelope, get_folder
from tests.support.connect_proxy import ConnectProxy
from tests.support.keys import AppKey, new_app_key
from tests.support.msalclient import MsalHttp, msal_app
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLOUDS = {
    "global": ("login.microsoftonline.com", "outlook.office365.com", "graph.microsoft.com"),
    "gcc-high": ("login.microsoftonline.us", "outlook.office365.us", "graph.microsoft.us"),
    "dod": ("login.microsoftonline.us", "outlook-dod.office365.us", "dod-graph.microsoft.us"),
    "china": ("login.partner.microsoftonline.cn", "partner.outlook.cn", "microsoftgraph.chinacloudapi.cn"),
}


@pytest.fixture(scope="module")
def proxy(sandbox: SandboxProcess) -> Iterator[ConnectProxy]:
    entra, ews = (int(urlsplit(sandbox.info[name]).port or 0) for name in ("authority_url", "ews_url"))
    ports = {**dict.fromkeys((*LOGIN, *GRAPH), entra), **dict.fromkeys(EXCHANGE, ews)}
    with ConnectProxy(ports) as running:
        yield running


@pytest.fixture(scope="module")
def app_key(sandbox: SandboxProcess) -> AppKey:
    key = new_app_key()
    where = f"/apps/{sandbox.info['client_id']}/certificates"
    sandbox.admin(where, method="POST", body={"pem": key.certificate_pem})
    return key


def _http(sandbox: SandboxProcess, proxy: ConnectProxy) -> MsalHttp:
    return MsalHttp(sandbox.ca_file, 30, proxy=proxy.url)


def _sign_in(sandbox: SandboxProcess, proxy: ConnectProxy, cloud: str, **changes: Any) -> dict[str, Any]:
    login, exchange, _ = _CLOUDS[cloud]
    client = msal_app(
        sandbox,
        authority=f"https://{login}/{sandbox.info['tenant_id']}",
        http_client=_http(sandbox, proxy),
        **changes,
    )
    answer: dict[str, Any] = client.acquire_token_for_client([f"https://{exchange}/.default"])
    return answer


@pytest.mark.parametrize("form", ["secret", "certificate"])
@pytest.mark.parametrize("cloud", list(_CLOUDS))
def test_an_app_of_each_cloud_opens_its_mailbox(
    sandbox: SandboxProcess, proxy: ConnectProxy, app_key: AppKey, cloud: str, form: str
) -> None:
    _, exchange, graph = _CLOUDS[cloud]
    certificate = {"private_key": app_key.key_pem, "public_certificate": app_key.certificate_pem}
    changes = {"client_credential": certificate} if form == "certificate" else {}
    before = proxy.carried()

    token = _sign_in(sandbox, proxy, cloud, **changes)["access_token"]
    opened = _http(sandbox, proxy).post(
        f"https://{exchange}/EWS/Exchange.asmx",
        data=envelope(get_folder(), impersonate=DISPATCH),
        headers={"Content-Type": "text/xml", "Authorization": f"Bearer {token}", "X-AnchorMailbox": DISPATCH},
    )
    refused = _http(sandbox, proxy).get(f"https://{graph}/v1.0/applications")

    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["aud"] == f"https://{exchange}"
    assert codes(opened) == ["NoError"]
    assert refused.status_code == 401
    after = proxy.carried()
    assert all(after.get(host, 0) > before.get(host, 0) for host in _CLOUDS[cloud])


@pytest.mark.parametrize(("cloud", "other"), [("global", "gcc-high"), ("us", "global"), ("global", "china")])
def test_a_tenant_of_another_cloud_refuses_as_entra_does(
    sandbox: SandboxProcess, proxy: ConnectProxy, app_key: AppKey, cloud: str, other: str
) -> None:
    certificate = {"private_key": app_key.key_pem, "public_certificate": app_key.certificate_pem}
    with sandbox.settings(cloud=cloud):
        by_secret = _sign_in(sandbox, proxy, other)
        by_certificate = _sign_in(sandbox, proxy, other, client_credential=certificate)

    assert by_secret["error_codes"] == [900382]
    assert by_certificate["error_codes"] == [700023]


def test_discovery_stays_in_the_cloud_that_was_asked(sandbox: SandboxProcess, proxy: ConnectProxy) -> None:
    tenant = sandbox.info["tenant_id"]
    for host in LOGIN:
        answer: requests.Response = _http(sandbox, proxy).get(
            f"https://{host}/{tenant}/v2.0/.well-known/openid-configuration"
        )
        found = answer.json()
        assert {urlsplit(found[name]).netloc for name in ("issuer", "token_endpoint", "jwks_uri")} == {host}
