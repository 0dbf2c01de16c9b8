"""How an app proves who it is: exactly one way, complete, and with values in their right places."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.config.rules import Wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import SecretStr

    from bridge.config.entra import EntraAppSettings

_WHOLES = {
    ("client_secret", "client_secret_file"): ("client_secret_expires_at",),
    ("client_secret_next", "client_secret_next_file"): ("client_secret_next_expires_at",),
    ("certificate_file",): ("certificate_key_file", "certificate_passphrase", "certificate_passphrase_file"),
    ("certificate_next_file",): (
        "certificate_next_key_file",
        "certificate_next_passphrase",
        "certificate_next_passphrase_file",
    ),
}
_ONE = "keep one of client_secret_file, certificate_file, federated_token_file and managed_identity"


def credential_problems(app: EntraAppSettings) -> Iterator[Wrong]:
    """Yield what is wrong with the credential of an app and its ids."""
    forms = forms_given(app)
    if not forms:
        fix = "give client_secret_file, certificate_file, federated_token_file or managed_identity = true"
        yield Wrong("client_secret", "is missing: the app has no credential", fix, "setting_missing")
    for further in forms[1:]:
        yield Wrong(further, f"is a second form of credential beside {forms[0]}", _ONE)
    if "managed_identity" not in forms:
        for key, name in (("tenant_id", "Directory (tenant) ID"), ("client_id", "Application (client) ID")):
            if getattr(app, key) is None:
                fix = f"copy the {name} from the app's overview page in Entra"
                yield Wrong(key, "is missing", fix, "setting_missing")
        if app.managed_identity_client_id is not None:
            yield Wrong(
                "managed_identity_client_id", "is given without managed_identity", "set managed_identity = true"
            )
    yield from _parts_without_a_whole(app)
    yield from _mixed_up(app)


def forms_given(app: EntraAppSettings) -> list[str]:
    """Return the keys that give a form of credential."""
    forms = []
    if app.client_secret is not None or app.client_secret_file is not None:
        forms.append("client_secret" if app.client_secret_file is None else "client_secret_file")
    if app.certificate_file is not None:
        forms.append("certificate_file")
    if app.federated_token_file is not None:
        forms.append("federated_token_file")
    if app.managed_identity:
        forms.append("managed_identity")
    return forms


def _parts_without_a_whole(app: EntraAppSettings) -> Iterator[Wrong]:
    for whole, parts in _WHOLES.items():
        if all(getattr(app, key) is None for key in whole):
            for part in parts:
                if getattr(app, part) is not None:
                    yield Wrong(part, f"is given without {whole[-1]}", f"give {whole[-1]}, or remove it")
    next_secret = app.client_secret_next is not None or app.client_secret_next_file is not None
    if app.federated_token_file is not None or app.managed_identity:
        for part in ("client_secret_next", "client_secret_next_file", "certificate_next_file"):
            if getattr(app, part) is not None:
                yield Wrong(part, "is a second form of credential", _ONE)
    elif next_secret and app.certificate_next_file is not None:
        yield Wrong("certificate_next_file", "is given beside client_secret_next", "keep one of the two")


def _mixed_up(app: EntraAppSettings) -> Iterator[Wrong]:
    """Yield what was pasted into the wrong place, as far as its look tells."""
    ids = {name: value.lower() for name in ("tenant_id", "client_id") if (value := getattr(app, name)) is not None}
    if len(ids) == len(set(ids.values())) + 1:
        fix = "copy both from the app's overview page in Entra"
        yield Wrong("client_id", "is the same as tenant_id", fix, "setting_misplaced")
    for key in ("client_secret", "client_secret_next"):
        secret: SecretStr | None = getattr(app, key)
        for name, value in ids.items():
            if secret is not None and secret.get_secret_value().lower() == value:
                fix = "copy the Value of a client secret; no id works"
                yield Wrong(key, f"is the same as {name}", fix, "setting_misplaced")
                break
