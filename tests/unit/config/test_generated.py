"""What is generated from the settings, the example, and what `config show` shows."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema_rs
import pytest

from bridge.config import Settings, load, schema
from bridge.config.shape import section_of
from bridge.config.show import MASK, masked, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "deploy" / "bridge.example.toml"


def keys_of_the_model() -> Iterator[tuple[str, str]]:
    for name, info in Settings.model_fields.items():
        section = section_of(info.annotation)
        assert section is not None, name
        yield from ((name, key) for key in section.model_fields)


def keys_of_the_example() -> Iterator[tuple[str, str]]:
    section = ""
    for line in EXAMPLE.read_text().splitlines():
        if header := re.match(r"(?:# )?\[\[?(\w+)\]\]?", line):
            section = header[1]
        elif key := re.match(r"(?:# )?(\w+) = ", line):
            yield section, key[1]


def test_the_example_loads() -> None:
    loaded = load(EXAMPLE, {"BRIDGE_ENTRA__CLIENT_SECRET": "s"})

    assert loaded.settings.mailboxes[0].alias == "dispatch"


def test_the_example_has_every_key_once_and_no_other() -> None:
    assert sorted(keys_of_the_example()) == sorted(keys_of_the_model())


def test_the_example_states_the_defaults_as_they_are() -> None:
    commented = re.sub(r"^# (?=\w+ = |\[\w+\] )", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    shown = tomllib.loads(commented)
    defaults = {name: section_of(info.annotation) for name, info in Settings.model_fields.items()}

    for name, section in defaults.items():
        assert section is not None
        table = shown[name][0] if name == "mailboxes" else shown[name]
        for key, info in section.model_fields.items():
            if not info.is_required() and info.default not in (None, ()):
                default = list(info.default) if isinstance(info.default, tuple) else info.default
                assert table[key] == default, (name, key)


def test_the_generated_files_fit_the_code() -> None:
    assert schema.check(ROOT) == []


def test_a_stale_file_is_noticed_and_written(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / schema.DOCS_FILE).write_text(
        "before\n<!-- generated: options -->\nold\n<!-- end of generated part -->\nafter"
    )

    assert len(schema.write(tmp_path)) == 2
    assert schema.check(tmp_path) == []
    page = (tmp_path / schema.DOCS_FILE).read_text()
    assert page.startswith("before\n")
    assert page.endswith("after")
    assert "BRIDGE_MAILBOXES__0__ALIAS" in page


@pytest.fixture(scope="module")
def validator() -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(json.loads(schema.schema_text()))


def test_an_independent_validator_accepts_the_example(validator: jsonschema_rs.Validator) -> None:
    validator.validate(json.loads(json.dumps(tomllib.loads(EXAMPLE.read_text()), default=str)))


@pytest.mark.parametrize("wrong", [{"entrra": {}}, {"log": {"level": "loud"}}, {"ingest": {"page_mails": 0}}])
def test_an_independent_validator_refuses_what_the_bridge_refuses(
    validator: jsonschema_rs.Validator, wrong: object
) -> None:
    assert not validator.is_valid(wrong)


def test_show_masks_secrets_and_names_origins(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mArKeR")
    secret.chmod(0o600)
    loaded = load(
        EXAMPLE,
        {
            "BRIDGE_ENTRA__CLIENT_SECRET_FILE": str(secret),
            "BRIDGE_RABBITMQ__URLS": "amqp://u:mArKeR@h:1/v,amqp://i/",
        },
    )

    table = {row.key: row for row in rows(loaded)}

    assert table["entra.client_secret"].value == MASK
    assert table["entra.client_secret"].origin == f"{secret}, named by BRIDGE_ENTRA__CLIENT_SECRET_FILE"
    assert table["rabbitmq.urls"].value == [f"amqp://{MASK}@h:1/v", "amqp://i/"]
    assert table["http.listen"].origin == "default"
    assert "mArKeR" not in json.dumps([row.as_fields() for row in table.values()])


def test_a_mask_does_not_tell_the_length() -> None:
    assert masked("a") == masked("a" * 100)
    assert masked("amqps://u:p@h/v?x=secret") == f"amqps://{MASK}@h/v?..."
