"""What values may be."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bridge.config import HttpSettings, MailboxSettings, RabbitMqSettings, Settings
from bridge.wire.topology import RESERVED_ALIASES

CLIENT = "99999999-2222-3333-4444-555555555555"


def tree(**sections: Any) -> dict[str, Any]:
    return {
        "entra": {"tenant_id": "example.org", "client_id": CLIENT, "client_secret": "s"},
        "mailboxes": [{"alias": "a", "address": "a@example.org"}],
        "rabbitmq": {"urls": ["amqp://broker"]},
        **sections,
    }


def mailbox(**values: Any) -> MailboxSettings:
    return MailboxSettings.model_validate({"alias": "a", "address": "a@example.org", **values})


def messages(data: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(data)
    return "\n".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in caught.value.errors())


@pytest.mark.parametrize(
    ("cloud", "authority", "host"),
    [
        ("global", "login.microsoftonline.com", "outlook.office365.com"),
        ("gcc-high", "login.microsoftonline.us", "outlook.office365.us"),
        ("dod", "login.microsoftonline.us", "outlook-dod.office365.us"),
        ("china", "login.partner.microsoftonline.cn", "partner.outlook.cn"),
    ],
)
def test_a_cloud_sets_authority_scope_and_ews_host_together(cloud: str, authority: str, host: str) -> None:
    settings = Settings.model_validate(
        tree(entra={"tenant_id": "example.org", "client_id": CLIENT, "client_secret": "s", "cloud": cloud})
    )

    assert settings.entra is not None
    assert settings.entra.authority == f"https://{authority}/example.org"
    assert settings.entra.scopes == (f"https://{host}/.default",)
    assert settings.ews.url == f"https://{host}/EWS/Exchange.asmx"


@pytest.mark.parametrize(
    "given", ["https://127.0.0.1:1234", "https://127.0.0.1:1234/", "https://127.0.0.1:1234/example.org"]
)
def test_an_authority_of_ones_own_gets_the_tenant_once(given: str) -> None:
    entra = {"tenant_id": "example.org", "client_id": CLIENT, "client_secret": "s", "authority_url": given}

    settings = Settings.model_validate(tree(entra=entra))

    assert settings.entra is not None
    assert settings.entra.authority == "https://127.0.0.1:1234/example.org"


@pytest.mark.parametrize("alias", ["", "Dispatch", "a b", "a.b", "a_b", "ä", "x" * 65, *sorted(RESERVED_ALIASES)])
def test_an_alias_that_no_queue_can_carry_is_refused(alias: str) -> None:
    with pytest.raises(ValidationError):
        mailbox(alias=alias)


def test_two_mailboxes_with_one_alias_or_address_are_refused() -> None:
    both = [{"alias": "a", "address": "a@example.org"}, {"alias": "a", "address": "A@Example.org"}]

    text = messages(tree(mailboxes=both))

    assert "mailboxes.1.alias is the same as that of mailboxes[0]" in text
    assert "mailboxes.1.address is the same as that of mailboxes[0]" in text


@pytest.mark.parametrize(
    "address", ["", "a", "@b", "a@", "A <a@b.c>", "a@b@c", "a b@c.d", "a@b.c\r\nX: y", "a@b.c,d@e.f"]
)
def test_what_is_no_plain_address_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        mailbox(address=address)


@pytest.mark.parametrize("way", ["", "delete", "move:", "move: ", "move", "Deleted_items", "soft_delete:x"])
def test_an_unknown_way_to_remove_is_refused(way: str) -> None:
    with pytest.raises(ValidationError):
        mailbox(after_publish=way)


def test_a_move_names_its_folder() -> None:
    assert mailbox(after_publish="move: Done ").move_to == "Done"
    assert mailbox().move_to is None


def test_mail_cannot_be_moved_into_a_folder_that_it_is_taken_from() -> None:
    with pytest.raises(ValidationError, match="published for ever"):
        mailbox(folders=["inbox", "Pages"], after_publish="move:pages")


@pytest.mark.parametrize("folders", [[], ["inbox", "Inbox"], ["deleteditems"], ["sentitems"]])
def test_folders_that_are_no_place_for_arriving_mail_are_refused(folders: list[str]) -> None:
    with pytest.raises(ValidationError):
        mailbox(folders=folders)


@pytest.mark.parametrize("rate", [0, -1, 1.5, "lots"])
def test_a_rate_is_a_number_or_unlimited(rate: object) -> None:
    with pytest.raises(ValidationError):
        mailbox(send_rate_per_minute=rate)


def test_a_password_beside_oauth_is_refused_and_a_blank_one_is_not() -> None:
    assert "where the password stays blank" in messages(
        tree(mailboxes=[{"alias": "a", "address": "a@example.org", "password": "secret"}])
    )
    Settings.model_validate(
        tree(mailboxes=[{"alias": "a", "address": "a@example.org", "password": "", "username": ""}])
    )


@pytest.mark.parametrize("auth", ["basic", "ntlm"])
@pytest.mark.parametrize(
    "url",
    [
        "https://outlook.office365.com/EWS/Exchange.asmx",
        "https://OUTLOOK.office365.com./EWS/Exchange.asmx",
        "https://outlook.office365.us/EWS/Exchange.asmx",
        "https://partner.outlook.cn/EWS/Exchange.asmx",
        "https://webmail.apps.mil/EWS/Exchange.asmx",
        None,
    ],
)
def test_passwords_are_refused_for_microsofts_hosts(auth: str, url: str | None) -> None:
    ews = {"auth": auth} | ({"url": url} if url else {})

    assert "Exchange Online takes no passwords" in messages(tree(ews=ews))


def test_on_premises_needs_a_name_and_a_password_for_each_mailbox_and_no_entra() -> None:
    data = tree(ews={"auth": "ntlm", "url": "https://mail.example.org/EWS/Exchange.asmx"})
    del data["entra"]

    text = messages(data)

    assert "mailboxes.0.username is missing" in text
    assert "mailboxes.0.password is missing" in text
    data["mailboxes"][0] |= {"username": "EXAMPLE\\a", "password": "secret"}
    assert Settings.model_validate(data).entra is None


def test_oauth_needs_entra() -> None:
    data = tree()
    del data["entra"]

    assert "entra is missing" in messages(data)


@pytest.mark.parametrize(
    "url",
    ["http://host/EWS/Exchange.asmx", "ftp://host/x", "host/EWS/Exchange.asmx", "https://host", "https://host:99999/x",
     "https://user:password@host/x", "https://host/x?y=z", ""],
)  # fmt: skip
def test_an_ews_url_without_tls_path_or_sense_is_refused(url: str) -> None:
    messages(tree(ews={"url": url}))


@pytest.mark.parametrize(
    "urls",
    [[], [""], ["http://h"], ["amqp://"], ["amqp://u:p#w@h/"], ["amqp://a", "amqps://b"], ["amqp://h:123456"]],
)
def test_a_broker_url_that_cannot_work_is_refused(urls: list[str]) -> None:
    with pytest.raises(ValidationError):
        RabbitMqSettings.model_validate({"urls": urls})


@pytest.mark.parametrize("listen", ["", "9464", ":9464", "127.0.0.1", "host:99999", "http://x:1", "::1:9464"])
def test_an_address_that_cannot_be_listened_on_is_refused(listen: str) -> None:
    with pytest.raises(ValidationError):
        HttpSettings(listen=listen)


def test_an_address_to_listen_on_has_host_and_port() -> None:
    assert (HttpSettings(listen="[::1]:0").host, HttpSettings(listen="[::1]:0").port) == ("::1", 0)
    assert HttpSettings(listen="0.0.0.0:9464").host == "0.0.0.0"  # noqa: S104 - only parsed


@pytest.mark.parametrize("tenant", ["common", "organizations", "consumers", "", "contoso", '"example.org"', "a/b.c"])
def test_a_tenant_is_an_id_or_a_domain(tenant: str) -> None:
    messages(tree(entra={"tenant_id": tenant, "client_id": CLIENT, "client_secret": "s"}))


def test_no_secret_shows_in_a_repr() -> None:
    settings = Settings.model_validate(
        tree(
            entra={"tenant_id": "example.org", "client_id": CLIENT, "client_secret": "mArKeR"},
            rabbitmq={"urls": ["amqp://mArKeR:mArKeR@broker"]},
        )
    )

    assert "mArKeR" not in repr(settings)
    assert "mArKeR" not in settings.model_dump_json()
