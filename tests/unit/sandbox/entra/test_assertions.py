"""What the token endpoint takes of an assertion, and why it refuses another: by certificate and by federation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from bridge.sandbox.appcredentials import Federated
from bridge.sandbox.entra.encoding import base64url
from bridge.sandbox.entra.keys import SigningKey, ensure_signing_key
from bridge.sandbox.entra.publickeys import PublicKey
from tests.support.entra import BASE, EXCHANGE, ISSUER, JWT_BEARER, NOW, SUBJECT, Entra, an_entra, moment
from tests.support.keys import AppKey, new_app_key

if TYPE_CHECKING:
    from collections.abc import Callable

_AUDIENCE = "api://AzureADTokenExchange"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return ensure_signing_key(tmp_path_factory.mktemp("keys") / "signing.json")


@pytest.fixture(scope="module")
def app_key() -> AppKey:
    return new_app_key(begins=moment(-1), ends=moment(365))


@pytest.fixture(scope="module")
def other_key() -> AppKey:
    return new_app_key(begins=moment(-1), ends=moment(365))


def _refused(answer: tuple[int, dict[str, Any]]) -> tuple[int, str, int]:
    status, body = answer
    return status, body["error"], body["error_codes"][0]


def _claims(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


# By certificate


@pytest.mark.parametrize("algorithm", ["PS256", "RS256"])
async def test_a_registered_key_proves_the_app(key: SigningKey, app_key: AppKey, algorithm: str) -> None:
    async with an_entra(key) as entra:
        entra.register(app_key)
        status, body = await entra.show(entra.assertion(app_key, algorithm=algorithm))

    assert status == 200
    assert _claims(body["access_token"])["appidacr"] == "2"


@pytest.mark.parametrize("named", ["x5t#S256", "x5t#S256 padded", "x5t", "kid"])
async def test_the_certificate_is_named_by_either_thumbprint(key: SigningKey, app_key: AppKey, named: str) -> None:
    sha1, sha256 = (base64url(bytes.fromhex(one)) for one in (app_key.sha1, app_key.sha256))
    head = {"x5t#S256": {"x5t#S256": sha256}, "x5t#S256 padded": {"x5t#S256": f"{sha256}="}}.get(named, {named: sha1})
    async with an_entra(key) as entra:
        entra.register(app_key)
        status, _ = await entra.show(entra.assertion(app_key, head={"x5t#S256": None, **head}))

    assert status == 200


async def test_of_several_certificates_each_will_do(key: SigningKey, app_key: AppKey, other_key: AppKey) -> None:
    async with an_entra(key) as entra:
        entra.register(app_key)
        entra.register(other_key)

        assert [(await entra.show(entra.assertion(one)))[0] for one in (app_key, other_key)] == [200, 200]


@pytest.mark.parametrize(
    "audience",
    [
        "{base}/{tenant}/oauth2/v2.0/token",
        "{base}/{tenant}/oauth2/token",
        "{base}/{tenant}/v2.0",
        "{base}/{tenant}/",
        "{base}/example.org/oauth2/v2.0/token",
        "https://sts.windows.net/{tenant}/",
        "https://login.microsoftonline.com/{tenant}/v2.0",
        "https://login.microsoftonline.us/{tenant}/oauth2/v2.0/token",
    ],
)
async def test_an_assertion_is_for_this_tenant_here(key: SigningKey, app_key: AppKey, audience: str) -> None:
    async with an_entra(key) as entra:
        entra.register(app_key)
        said = audience.format(base=BASE, tenant=entra.tenant.tenant_id)

        assert (await entra.show(entra.assertion(app_key, claims={"aud": said})))[0] == 200
        assert (await entra.show(entra.assertion(app_key, claims={"aud": [said]})))[0] == 200


@pytest.mark.parametrize(
    "audience",
    [
        "{base}/11111111-1111-1111-1111-111111111111/oauth2/v2.0/token",
        "{base}/common/oauth2/v2.0/token",
        "{base}/{tenant}/oauth2/v2.0/authorize",
        "https://entra.example.evil/{tenant}/oauth2/v2.0/token",
        "http://entra.example/{tenant}/oauth2/v2.0/token",
        "{base}/{tenant}/oauth2/v2.0/token?x=y",
        "https://sts.windows.net/11111111-1111-1111-1111-111111111111/",
        "api://AzureADTokenExchange",
    ],
)
async def test_an_assertion_for_somebody_else_is_refused(key: SigningKey, app_key: AppKey, audience: str) -> None:
    async with an_entra(key) as entra:
        entra.register(app_key)
        said = audience.format(base=BASE, tenant=entra.tenant.tenant_id)
        answer = await entra.show(entra.assertion(app_key, claims={"aud": said}))

    assert _refused(answer) == (401, "invalid_client", 700023)
    assert "Client assertion audience claim does not match Realm issuer." in answer[1]["error_description"]


async def test_a_tenant_of_one_cloud_is_not_signed_in_to_in_another(key: SigningKey, app_key: AppKey) -> None:
    async with an_entra(key) as entra:
        entra.register(app_key)
        entra.settings["cloud"] = "global"
        tenant, us = entra.tenant.tenant_id, {"Host": "login.microsoftonline.us"}
        there = {"aud": f"https://login.microsoftonline.us/{tenant}/oauth2/v2.0/token"}
        here = {"aud": f"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"}

        by_certificate = await entra.show(entra.assertion(app_key, claims=there))
        status, body, _ = await entra.ask(headers=us)
        at_home = await entra.show(entra.assertion(app_key, claims=here))
        gov_exchange = await entra.ask({"scope": "https://outlook.office365.us/.default"})

    assert _refused(by_certificate) == (401, "invalid_client", 700023)
    assert (status, body["error"], body["error_codes"]) == (400, "invalid_request", [900382])
    assert at_home[0] == 200
    assert gov_exchange[1]["error_codes"] == [500011]


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"iss": "11111111-1111-1111-1111-111111111111"}, 700021),
        ({"sub": "11111111-1111-1111-1111-111111111111"}, 700021),
        ({"iss": None}, 50027),
        ({"sub": None}, 50027),
        ({"sub": ""}, 50027),
        ({"aud": None}, 50027),
        ({"aud": []}, 50027),
        ({"exp": None}, 50027),
        ({"exp": "soon"}, 50027),
        ({"exp": 1e300}, 50027),
        ({"exp": float("nan")}, 50027),
        ({"exp": NOW - 301}, 700024),
        ({"nbf": NOW + 301}, 700024),
    ],
)
async def test_a_claim_that_is_wrong_has_its_code(
    key: SigningKey, app_key: AppKey, claims: dict[str, object], code: int
) -> None:
    async with an_entra(key) as entra:
        entra.register(app_key)
        status, body = await entra.show(entra.assertion(app_key, claims=claims))

    assert (status, body["error_codes"]) == (400 if code == 50027 else 401, [code])


@pytest.mark.parametrize("claims", [{"exp": NOW - 299}, {"nbf": NOW + 299}, {"exp": NOW + 10 * 365 * 86_400.0}])
async def test_clocks_may_differ_by_five_minutes_and_no_life_is_too_long(
    key: SigningKey, app_key: AppKey, claims: dict[str, object]
) -> None:
    async with an_entra(key) as entra:
        entra.register(app_key)

        assert (await entra.show(entra.assertion(app_key, claims=claims)))[0] == 200


async def test_an_assertion_that_has_ended_is_told_with_its_times(key: SigningKey, app_key: AppKey) -> None:
    async with an_entra(key) as entra:
        entra.register(app_key)
        _, body = await entra.show(entra.assertion(app_key, claims={"exp": NOW - 3600}))

    assert body["error_description"].startswith(
        "AADSTS700024: Client assertion is not within its valid time range. Current time: 2027-01-15T08:00:00.0000000Z,"
        " assertion valid from 1970-01-01T00:00:00.0000000Z, expiry time of assertion 2027-01-15T07:00:00.0000000Z."
    )


async def test_a_certificate_that_is_not_registered_is_refused(
    key: SigningKey, app_key: AppKey, other_key: AppKey
) -> None:
    sha1 = {"x5t": base64url(bytes.fromhex(other_key.sha1))}
    async with an_entra(key) as entra:
        entra.register(app_key)
        by_sha256 = await entra.show(entra.assertion(other_key))
        by_sha1 = await entra.show(entra.assertion(other_key, head=sha1))
        client_id = entra.tenant.apps[0].client_id

    assert _refused(by_sha256) == (401, "invalid_client", 700027)
    assert (
        "not registered on application. [Reason - The key was not found., Please visit the Azure Portal, Graph Explorer"
        f" or directly use MS Graph to see configured keys for app Id '{client_id}'."
    ) in by_sha256[1]["error_description"]
    assert f"Thumbprint of key used by client: '{other_key.sha1}'," in by_sha1[1]["error_description"]


async def test_another_key_under_a_registered_thumbprint_is_refused(
    key: SigningKey, app_key: AppKey, other_key: AppKey
) -> None:
    async with an_entra(key) as entra:
        entra.register(app_key)
        head = {"x5t#S256": base64url(bytes.fromhex(app_key.sha256))}
        answer = await entra.show(entra.assertion(other_key, head=head))

    assert _refused(answer) == (401, "invalid_client", 700027)
    assert "[Reason - The provided signature value did not match the expected" in answer[1]["error_description"]
    assert "Found key 'Start=01/14/2027 08:00:00, End=01/15/2028 08:00:00'" in answer[1]["error_description"]


@pytest.mark.parametrize(
    ("begins", "ends", "code", "reason"),
    [
        (-30, -1, 700027, "is expired on application. [Reason - The key used is expired., "),
        (1, 30, 1000502, "The provided certificate is not within its specified validity period."),
    ],
)
async def test_a_certificate_outside_its_times_is_refused(
    key: SigningKey, begins: float, ends: float, code: int, reason: str
) -> None:
    outside = new_app_key(begins=moment(begins), ends=moment(ends))
    async with an_entra(key) as entra:
        entra.register(outside)
        answer = await entra.show(entra.assertion(outside))

    assert _refused(answer) == (401, "invalid_client", code)
    assert reason in answer[1]["error_description"]


@pytest.mark.parametrize(
    ("head", "code"),
    [({"x5t#S256": None}, 50027), ({"x5t#S256": "ß"}, 50027), ({"x5t#S256": 1}, 50027), ({"typ": "at+jwt"}, 5002727)],
)
async def test_a_head_that_is_wrong_has_its_code(
    key: SigningKey, app_key: AppKey, head: dict[str, object], code: int
) -> None:
    async with an_entra(key) as entra:
        entra.register(app_key)

        assert _refused(await entra.show(entra.assertion(app_key, head=head))) == (400, "invalid_request", code)


@pytest.mark.parametrize("algorithm", ["RS512", "PS384"])
async def test_other_algorithms_are_refused(key: SigningKey, app_key: AppKey, algorithm: str) -> None:
    async with an_entra(key) as entra:
        entra.register(app_key)
        answer = await entra.show(entra.assertion(app_key, algorithm=algorithm))

    assert _refused(answer) == (400, "invalid_request", 5002738)
    assert f"'{algorithm}' is not a supported signature algorithm" in answer[1]["error_description"]


async def test_an_unsigned_assertion_is_refused(key: SigningKey, app_key: AppKey) -> None:
    async with an_entra(key) as entra:
        entra.register(app_key)
        claims = entra.assertion(app_key).split(".")[1]
        head = base64url(b'{"alg":"none","x5t#S256":"AA"}')

        assert _refused(await entra.show(f"{head}.{claims}.")) == (400, "invalid_request", 5002738)


@pytest.mark.parametrize("text", ["none", "a.b.c", "..", "e30.e30.e30", "e30." * 3, "ß.ß.ß"])
async def test_what_is_no_assertion_is_refused(key: SigningKey, text: str) -> None:
    async with an_entra(key) as entra:
        status, body = await entra.show(text)

    assert (status, body["error"], body["error_codes"]) == (400, "invalid_request", [50027])


async def test_the_kind_of_assertion_is_said_and_known(key: SigningKey, app_key: AppKey) -> None:
    async with an_entra(key) as entra:
        entra.register(app_key)
        assertion = entra.assertion(app_key)
        unsaid = await entra.show(assertion, client_assertion_type=None)
        unknown = await entra.show(assertion, client_assertion_type=JWT_BEARER.replace("jwt", "saml2"))

    assert _refused(unsaid) == (400, "invalid_request", 900144)
    assert _refused(unknown) == (400, "invalid_request", 90023)


async def test_an_assertion_is_taken_again_unless_each_must_be_new(key: SigningKey, app_key: AppKey) -> None:
    """MSAL shows the same one for nine minutes."""
    async with an_entra(key) as entra:
        entra.register(app_key)
        assertion = entra.assertion(app_key)
        reused = [(await entra.show(assertion))[0] for _ in range(3)]
        entra.settings["assertions_once"] = True
        once = [await entra.show(assertion) for _ in range(2)]
        another = await entra.show(entra.assertion(app_key))
        same_id = await entra.show(entra.assertion(app_key, claims={"jti": _claims(assertion)["jti"]}))

    assert reused == [200, 200, 200]
    assert (once[0][0], _refused(once[1]), another[0]) == (200, (401, "invalid_client", 7000281), 200)
    assert _refused(same_id) == (401, "invalid_client", 7000281)


async def test_a_certificate_that_is_taken_away_ends_at_once(key: SigningKey, app_key: AppKey) -> None:
    async with an_entra(key) as entra:
        entra.register(app_key)
        before = await entra.show(entra.assertion(app_key))
        entra.tenant.apps[0].certificates.clear()

        assert (before[0], _refused(await entra.show(entra.assertion(app_key)))) == (
            200,
            (401, "invalid_client", 700027),
        )


async def test_an_app_that_is_switched_off_gets_nothing_by_any_proof(key: SigningKey, app_key: AppKey) -> None:
    async with an_entra(key) as entra:
        entra.register(app_key)
        app = entra.tenant.apps[0]
        app.enabled = False
        by_certificate = await entra.show(entra.assertion(app_key))
        status, body, _ = await entra.ask()

    assert _refused(by_certificate) == (400, "unauthorized_client", 7000112)
    assert (status, body["error_codes"]) == (400, [7000112])
    assert f"Application '{app.client_id}'({app.name}) is disabled." in body["error_description"]


@pytest.mark.parametrize("place", ["alg", "typ", "x5t#S256", "x5t", "kid", "iss", "sub", "aud", "exp", "nbf", "jti"])
async def test_nothing_that_stands_in_an_assertion_breaks_the_endpoint(
    key: SigningKey, app_key: AppKey, place: str
) -> None:
    """It is taken or refused; whoever wrote it."""
    values: list[object] = [
        1,
        -1,
        True,
        1e300,
        "",
        "x",
        "https://[",
        "http://[::1",
        "\ud800",
        "x" * 5000,
        [],
        {},
        [1],
        {"a": 1},
    ]
    async with an_entra(key) as entra:
        entra.register(app_key)
        _trust(entra, app_key)
        head, claims, signature = entra.assertion(app_key).split(".")
        parts = [jwt.utils.base64url_decode(part) for part in (head, claims)]
        of_head = place in {"alg", "typ", "x5t#S256", "x5t", "kid"}
        for value in values:
            changed = [json.loads(part) for part in parts]
            changed[0 if of_head else 1][place] = value
            text = ".".join(base64url(json.dumps(part).encode()) for part in changed)
            status, body = await entra.show(f"{text}.{signature}")
            assert (status, body["error"]) in {(400, "invalid_request"), (401, "invalid_client")}, value


async def test_an_assertion_that_is_changed_anywhere_is_refused(key: SigningKey, app_key: AppKey) -> None:
    async with an_entra(key) as entra:
        entra.register(app_key)
        assertion = entra.assertion(app_key)
        for at in range(0, len(assertion) - 1, 11):
            letter = "A" if assertion[at] != "A" else "B"
            status, body = await entra.show(assertion[:at] + letter + assertion[at + 1 :])
            assert (status, body["error"]) in {(400, "invalid_request"), (401, "invalid_client")}, at


# By federation


def _trust(entra: Entra, cluster: AppKey, **changes: str) -> None:
    numbers = cluster.key.public_key().public_numbers()
    entra.issuers.keys[ISSUER] = {"of-the-cluster": PublicKey(numbers.n, numbers.e)}
    matched = {"issuer": ISSUER, "subject": SUBJECT, "audience": _AUDIENCE, **changes}
    entra.tenant.apps[0].federated.append(Federated("id", "cluster", **matched))


async def test_a_token_of_a_trusted_issuer_proves_the_app(key: SigningKey, app_key: AppKey) -> None:
    async with an_entra(key) as entra:
        _trust(entra, app_key)
        status, body = await entra.show(entra.workload_token(app_key))

    assert status == 200
    assert _claims(body["access_token"])["appidacr"] == "2"


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"issuer": ISSUER.rstrip("/")}, 700211, f"presented assertion issuer '{ISSUER}'"),
        ({"subject": SUBJECT.title()}, 700213, f"presented assertion subject '{SUBJECT}'"),
        ({"audience": "api://another"}, 700212, f"presented assertion audience '{_AUDIENCE}'"),
    ],
)
async def test_all_three_must_match_letter_for_letter(
    key: SigningKey, app_key: AppKey, changes: dict[str, str], code: int, said: str
) -> None:
    async with an_entra(key) as entra:
        _trust(entra, app_key, **changes)
        answer = await entra.show(entra.workload_token(app_key))

    assert _refused(answer) == (401, "invalid_client", code)
    assert said in answer[1]["error_description"]


async def test_an_app_without_federated_credentials_is_told_so(key: SigningKey, app_key: AppKey) -> None:
    async with an_entra(key) as entra:
        answer = await entra.show(entra.workload_token(app_key))
        app = entra.tenant.apps[0]

    assert _refused(answer) == (401, "invalid_client", 70025)
    assert f"'{app.client_id}'({app.name}) has no configured federated identity" in answer[1]["error_description"]


def _break_unreachable(entra: Entra, _app_key: AppKey, _other_key: AppKey) -> str:
    entra.issuers.keys.clear()
    return entra.workload_token(_app_key)


def _break_unknown_key(entra: Entra, app_key: AppKey, _other_key: AppKey) -> str:
    entra.issuers.keys[ISSUER] = {"another": entra.issuers.keys[ISSUER]["of-the-cluster"]}
    return entra.workload_token(app_key)


def _break_signature(entra: Entra, _app_key: AppKey, other_key: AppKey) -> str:
    return entra.workload_token(other_key)


def _break_expiry(entra: Entra, app_key: AppKey, _other_key: AppKey) -> str:
    return entra.workload_token(app_key, exp=int(NOW) - 301)


def _break_audience(entra: Entra, app_key: AppKey, _other_key: AppKey) -> str:
    return entra.workload_token(app_key, aud="https://kubernetes.default.svc")


@pytest.mark.parametrize(
    ("broken", "refusal"),
    [
        (_break_unreachable, (400, "invalid_request", 501661)),
        (_break_unknown_key, (401, "invalid_client", 7000272)),
        (_break_signature, (401, "invalid_client", 7000274)),
        (_break_expiry, (401, "invalid_client", 700024)),
        (_break_audience, (401, "invalid_client", 700212)),
    ],
)
async def test_a_token_of_a_trusted_issuer_is_verified(
    key: SigningKey,
    app_key: AppKey,
    other_key: AppKey,
    broken: Callable[[Entra, AppKey, AppKey], str],
    refusal: tuple[int, str, int],
) -> None:
    async with an_entra(key) as entra:
        _trust(entra, app_key)
        answer = await entra.show(broken(entra, app_key, other_key))

    assert _refused(answer) == refusal


# Secrets


async def test_a_secret_ends_at_its_time(key: SigningKey) -> None:
    async with an_entra(key) as entra:
        entra.tenant.apps[0].secrets[0].expires_at = NOW + 1
        before = (await entra.ask())[0]
        entra.clock[0] = NOW + 1
        status, body, _ = await entra.ask()

    assert (before, status, body["error_codes"]) == (200, 401, [7000222])


async def test_a_secret_that_is_gone_and_the_id_of_one_are_wrong_secrets(key: SigningKey) -> None:
    async with an_entra(key) as entra:
        app = entra.tenant.apps[0]
        _, by_id, _ = await entra.ask({"client_secret": app.secrets[0].secret_id})
        value = app.secrets.pop().value
        _, gone, _ = await entra.ask({"client_secret": value})

    assert (by_id["error_codes"], gone["error_codes"]) == ([7000215], [7000215])
    assert "is the client secret value, not the client secret ID" in by_id["error_description"]


async def test_a_managed_identity_cannot_sign_in(key: SigningKey) -> None:
    async with an_entra(key) as entra:
        entra.tenant.apps[0].managed_identity = "user"
        status, body, _ = await entra.ask({"scope": EXCHANGE})

    assert (status, body["error_codes"]) == (400, [700016])
