"""Keys that nobody knows are refused with what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bridge.config.settings import Settings
from bridge.config.shape import named_sections_of, section_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

    from bridge.config.given import Given
    from bridge.config.toml_file import Key

OTHER_NAMES = {
    "application_id": "client_id", "app_id": "client_id", "directory_id": "tenant_id", "secret": "client_secret",
    "client_secret_value": "client_secret", "email": "address", "email_address": "address", "name": "alias",
    "password": "client_secret", "host": "urls", "hostname": "urls", "certificate": "certificate_file",
    "certificate_password": "certificate_passphrase", "certificate_password_file": "certificate_passphrase_file",
    "pfx_file": "certificate_file", "private_key_file": "certificate_key_file", "key_file": "certificate_key_file",
    "use_managed_identity": "managed_identity", "identity_client_id": "managed_identity_client_id",
}  # fmt: skip
"""What other products call these settings."""


def refuse_unknown(given: Given, model: type[BaseModel], tree: Mapping[str, Any], at: Key = ()) -> None:
    """Complain about each key that the model does not have, wherever it stands."""
    for name, value in tree.items():
        key = (*at, name)
        info = model.model_fields.get(name)
        named = named_sections_of(model)
        if info is None and named is not None and isinstance(value, Mapping):
            refuse_unknown(given, named, value, key)
            continue
        if info is None:
            given.complain(key, *_unknown(name, model, at), "setting_unknown")
            continue
        inner = section_of(info.annotation)
        if inner is None:
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, Mapping):
                refuse_unknown(given, inner, child, key if index is None else (*key, index))


def _unknown(name: str, model: type[BaseModel], at: Key) -> tuple[str, str]:
    section = str(at[0]) if at else ""
    if name == "password" and section in {"entra", "ews"}:
        text = "has no place beside OAuth, where the password stays blank: the app signs in with entra.client_secret"
        return text, "remove it"
    known = list(model.model_fields)
    near = difflib.get_close_matches(name, known, 1, 0.7) or [o for o in [OTHER_NAMES.get(name, "")] if o in known]
    if near:
        return "is unknown", f"did you mean {near[0]}?"
    elsewhere = {field_name: path for path, field_name in _all_fields(Settings)}
    far = difflib.get_close_matches(name, elsewhere, 1, 0.8)
    if far:
        return "is unknown here", f"did you mean {elsewhere[far[0]]}?"
    near = difflib.get_close_matches(name, known, 1, 0.0) or known[:1]
    return "is unknown", f"the nearest is {near[0]}; known here: {', '.join(known)}"


def _all_fields(model: type[BaseModel], at: str = "") -> Iterator[tuple[str, str]]:
    for name, info in model.model_fields.items():
        path = f"{at}.{name}" if at else name
        yield path, name
        inner = section_of(info.annotation)
        if inner is not None:
            yield from _all_fields(inner, path)
