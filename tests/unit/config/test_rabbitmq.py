"""How the broker's section says who signs in, and its files as they are now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from bridge.config import ClientSettings, ConfigurationInvalid, RabbitMqSettings, Settings, load
from bridge.config.broker_files import CurrentPassphrase, CurrentUrls

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_CLIENT = "99999999-2222-3333-4444-555555555555"
_APP = {"tenant_id": "example.org", "client_id": _CLIENT, "client_secret": "s"}
_TLS = "amqps://broker:5671/mail"
_OAUTH = {"urls": [_TLS], "auth": "oauth", "oauth_scope": "api://rabbitmq/.default"}


def _section(**values: Any) -> RabbitMqSettings:
    return RabbitMqSettings.model_validate(values)


def _settings(rabbitmq: dict[str, Any], **sections: Any) -> Settings:
    tree = {"entra": _APP, "mailboxes": [{"alias": "a", "address": "a@example.org"}], **sections}
    return Settings.model_validate({**tree, "rabbitmq": rabbitmq})


def _complaint(call: Callable[[], object]) -> str:
    with pytest.raises(ValidationError) as caught:
        call()
    return "\n".join(str(error["ctx"]["problems"]) for error in caught.value.errors() if "ctx" in error)


@pytest.mark.parametrize(
    ("values", "key", "words"),
    [
        ({"urls": [_TLS], "auth": "external"}, "client_certificate_file", "is missing"),
        ({"urls": ["amqp://b/"], "client_certificate_file": "c.pem"}, "urls", "no client certificate is shown"),
        ({"urls": [_TLS], "client_key_file": "k.pem"}, "client_key_file", "without client_certificate_file"),
        ({"urls": [_TLS], "client_key_passphrase": "x"}, "client_key_passphrase", "without client_certificate_file"),
        (
            {"urls": ["amqps://u:pw@b/"], "auth": "external", "client_certificate_file": "c.pem"},
            "urls",
            "have a user or a password in them",
        ),
        ({**_OAUTH, "urls": ["amqp://b/"]}, "urls", "in the clear"),
        ({**_OAUTH, "urls": ["amqps://u@b/"]}, "urls", "have a user or a password in them"),
        ({"urls": [_TLS], "auth": "oauth"}, "oauth_scope", "is missing"),
        ({"urls": [_TLS], "oauth_scope": "api://rabbitmq/.default"}, "oauth_scope", "without auth"),
        ({"urls": [_TLS], "entra": "broker"}, "entra", "without auth"),
        ({**_OAUTH, "oauth_scope": "api://rabbitmq"}, "", "/.default"),
    ],
)
def test_what_does_not_fit_the_way_to_sign_in_is_refused(values: dict[str, Any], key: str, words: str) -> None:
    """With the key and the reason, and without the password of a url."""
    told = _complaint(lambda: _section(**values))

    assert f"'{key}'" in told
    assert words in told
    assert "pw@" not in told


def test_the_ways_to_sign_in_are_accepted() -> None:
    """A certificate may stand beside a password."""
    beside = _section(urls=["amqps://u:p@b/"], client_certificate_file="c.pem", client_key_file="k.pem")
    alone = _section(urls=[_TLS], auth="external", client_certificate_file="c.pem", client_key_passphrase="x")

    assert [one.auth for one in (beside, alone, _section(**_OAUTH))] == ["password", "external", "oauth"]


def test_the_app_for_the_broker_is_the_default_one_or_the_named_one() -> None:
    """And only where tokens are the login."""
    named = {**_APP, "broker": {**_APP, "client_id": _CLIENT.replace("9", "8")}}

    assert _settings({"urls": [_TLS]}).broker_app is None
    assert _settings(_OAUTH).broker_app.client_id == _CLIENT  # type: ignore[union-attr]
    chosen = _settings({**_OAUTH, "entra": "broker"}, entra=named).broker_app
    assert chosen is not None
    assert chosen.client_id == _CLIENT.replace("9", "8")


def test_an_app_that_is_not_there_is_refused() -> None:
    """By name, with those that are."""
    assert "rabbitmq.entra" in _complaint(lambda: _settings({**_OAUTH, "entra": "broker"}))
    on_premises = {
        "ews": {"url": "https://mail.example.org/EWS/Exchange.asmx", "auth": "basic"},
        "mailboxes": [{"alias": "a", "address": "a@example.org", "username": "u", "password": "p"}],
    }
    told = _complaint(lambda: Settings.model_validate({**on_premises, "rabbitmq": _OAUTH}))
    assert 'rabbitmq.auth is "oauth"' in told


def test_a_command_for_the_broker_alone_needs_the_app_only_where_it_signs_in(tmp_path: Path) -> None:
    """Who has a password for the broker need not be able to read Entra's secret."""
    file = tmp_path / "bridge.toml"
    entra = f'[entra]\ntenant_id = "example.org"\nclient_id = "{_CLIENT}"\nclient_secret_file = "none"\n'
    file.write_text(entra + '[rabbitmq]\nurls = ["amqp://u:p@b/"]\n')
    assert load(file, {}, ClientSettings).settings.entra is None

    file.write_text(entra + f'[rabbitmq]\nurls = ["{_TLS}"]\nauth = "oauth"\noauth_scope = "api://b/.default"\n')
    with pytest.raises(ConfigurationInvalid, match="client_secret_file"):
        load(file, {}, ClientSettings)
    (tmp_path / "none").write_text("s")
    assert load(file, {}, ClientSettings).settings.broker_app is not None


def test_urls_are_those_of_the_file_now_and_a_file_that_cannot_be_used_changes_nothing(tmp_path: Path) -> None:
    """Empty in the middle of a renewal, gone, no url, or one that does not fit the rest of the section."""
    file = tmp_path / "urls"
    file.write_text("amqps://u:old@b/\n")
    current = CurrentUrls(_section(urls=["amqps://u:old@b/"], urls_file=file, client_certificate_file="c.pem"))

    file.write_text("amqps://u:new@b/ amqps://u:new@c/\n")
    assert current() == ("amqps://u:new@b/", "amqps://u:new@c/")
    for content in ("", "http://b/", "amqp://u:newer@b/", "\udcff"):
        file.write_bytes(content.encode(errors="surrogateescape"))
        assert current() == ("amqps://u:new@b/", "amqps://u:new@c/")
    file.unlink()
    assert current() == ("amqps://u:new@b/", "amqps://u:new@c/")


def test_a_passphrase_is_that_of_the_file_now(tmp_path: Path) -> None:
    """The one of the start while the file has none."""
    file = tmp_path / "passphrase"
    section = _section(
        urls=[_TLS], client_certificate_file="c.pem", client_key_passphrase="old", client_key_passphrase_file=file
    )
    current = CurrentPassphrase(section)

    assert current() == "old"
    file.write_text("\n")
    assert current() == "old"
    file.write_text("new\n")
    assert current() == "new"
