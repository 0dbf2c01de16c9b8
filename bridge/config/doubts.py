"""What may be right in a configuration, but rarely is."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from bridge.config import rules
from bridge.config.entra import DEFAULT_APP, forms_given
from bridge.config.given import dotted
from bridge.config.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic import SecretStr

    from bridge.config.entra import EntraAppSettings
    from bridge.config.given import Given
    from bridge.config.settings import Settings
    from bridge.config.toml_file import Key


def doubts(settings: Settings, given: Given, path: Path | None) -> Iterator[Problem]:
    """Yield a warning for each."""
    for at, app in _apps(settings):
        for key in ("client_secret", "client_secret_next"):
            secret: SecretStr | None = getattr(app, key)
            told = _about_secret(secret.get_secret_value()) if secret is not None else None
            if told is not None:
                yield Problem(dotted((*at, key)), given.place((*at, key)), *told)
        if forms_given(app) == ["managed_identity"] and app.client_id is not None:
            what = "is not used with managed_identity"
            fix = "remove it; a user-assigned identity is named by managed_identity_client_id"
            yield Problem(dotted((*at, "client_id")), given.place((*at, "client_id")), what, fix)
    yield from _unused_apps(settings, given)
    if path is not None and path.stat().st_mode & stat.S_IROTH:
        for place in sorted(given.from_file & set(_secrets(settings)), key=dotted):
            text = "stands in a file that every user of this machine may read"
            fix = f"chmod o-r {path}, or give {dotted(place)}_file"
            yield Problem(dotted(place), given.place(place), text, fix, "readable_by_everyone")


def _apps(settings: Settings) -> Iterator[tuple[Key, EntraAppSettings]]:
    for name, app in settings.entra.apps.items() if settings.entra is not None else ():
        yield (("entra",) if name == DEFAULT_APP else ("entra", name)), app


def _about_secret(value: str) -> tuple[str, str, str] | None:
    """Return what makes a client secret look wrong, the fix and the code."""
    if rules.is_guid(value):
        what = "has the form of an id: Entra shows a secret's ID beside its value, and only the value works"
        return what, "copy the Value; Entra shows it once, when the secret is made", "secret_id_given"
    if not value.isascii() or not value.isprintable() or " " in value:
        what = "has a character in it that Entra's secrets never have"
        return what, "copy the Value again, and nothing around it", "configuration_doubtful"
    return None


def _unused_apps(settings: Settings, given: Given) -> Iterator[Problem]:
    if settings.ews.auth == "oauth" and settings.entra is not None:
        for name in settings.entra.named:
            if name not in settings.apps_in_use and name != settings.rabbitmq.entra:
                key = ("entra", name)
                yield Problem(dotted(key), given.place(key), "is used by no mailbox", f'set entra = "{name}" in one')


def _secrets(settings: Settings) -> Iterator[Key]:
    """Yield the keys that hold something to hide."""
    names = ("client_secret", "client_secret_next", "certificate_passphrase", "certificate_next_passphrase")
    yield from ((*at, name) for at, _ in _apps(settings) for name in names)
    yield from (("mailboxes", index, "password") for index in range(len(settings.mailboxes)))
    yield "rabbitmq", "client_key_passphrase"
    if any("@" in url.get_secret_value() for url in settings.rabbitmq.urls):
        yield "rabbitmq", "urls"
