"""What the token endpoint gives and refuses, request by request."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import jwt
import pytest

from bridge.sandbox.appcredentials import new_secret
from bridge.sandbox.entra.keys import ensure_signing_key
from tests.support.entra import BASE, EXCHANGE, NOW, an_entra

if TYPE_CHECKING:
    from bridge.sandbox.entra.keys import SigningKey


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return ensure_signing_key(tmp_path_factory.mktemp("keys") / "signing.json")


async def test_a_token_carries_what_exchange_looks_at(key: SigningKey) -> None:
    async with an_entra(key) as entra:
        status, answer, headers = await entra.ask()
        app, tenant_id = entra.tenant.apps[0], entra.tenant.tenant_id

    assert (status, answer["token_type"], answer["expires_in"]) == (200, "Bearer", 3599)
    assert headers["Cache-Control"] == "no-store, no-cache"
    header = jwt.get_unverified_header(answer["access_token"])
    assert (header["alg"], header["kid"], header["typ"]) == ("RS256", key.key_id, "JWT")
    claims = jwt.decode(
        answer["access_token"],
        jwt.PyJWK(key.jwk("issuer"), algorithm="RS256").key,
        algorithms=["RS256"],
        audience="https://outlook.office365.com",
        options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
    )
    assert claims["iss"] == f"https://sts.windows.net/{tenant_id}/"
    assert (claims["iat"], claims["nbf"], claims["exp"]) == (NOW, NOW, NOW + 3599)
    assert (claims["appid"], claims["oid"], claims["sub"]) == (app.client_id, app.object_id, app.object_id)
    assert (claims["tid"], claims["ver"], claims["appidacr"]) == (tenant_id, "1.0", "1")
    assert claims["roles"] == ["full_access_as_app"]


async def test_the_audience_is_the_resource_as_it_was_asked_for(key: SigningKey) -> None:
    async with an_entra(key) as entra:
        for resource in ("00000002-0000-0ff1-ce00-000000000000", "https://outlook.office.com"):
            _, answer, _ = await entra.ask({"scope": f"{resource}/.default"})
            claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
            assert claims["aud"] == resource


async def test_an_app_without_consent_gets_a_token_without_roles(key: SigningKey) -> None:
    async with an_entra(key) as entra:
        entra.tenant.apps[0].roles = []
        status, answer, _ = await entra.ask()

    assert status == 200
    assert "roles" not in jwt.decode(answer["access_token"], options={"verify_signature": False})


async def test_long_lived_tokens_come_with_advice_when_to_refresh(key: SigningKey) -> None:
    async with an_entra(key) as entra:
        entra.tenant.token_lifetime_seconds = 86_400
        _, answer, _ = await entra.ask()

    assert (answer["expires_in"], answer["refresh_in"]) == (86_400, 43_200)


async def test_a_tenant_answers_to_its_domain_too(key: SigningKey) -> None:
    async with an_entra(key) as entra:
        assert (await entra.ask(tenant="Example.org"))[0] == 200


async def test_several_secrets_are_valid_at_once(key: SigningKey) -> None:
    async with an_entra(key) as entra:
        newer = new_secret()
        entra.tenant.apps[0].secrets.append(newer)

        assert (await entra.ask())[0] == 200
        assert (await entra.ask({"client_secret": newer.value}))[0] == 200


async def test_an_expired_secret_is_told_from_a_wrong_one(key: SigningKey) -> None:
    async with an_entra(key) as entra:
        entra.tenant.apps[0].secrets[0].expired = True

        expired = await entra.ask()
        wrong = await entra.ask({"client_secret": "wrong"})

    assert (expired[0], expired[1]["error"], expired[1]["error_codes"]) == (401, "invalid_client", [7000222])
    assert (wrong[0], wrong[1]["error"], wrong[1]["error_codes"]) == (401, "invalid_client", [7000215])


async def test_credentials_in_a_basic_header_are_taken(key: SigningKey) -> None:
    async with an_entra(key) as entra:
        app = entra.tenant.apps[0]
        pair = f"{quote_plus(app.client_id)}:{quote_plus(app.secrets[0].value)}"
        headers = {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}

        status, _, _ = await entra.ask({"client_id": None, "client_secret": None}, headers=headers)

    assert status == 200


@pytest.mark.parametrize(
    ("changes", "status", "error", "code"),
    [
        ({"grant_type": None}, 400, "invalid_request", 900144),
        ({"client_id": None}, 400, "invalid_request", 900144),
        ({"scope": None}, 400, "invalid_request", 900144),
        ({"scope": ""}, 400, "invalid_request", 900144),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:saml2-bearer"}, 400, "unsupported_grant_type", 70003),
        ({"grant_type": "password"}, 400, "invalid_request", 900144),
        ({"grant_type": "refresh_token"}, 400, "invalid_request", 900144),
        ({"client_secret": None}, 401, "invalid_client", 7000216),
        ({"client_secret": ""}, 401, "invalid_client", 7000216),
        ({"client_secret": "secret "}, 401, "invalid_client", 7000215),
        ({"client_id": "no-guid"}, 400, "unauthorized_client", 700016),
        ({"client_id": "11111111-1111-1111-1111-111111111111"}, 400, "unauthorized_client", 700016),
        ({"scope": "https://outlook.office365.com/EWS.AccessAsUser.All"}, 400, "invalid_scope", 1002012),
        ({"scope": f"{EXCHANGE} https://graph.microsoft.com/.default"}, 400, "invalid_scope", 1002012),
        ({"scope": "/.default"}, 400, "invalid_scope", 70011),
        ({"scope": "https://unknown.example/.default"}, 400, "invalid_resource", 500011),
        ({"scope": "https://outlook.office365.com/EWS/.default"}, 400, "invalid_resource", 500011),
    ],
)
async def test_a_refusal_has_its_code(
    key: SigningKey, changes: dict[str, str | None], status: int, error: str, code: int
) -> None:
    async with an_entra(key) as entra:
        answered, body, _ = await entra.ask(changes)

    assert (answered, body["error"], body["error_codes"]) == (status, error, [code])


@pytest.mark.parametrize(
    ("tenant", "code"),
    [("elsewhere.example", 90002), ("11111111-1111-1111-1111-111111111111", 90002), ("common", 50059),
     ("contoso", 900023), ("abc8Q~secret-in-its-place", 900023), ("two words.example", 900023), ("a..b", 900023)],
)  # fmt: skip
async def test_another_tenant_is_not_ours(key: SigningKey, tenant: str, code: int) -> None:
    async with an_entra(key) as entra:
        status, body, _ = await entra.ask(tenant=tenant)

    assert (status, body["error"], body["error_codes"]) == (400, "invalid_request", [code])


async def test_a_refusal_reads_as_entra_writes_it(key: SigningKey) -> None:
    correlation = "3f9a8a2e-7a38-4a05-9f0f-2b8d5cdd4d2e"
    async with an_entra(key) as entra:
        _, body, headers = await entra.ask({"client_secret": "wrong"}, headers={"client-request-id": correlation})
        client_id = entra.tenant.apps[0].client_id

    assert body["error_description"] == (
        "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client "
        f"secret value, not the client secret ID, for a secret added to app '{client_id}'. Trace ID: "
        f"{body['trace_id']} Correlation ID: {correlation} Timestamp: 2027-01-15 08:00:00Z"
    )
    assert body["timestamp"] == "2027-01-15 08:00:00Z"
    assert body["correlation_id"] == correlation
    assert body["error_uri"] == f"{BASE}/error?code=7000215"
    assert headers["x-ms-request-id"] == body["trace_id"]


async def test_a_parameter_that_is_given_twice_is_refused(key: SigningKey) -> None:
    async with an_entra(key) as entra:
        path = f"/{entra.tenant.tenant_id}/oauth2/v2.0/token"
        async with entra.client.post(path, data="grant_type=client_credentials&grant_type=x") as answer:
            assert (answer.status, (await answer.json())["error_codes"]) == (400, [90014])


async def test_only_posts_get_tokens(key: SigningKey) -> None:
    async with (
        an_entra(key) as entra,
        entra.client.get(f"/{entra.tenant.tenant_id}/oauth2/v2.0/token") as answer,
    ):
        assert (answer.status, (await answer.json())["error_codes"]) == (400, [900561])


async def test_discovery_leads_to_the_token_endpoint_and_to_the_key(key: SigningKey) -> None:
    async with an_entra(key) as entra:
        tenant_id = entra.tenant.tenant_id
        async with entra.client.get(f"/{tenant_id}/v2.0/.well-known/openid-configuration") as answer:
            configuration = await answer.json()
        assert configuration["token_endpoint"] == f"{BASE}/{tenant_id}/oauth2/v2.0/token"
        assert configuration["issuer"] == f"{BASE}/{tenant_id}/v2.0"
        async with entra.client.get(configuration["jwks_uri"].removeprefix(BASE)) as answer:
            (entry,) = (await answer.json())["keys"]
        _, body, _ = await entra.ask()

    assert entry["kid"] == jwt.get_unverified_header(body["access_token"])["kid"]
    public = jwt.PyJWK(entry, "RS256").key
    options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
    assert jwt.decode(body["access_token"], public, algorithms=["RS256"], options=options)["tid"] == tenant_id


async def test_discovery_of_another_tenant_is_refused(key: SigningKey) -> None:
    async with (
        an_entra(key) as entra,
        entra.client.get("/elsewhere.example/v2.0/.well-known/openid-configuration") as answer,
    ):
        assert (answer.status, (await answer.json())["error"]) == (400, "invalid_tenant")
