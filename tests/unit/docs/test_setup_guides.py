"""The guides for administrators: every excerpt of a configuration loads, every key exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from bridge.config import load
from bridge.config.entra import EntraSettings
from bridge.config.rabbitmq import RabbitMqSettings
from bridge.config.settings import EwsSettings, MailboxSettings
from tests.support.app_certificate import AppCertificate

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGES = ("exchange-setup.md", "exchange-server.md")
EXCERPT = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
SECTIONS: dict[str, type[BaseModel]] = {
    "entra": EntraSettings,
    "ews": EwsSettings,
    "mailboxes": MailboxSettings,
    "rabbitmq": RabbitMqSettings,
}
REST = {
    "[entra": '[entra]\ntenant_id = "example.org"\nclient_id = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"\n'
    'client_secret_file = "/run/secrets/entra"\n',
    "[[mailboxes]]": '[[mailboxes]]\nalias = "desk"\naddress = "desk@example.org"\n',
    "[rabbitmq]": '[rabbitmq]\nurls_file = "/run/secrets/rabbitmq"\n',
}
LOGIN = REST["[[mailboxes]]"] + 'username = "desk"\npassword_file = "/run/secrets/desk"\n'
PASSPHRASE = "correct horse"


def excerpts() -> list[tuple[str, int, str]]:
    """Return each excerpt of a configuration with its page and its number there."""
    return [
        (page, number, text)
        for page in PAGES
        for number, text in enumerate(
            re.findall(r"^```toml\n(.*?)^```", (DOCS / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
        )
    ]


def whole(excerpt: str) -> str:
    """Return a whole configuration: the excerpt, and what is needed beside it where that is not shown."""
    on_premises = re.search(r'^auth = "(basic|ntlm)"', excerpt, re.MULTILINE) is not None
    rest = {**REST, "[[mailboxes]]": LOGIN} if on_premises else REST
    missing = [text for head, text in rest.items() if head not in excerpt and not (on_premises and head == "[entra")]
    return "\n".join([*missing, excerpt])


def with_files(text: str, directory: Path) -> str:
    """Return the text with each file that it names made below the directory, for nobody else to read."""
    certificate = AppCertificate()
    for name in re.findall(r'"(/[^"]+)"', text):
        content: str | bytes
        if name.endswith(".pfx"):
            content = certificate.pfx(PASSPHRASE)
        elif name.endswith(".key"):
            content = certificate.key_pem()
        elif name.endswith((".pem", ".crt")):
            content = certificate.pem + ("" if name.endswith(".crt") else certificate.key_pem())
        elif name.endswith("passphrase"):
            content = PASSPHRASE
        elif name.endswith("identity-token"):
            content = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJicmlkZ2UifQ.c2lnbmF0dXJl"
        elif name.endswith("rabbitmq"):
            content = "amqps://bridge:secret@rabbitmq.example.org:5671/mail"
        else:
            content = "abc8Q~" + "x" * 34
        file = directory / name.strip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return re.sub(r'"(/[^"]+)"', lambda found: f'"{directory}{found[1]}"', text)


@pytest.mark.parametrize(("page", "number", "excerpt"), excerpts(), ids=lambda value: str(value).partition("\n")[0])
def test_an_excerpt_of_the_configuration_loads(page: str, number: int, excerpt: str, tmp_path: Path) -> None:
    file = tmp_path / "bridge.toml"
    file.write_text(with_files(whole(excerpt), tmp_path))

    loaded = load(file, {})

    assert loaded.settings.mailboxes, (page, number)
    assert [str(warning) for warning in loaded.warnings] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_key_that_a_guide_names_exists(page: str) -> None:
    named = re.findall(r"`(entra|ews|mailboxes|rabbitmq)\.([a-z_]+)`", (DOCS / page).read_text("utf-8"))

    assert named
    assert [f"{section}.{key}" for section, key in named if not _exists(section, key)] == []


def _exists(section: str, key: str) -> bool:
    return key in SECTIONS[section].model_fields
