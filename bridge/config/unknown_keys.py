"""Keys that nobody knows are refused with what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bridge.config.settings import Settings
from bridge.config.shape import section_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

    from bridge.config.given import Given
    from bridge.config.toml_file import Key

_ONE_WAY_IN = "is not available yet: this version signs in with a client secret only"
NOT_YET = {
    "entra": dict.fromkeys(
        (
            "certificate_file",
            "certificate_password",
            "certificate_password_file",
            "private_key_file",
            "federated_token_file",
            "managed_identity",
            "client_secret_next",
            "client_secret_next_file",
            "client_secret_expires_at",
        ),
        _ONE_WAY_IN,
    ),
    "": {"blobs": "is not available yet: this version carries mail up to the broker's largest body"},
}
"""Keys of later versions; who sets one is told so, rather than that it is unknown."""

OTHER_NAMES = {
    "application_id": "client_id", "app_id": "client_id", "directory_id": "tenant_id", "secret": "client_secret",
    "client_secret_value": "client_secret", "email": "address", "email_address": "address", "name": "alias",
    "password": "client_secret", "host": "urls", "hostname": "urls", "certificate": "certificate_file",
}  # fmt: skip
"""What other products call these settings."""


def refuse_unknown(given: Given, model: type[BaseModel], tree: Mapping[str, Any], at: Key = ()) -> None:
    """Complain about each key that the model does not have, wherever it stands."""
    for name, value in tree.items():
        key = (*at, name)
        info = model.model_fields.get(name)
        if info is None:
            given.complain(key, *_unknown(name, model, at))
            continue
        inner = section_of(info.annotation)
        if inner is None:
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, Mapping):
                refuse_unknown(given, inner, child, key if index is None else (*key, index))


def _unknown(name: str, model: type[BaseModel], at: Key) -> tuple[str, str]:
    section = str(at[0]) if at else ""
    if name in NOT_YET.get(section, {}):
        return NOT_YET[section][name], "remove it"
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
