"""
What is generated from the settings: a JSON Schema for editors, and the table of options in `docs/configuration.md`.

Both are committed; `check` tells when they no longer fit the code.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.attribute_docs import DescribingSchema, attribute_docs
from bridge.config.given import variable_of
from bridge.config.settings import Settings
from bridge.config.shape import holds_secret, section_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

SCHEMA_FILE = Path("schemas/config.schema.json")
DOCS_FILE = Path("docs/configuration.md")
_BEGIN, _END = "<!-- generated: options -->", "<!-- end of generated part -->"


def schema_text() -> str:
    """Return the JSON Schema (2020-12) of the configuration file."""
    schema = Settings.model_json_schema(schema_generator=DescribingSchema)
    _as_written(schema)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://exchange-mail-bridge.invalid/schemas/config.schema.json",
        "title": "Configuration of the Exchange mail bridge",
    }
    # Secrets and broker addresses usually come from files or variables, so nothing is required of the file itself.
    return json.dumps({**head, **{k: v for k, v in schema.items() if k not in {"required", "title"}}}, indent=2) + "\n"


def _as_written(node: Any) -> None:  # noqa: ANN401 - any JSON
    """Take out what only the model knows: required keys that may come from elsewhere, titles that repeat the key."""
    if isinstance(node, dict):
        if "properties" in node:
            node.pop("required", None)
            for child in node["properties"].values():
                child.pop("title", None)
        node.pop("writeOnly", None)
        for child in node.values():
            _as_written(child)
    elif isinstance(node, list):
        for child in node:
            _as_written(child)


def options_table() -> str:
    """Return the table of every option, as Markdown."""
    parts = []
    for name, info in Settings.model_fields.items():
        section = section_of(info.annotation)
        if section is None:
            continue
        several = name == "mailboxes"
        parts.append(f"### [{'[' if several else ''}{name}]{']' if several else ''}\n\n{section.__doc__}\n")
        parts.append("| key | default | meaning | variable |\n| --- | --- | --- | --- |")
        parts.append("\n".join(_rows(name, section, several=several)) + "\n")
    return "\n".join(parts).rstrip() + "\n"


def _rows(name: str, section: type[BaseModel], *, several: bool) -> Iterator[str]:
    meanings = attribute_docs(section)
    for key, info in section.model_fields.items():
        variable = variable_of((name, 0, key) if several else (name, key))
        meaning = meanings.get(key, "").replace("\n", " ").replace("|", "\\|")
        yield f"| `{key}` | {_default(info)} | {meaning} | `{variable}` |"


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.default
    if value is None or value == ():
        return "none" if not holds_secret(info.annotation) else "none (secret)"
    return f"`{json.dumps(list(value) if isinstance(value, tuple) else value)}`"


def files(root: Path) -> dict[Path, str]:
    """Return what the generated files should hold; the hand-written parts of the page are kept."""
    page = (root / DOCS_FILE).read_text("utf-8")
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return {
        root / SCHEMA_FILE: schema_text(),
        root / DOCS_FILE: f"{before}{_BEGIN}\n\n{options_table()}\n{_END}{after}",
    }


def write(root: Path) -> list[Path]:
    """Write the generated files below a checkout; return those that changed."""
    changed = check(root)
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files(root)[path], "utf-8")
    return changed


def check(root: Path) -> list[Path]:
    """Return the generated files that no longer fit the code."""
    return [path for path, text in files(root).items() if not path.is_file() or path.read_text("utf-8") != text]
