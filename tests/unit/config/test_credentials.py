"""The forms of credential, several apps, and what is said of values in the wrong place."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.config import ConfigurationInvalid, Loaded, Problem, Settings, load
from bridge.config.show import rows

TENANT, CLIENT = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"
OTHER = "77777777-2222-3333-4444-555555555555"
SECRET = "aB8~Q7.value-value-value-value-value-val"
PEM = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n"
REST = """
[[mailboxes]]
alias = "dispatch"
address = "dispatch@example.org"
[rabbitmq]
urls = ["amqp://broker/vhost"]
"""
IDS = f'tenant_id = "{TENANT}"\nclient_id = "{CLIENT}"\n'
KUBERNETES = {
    "AZURE_CLIENT_ID": OTHER,
    "AZURE_TENANT_ID": TENANT,
    "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in (("secret", SECRET), ("pem", PEM + KEY), ("crt", PEM), ("key", KEY), ("jwt", "aa.bb.cc\n")):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)
    return tmp_path


def loaded(folder: Path, entra: str, rest: str = REST, **environ: str) -> Loaded[Settings]:
    path = folder / "bridge.toml"
    path.write_text(entra + rest)
    path.chmod(0o600)
    return load(path, environ)


def problems(folder: Path, entra: str, rest: str = REST, **environ: str) -> dict[str, Problem]:
    with pytest.raises(ConfigurationInvalid) as caught:
        loaded(folder, entra, rest, **environ)
    return {problem.key: problem for problem in caught.value.problems}


@pytest.mark.parametrize(
    "form",
    [
        'client_secret_file = "secret"',
        'client_secret_file = "secret"\nclient_secret_expires_at = 2027-05-31',
        'client_secret_file = "secret"\nclient_secret_next_file = "not there yet"',
        'client_secret_file = "secret"\ncertificate_next_file = "pem"',
        'certificate_file = "pem"',
        'certificate_file = "crt"\ncertificate_key_file = "key"\ncertificate_next_file = "not there yet"',
        'certificate_file = "pem"\ncertificate_passphrase_file = "secret"',
        'federated_token_file = "jwt"',
    ],
)
def test_each_form_of_credential_loads(folder: Path, form: str) -> None:
    result = loaded(folder, f"[entra]\n{IDS}{form}\n")

    assert result.warnings == ()
    assert list(result.settings.apps_in_use) == ["default"]


def test_a_managed_identity_needs_no_ids(folder: Path) -> None:
    settings = loaded(folder, f'[entra]\nmanaged_identity = true\nmanaged_identity_client_id = "{OTHER}"\n').settings

    assert settings.entra is not None
    assert settings.entra.managed_identity
    assert settings.entra.client_id is None


@pytest.mark.parametrize(
    ("entra", "key", "words"),
    [
        (IDS, "entra.client_secret", "no credential"),
        (IDS + 'client_secret_file = ""', "entra.client_secret", "no credential"),
        (IDS + 'client_secret_file = "secret"\nmanaged_identity = true', "entra.managed_identity", "second form"),
        (IDS + 'client_secret_file = "secret"\ncertificate_file = "pem"', "entra.certificate_file", "second form"),
        (IDS + 'federated_token_file = "jwt"\ncertificate_next_file = "pem"', "entra.certificate_next_file", "second"),
        (
            IDS + 'client_secret_file = "secret"\nclient_secret_next = "x"\ncertificate_next_file = "pem"',
            "entra.certificate_next_file",
            "beside client_secret_next",
        ),
        (IDS + 'client_secret_file = "secret"\ncertificate_key_file = "key"', "entra.certificate_key_file", "without"),
        (IDS + f'client_secret_file = "secret"\nmanaged_identity_client_id = "{OTHER}"',
         "entra.managed_identity_client_id", "without"),
        (IDS + 'certificate_file = "pem"\nclient_secret_expires_at = 2027-05-31',
         "entra.client_secret_expires_at", "without"),
        ('client_secret_file = "secret"', "entra.tenant_id", "is missing"),
        ('client_secret_file = "secret"', "entra.client_id", "is missing"),
        (IDS + 'certificate_file = "key"', "entra.certificate_file", "neither PEM"),
        (IDS + 'certificate_file = "crt"\ncertificate_key_file = "crt"', "entra.certificate_key_file", "private key"),
        (IDS + 'federated_token_file = "key"', "entra.federated_token_file", "no token"),
        (IDS + 'certificate_file = "gone"', "entra.certificate_file", "does not exist"),
        (IDS + 'client_secret_file = "secret"\nclient_secret_expires_at = 2027-05-31T00:00:00',
         "entra.client_secret_expires_at", "offset"),
    ],
)  # fmt: skip
def test_a_credential_that_cannot_work_is_refused(folder: Path, entra: str, key: str, words: str) -> None:
    assert words in problems(folder, f"[entra]\n{entra}\n")[key].what


@pytest.mark.parametrize(
    ("ids", "key", "words"),
    [
        (("", CLIENT, SECRET), "entra.tenant_id", "is empty"),
        ((TENANT, "", SECRET), "entra.client_id", "is empty"),
        ((TENANT, CLIENT, ""), "entra.client_secret", "no credential"),
        ((SECRET, CLIENT, TENANT), "entra.tenant_id", "looks like the value of a client secret"),
        ((TENANT, SECRET, CLIENT), "entra.client_id", "looks like the value of a client secret"),
        ((TENANT, "dispatch@example.org", SECRET), "entra.client_id", "looks like an address"),
        (("dispatch@example.org", CLIENT, SECRET), "entra.tenant_id", "looks like an address"),
        ((TENANT, "example.org", SECRET), "entra.client_id", "looks like a domain"),
        ((TENANT, TENANT, SECRET), "entra.client_id", "the same as tenant_id"),
        ((TENANT, CLIENT, CLIENT), "entra.client_secret", "the same as client_id"),
        ((TENANT, CLIENT, TENANT.upper()), "entra.client_secret", "the same as tenant_id"),
        ((f"'{TENANT}'", CLIENT, SECRET), "entra.tenant_id", "quotes"),
        ((TENANT, f"'{CLIENT}'", SECRET), "entra.client_id", "quotes"),
        ((TENANT, CLIENT, f"'{SECRET}'"), "entra.client_secret", "quotes"),
        ((TENANT, CLIENT, f"\u201c{SECRET}\u201d"), "entra.client_secret", "quotes"),
    ],
)
def test_a_value_in_the_wrong_place_is_told(folder: Path, ids: tuple[str, str, str], key: str, words: str) -> None:
    names = ("tenant_id", "client_id", "client_secret")

    found = problems(folder, "[entra]\n" + "".join(f'{name} = "{v}"\n' for name, v in zip(names, ids, strict=True)))

    assert words in found[key].what
    assert not any(value and value in str(problem) for problem in found.values() for value in ids if "~" in value)


@pytest.mark.parametrize("around", [" {} ", "{}\n", "\t{}\r\n"])
def test_spaces_and_line_ends_around_a_value_do_not_count(folder: Path, around: str) -> None:
    (folder / "secret").write_text(around.format(SECRET))
    environ = {"BRIDGE_ENTRA__TENANT_ID": around.format(TENANT), "BRIDGE_ENTRA__CLIENT_ID": around.format(CLIENT)}

    entra = loaded(folder, '[entra]\nclient_secret_file = "secret"\n', **environ).settings.entra

    assert entra is not None
    assert entra.client_secret is not None
    assert (entra.tenant_id, entra.client_id, entra.client_secret.get_secret_value()) == (TENANT, CLIENT, SECRET)


@pytest.mark.parametrize("given", [f" {OTHER} ", f"{OTHER}\n", f"{OTHER}\r", f"\t{OTHER}\r\n"])
@pytest.mark.parametrize("how", ["file", "variable", "toml"])
def test_nothing_stays_around_a_secret_that_is_not_entras(folder: Path, how: str, given: str) -> None:
    """A CR at its end is invisible, and the sign-in fails."""
    (folder / "given").write_bytes(given.encode())
    environ = {"BRIDGE_MAILBOXES__0__PASSWORD": given, "BRIDGE_BLOBS__SECRET_ACCESS_KEY": given}
    line = {"file": '{}_file = "given"\n', "variable": "", "toml": f"{{}} = {json.dumps(given)}\n"}[how]
    login = f'username = "u"\n{line.format("password")}[rabbitmq]'
    ews = '[ews]\nauth = "ntlm"\nurl = "https://exchange.example.org/EWS/Exchange.asmx"\n'
    blobs = f'[blobs]\nurl = "s3://bucket"\naccess_key_id = "key"\n{line.format("secret_access_key")}'

    settings = loaded(
        folder, ews + blobs, REST.replace("[rabbitmq]", login), **(environ if how == "variable" else {})
    ).settings

    secrets = [settings.mailboxes[0].password, settings.blobs and settings.blobs.secret_access_key]
    assert [secret and secret.get_secret_value() for secret in secrets] == [OTHER, OTHER]


@pytest.mark.usefixtures("local_zone")
def test_a_date_alone_is_its_midnight_in_utc_wherever_the_bridge_runs(folder: Path) -> None:
    for written in ("2027-05-31", '"2027-05-31"'):
        text = f'[entra]\n{IDS}client_secret_file = "secret"\nclient_secret_expires_at = {written}\n'

        entra = loaded(folder, text).settings.entra

        assert entra is not None
        assert entra.client_secret_expires_at == datetime(2027, 5, 31, tzinfo=UTC)


@pytest.mark.parametrize("secret", ["two words", "line\nbreak", "h\u00e4", OTHER])
def test_a_secret_that_no_secret_of_entra_looks_like_is_warned_of(folder: Path, secret: str) -> None:
    (folder / "secret").write_text(secret)

    (warning,) = loaded(folder, f'[entra]\n{IDS}client_secret_file = "secret"\n').warnings

    assert warning.key == "entra.client_secret"


@pytest.mark.parametrize("name", ["secret", "pem", "key"])
def test_a_key_that_everybody_may_read_is_warned_of(folder: Path, name: str) -> None:
    forms = {
        "secret": 'client_secret_file = "secret"',
        "pem": 'certificate_file = "pem"',
        "key": 'certificate_file = "crt"\ncertificate_key_file = "key"',
    }
    (folder / name).chmod(0o644)
    (folder / "crt").chmod(0o644)

    (warning,) = loaded(folder, f"[entra]\n{IDS}{forms[name]}\n").warnings

    assert str(folder / name) in warning.what


def test_an_http_url_is_refused(folder: Path) -> None:
    text = f'[entra]\n{IDS}client_secret_file = "secret"\nauthority_url = "http://login"\ngraph_url = "http://graph"\n'

    found = problems(folder, text)

    assert "in the clear" in found["entra.authority_url"].what
    assert "in the clear" in found["entra.graph_url"].what


def test_a_mailbox_may_name_its_own_app(folder: Path) -> None:
    entra = f'[entra]\n{IDS}client_secret_file = "secret"\n[entra.page]\ntenant_id = "{TENANT}"\n'
    entra += f'client_id = "{OTHER}"\ncertificate_file = "pem"\ncloud = "china"\n'
    rest = REST.replace(
        "[rabbitmq]", '[[mailboxes]]\nalias = "b"\naddress = "b@example.org"\nentra = "page"\n[rabbitmq]'
    )

    result = loaded(folder, entra, rest)

    settings = result.settings
    assert {name: app.client_id for name, app in settings.apps_in_use.items()} == {"default": CLIENT, "page": OTHER}
    assert [settings.app_name(mailbox) for mailbox in settings.mailboxes] == ["default", "page"]
    assert [settings.ews_url(mailbox).split("/")[2] for mailbox in settings.mailboxes] == [
        "outlook.office365.com",
        "partner.outlook.cn",
    ]
    shown = {row.key: row for row in rows(result)}
    assert shown["entra.page.client_id"].origin.endswith("bridge.toml:7")
    assert shown["entra.page.certificate_file"].value == str(folder / "pem")


def test_named_apps_may_be_all_there_is(folder: Path) -> None:
    entra = f'[entra.page]\n{IDS}client_secret_file = "secret"\n'

    settings = loaded(folder, entra, REST.replace("address", 'entra = "page"\naddress')).settings

    assert list(settings.apps_in_use) == ["page"]
    assert "is missing" in problems(folder, entra)["mailboxes[0].entra"].what


@pytest.mark.parametrize("name", ["Page", "default", "a.b", "p_1"])
def test_a_name_that_cannot_be_a_label_is_refused(folder: Path, name: str) -> None:
    found = problems(
        folder, f'[entra]\n{IDS}client_secret_file = "secret"\n[entra."{name}"]\n{IDS}client_secret = "x"\n'
    )

    assert any(key.startswith("entra.") for key in found)


def test_an_app_that_is_nowhere_is_refused_and_one_that_nobody_uses_is_warned_of(folder: Path) -> None:
    entra = f'[entra]\n{IDS}client_secret_file = "secret"\n[entra.page]\n{IDS}client_secret_file = "secret"\n'

    (warning,) = loaded(folder, entra).warnings
    found = problems(folder, entra, REST.replace("address", 'entra = "pages"\naddress'))

    assert warning.key == "entra.page"
    assert "page" in found["mailboxes[0].entra"].what


def test_unknown_keys_of_a_named_app_are_refused_with_their_line(folder: Path) -> None:
    entra = f'[entra.page]\n{IDS}client_secret_file = "secret"\ntennant_id = "x"\n'

    found = problems(folder, entra, REST.replace("address", 'entra = "page"\naddress'))

    assert found["entra.page.tennant_id"].fix == "did you mean tenant_id?"
    assert found["entra.page.tennant_id"].place.endswith("bridge.toml:5")


def test_an_app_can_come_from_variables(folder: Path) -> None:
    environ = {
        "BRIDGE_ENTRA__PAGE__TENANT_ID": TENANT,
        "BRIDGE_ENTRA__PAGE__CLIENT_ID": OTHER,
        "BRIDGE_ENTRA__PAGE__CLIENT_SECRET_FILE": str(folder / "secret"),
        "BRIDGE_MAILBOXES__0__ENTRA": "page",
    }

    settings = loaded(folder, "", REST, **environ).settings

    assert settings.apps_in_use["page"].client_id == OTHER


@pytest.mark.parametrize("entra", ["", "[entra]\n"])
def test_kubernetes_fills_everything_where_nothing_is_set(folder: Path, entra: str) -> None:
    result = loaded(folder, entra, AZURE_FEDERATED_TOKEN_FILE=str(folder / "jwt"), **KUBERNETES)

    app = result.settings.entra
    assert app is not None
    assert (app.client_id, app.tenant_id, app.federated_token_file) == (OTHER, TENANT, folder / "jwt")
    assert result.origins["entra.federated_token_file"] == "AZURE_FEDERATED_TOKEN_FILE"
    assert result.origins["entra.client_id"] == "AZURE_CLIENT_ID"


def test_kubernetes_fills_only_what_is_open(folder: Path) -> None:
    entra = f'[entra]\nclient_id = "{CLIENT}"\nauthority_url = "https://own.example"\n'

    app = loaded(folder, entra, AZURE_FEDERATED_TOKEN_FILE=str(folder / "jwt"), **KUBERNETES).settings.entra

    assert app is not None
    assert (app.client_id, app.authority) == (CLIENT, f"https://own.example/{TENANT}")


@pytest.mark.parametrize(
    "form", ['client_secret_file = "secret"', "managed_identity = true", 'certificate_file = "pem"']
)
def test_kubernetes_fills_nothing_beside_another_credential(folder: Path, form: str) -> None:
    entra = f"[entra]\n{form}\n" + ("" if "managed" in form else IDS)

    app = loaded(folder, entra, AZURE_FEDERATED_TOKEN_FILE=str(folder / "jwt"), **KUBERNETES).settings.entra

    assert app is not None
    assert app.federated_token_file is None
    assert app.client_id != OTHER


def test_kubernetes_variables_without_a_token_are_somebody_elses(folder: Path) -> None:
    found = problems(folder, "", **KUBERNETES)

    assert found["entra"].what == "is missing"


@pytest.mark.parametrize(
    ("host", "cloud"),
    [("https://login.microsoftonline.us/", "gcc-high"), ("https://login.partner.microsoftonline.cn", "china")],
)
def test_kubernetes_authority_names_the_cloud(folder: Path, host: str, cloud: str) -> None:
    environ = {**KUBERNETES, "AZURE_AUTHORITY_HOST": host, "AZURE_FEDERATED_TOKEN_FILE": str(folder / "jwt")}

    settings = loaded(folder, "", **environ).settings

    assert settings.entra is not None
    assert settings.entra.cloud == cloud


def test_an_ews_url_of_another_cloud_is_refused(folder: Path) -> None:
    entra = f'[entra]\n{IDS}client_secret_file = "secret"\ncloud = "china"\n'
    rest = REST + '[ews]\nurl = "https://outlook.office365.com/EWS/Exchange.asmx"\n'

    assert "the cloud global" in problems(folder, entra, rest)["ews.url"].what


def test_an_app_has_no_place_where_exchange_takes_passwords(folder: Path) -> None:
    rest = REST.replace("address", 'entra = "page"\nusername = "u"\npassword = "p"\naddress')
    rest += '[ews]\nauth = "ntlm"\nurl = "https://mail.example.org/EWS/Exchange.asmx"\n'

    assert "has no place" in problems(folder, "", rest)["mailboxes[0].entra"].what
