"""The configuration in force, masked, with the origin of each value."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from bridge.config.given import dotted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.config.load import Loaded
    from bridge.config.settings import Settings
    from bridge.config.toml_file import Key

MASK = "********"
DEFAULT = "default"
UNSET = "(not set)"


@dataclass(frozen=True, slots=True)
class Row:
    """One option."""

    key: str
    value: object
    """As JSON has it, masked."""
    origin: str
    """`file:line`, the variable, or `default`."""

    @property
    def text(self) -> str:
        """Return the value for people."""
        if self.value is None:
            return UNSET
        return self.value if isinstance(self.value, str) else json.dumps(self.value)

    def as_fields(self) -> dict[str, object]:
        """Return it for JSON."""
        return {"key": self.key, "value": self.value, "origin": self.origin}


def rows(loaded: Loaded[Settings]) -> list[Row]:
    """Return every option in force."""
    origins = loaded.origins
    return [
        Row(dotted(key), _shown(value), origins.get(dotted(key), DEFAULT))
        for key, value in _leaves(loaded.settings, ())
    ]


def _leaves(section: BaseModel, at: Key) -> Iterator[tuple[Key, Any]]:
    for name in type(section).model_fields:
        value, key = getattr(section, name), (*at, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, key)
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            for index, entry in enumerate(value):
                yield from _leaves(entry, (*key, index))
        else:
            yield key, value
    for name, value in (section.__pydantic_extra__ or {}).items():
        if isinstance(value, BaseModel):
            yield from _leaves(value, (*at, name))


def _shown(value: object) -> object:
    if isinstance(value, SecretStr):
        return masked(value.get_secret_value())
    if isinstance(value, tuple):
        return [_shown(entry) for entry in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def masked(secret: str) -> str:
    """Return a URL without its user and password, anything else as asterisks that do not tell its length."""
    if "://" not in secret:
        return MASK
    parts = urlsplit(secret)
    host = parts.netloc.rpartition("@")[2]
    login = f"{MASK}@" if "@" in parts.netloc else ""
    return f"{parts.scheme}://{login}{host}{parts.path}{'?...' if parts.query else ''}"
