"""
The files below `schemas/`, generated from the models: JSON Schemas, the AsyncAPI document, and examples.

`schemas/released/` holds the schemas of the last release; `compatibility` compares with them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bridge.attribute_docs import DescribingSchema
from bridge.wire import asyncapi, compatibility, event_v1, examples, inbound_v1, outbound_v1

if TYPE_CHECKING:
    from pydantic import BaseModel

FOLDER = Path("schemas")
RELEASED = FOLDER / "released"
ASYNCAPI_FILE = FOLDER / "asyncapi.json"

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
# The address answers nothing; schemas refer to one another by it, and it never changes for a version.
_BASE = "https://exchange-mail-bridge.invalid/schemas/"

PAYLOADS: dict[str, type[BaseModel]] = {
    inbound_v1.NAME: inbound_v1.InboundMail,
    outbound_v1.NAME: outbound_v1.OutboundRequest,
    event_v1.NAME: event_v1.MailEvent,
}
REQUESTS = frozenset((outbound_v1.NAME,))
"""What others write and the bridge reads; the rest is written by the bridge."""


def schema_file(name: str) -> str:
    """Return the file name of a payload's schema."""
    return f"{name}.schema.json"


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a payload."""
    mode: Literal["validation", "serialization"] = "validation" if name in REQUESTS else "serialization"
    generated = PAYLOADS[name].model_json_schema(by_alias=True, mode=mode, schema_generator=DescribingSchema)
    _without_titles(generated, top=True)
    shown = [json.loads(text) for key, text in sorted(examples.texts().items()) if key.startswith(f"{name}.")]
    return {"$schema": _DIALECT, "$id": _BASE + schema_file(name), **generated, "examples": shown[:1]}


def _without_titles(node: Any, *, top: bool = False) -> None:  # noqa: ANN401 - any JSON
    """Take out pydantic's titles, which only repeat the keys, and leave the payload's own."""
    if isinstance(node, dict):
        if not top and isinstance(node.get("title"), str):
            del node["title"]
        for child in node.values():
            _without_titles(child)
    elif isinstance(node, list):
        for child in node:
            _without_titles(child)


def files(root: Path) -> dict[Path, str]:
    """Return what each generated file below a checkout should hold."""
    found = {root / FOLDER / schema_file(name): _text(schema(name)) for name in PAYLOADS}
    found[root / ASYNCAPI_FILE] = _text(asyncapi.document({name: schema_file(name) for name in PAYLOADS}))
    for name, text in examples.texts().items():
        found[root / FOLDER / "examples" / name] = text
    return found


def write(root: Path) -> list[Path]:
    """Write the generated files below a checkout; return those that changed. The released ones are never touched."""
    changed = _stale(root)
    for path, text in files(root).items():
        if path in changed:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    return changed


def check(root: Path) -> list[str]:
    """
    Return what is wrong, one line each: files that do not fit the code, and changes that would break somebody.

    A payload that has a released schema may only change as `compatibility` allows.
    """
    problems = [str(path) for path in _stale(root)]
    for name in PAYLOADS:
        released = root / RELEASED / schema_file(name)
        if released.is_file():
            old = json.loads(released.read_text("utf-8"))
            compare = compatibility.breaks_writers if name in REQUESTS else compatibility.breaks_readers
            problems += [f"{released}: {problem}" for problem in compare(old, schema(name))]
        else:
            problems.append(f"{released}: there is no released schema to compare with")
    return problems


def release(root: Path) -> list[Path]:
    """Make the present schemas the released ones, at a release and never between; return the files."""
    written = []
    for name in PAYLOADS:
        path = root / RELEASED / schema_file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_text(schema(name)), "utf-8")
        written.append(path)
    return written


def _stale(root: Path) -> list[Path]:
    return [path for path, text in files(root).items() if not path.is_file() or path.read_text("utf-8") != text]


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
