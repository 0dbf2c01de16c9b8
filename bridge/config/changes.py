"""What is different between two configurations, and what of it a running worker can take up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from bridge.config.given import dotted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.config.settings import Settings
    from bridge.config.toml_file import Key

_AT_RUN_TIME: Final = re.compile(
    r"""
    entra\.([a-z0-9-]+\.)?(
        client_secret(_next)?(_file|_expires_at)?
        | certificate(_next)?_(file|key_file|passphrase|passphrase_file)
        | federated_token_file
        | managed_identity(_client_id)?
        | credential_probe_seconds
    )
    | mailboxes\[\d+\]\.(send_rate_per_minute|recipients_per_day|password(_file)?)
    | log\.(level|format)
    """,
    re.VERBOSE,
)
_FROM_A_FILE: Final = {
    "rabbitmq.urls": "rabbitmq.urls_file",
    "rabbitmq.client_key_passphrase": "rabbitmq.client_key_passphrase_file",
}
"""What the broker's connections read for themselves, from this file."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Keys whose values differ, as `mailboxes[0].alias`; never the values."""

    applied: tuple[str, ...]
    needs_restart: tuple[str, ...]


def changes(old: Settings, new: Settings) -> Changes:
    """Return what differs."""
    before, after = dict(_leaves(old, ())), dict(_leaves(new, ()))
    if [one.alias for one in old.mailboxes] != [one.alias for one in new.mailboxes]:
        rest: tuple[str, ...] = ("mailboxes",)
        before = {key: value for key, value in before.items() if not key.startswith("mailboxes[")}
        after = {key: value for key, value in after.items() if not key.startswith("mailboxes[")}
    else:
        rest = ()
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    applied = tuple(key for key in keys if _at_run_time(key, before, after))
    return Changes(applied, (*rest, *(key for key in keys if key not in applied)))


def _at_run_time(key: str, before: dict[str, Any], after: dict[str, Any]) -> bool:
    file = _FROM_A_FILE.get(key)
    if file is not None:
        return before.get(file) is not None and before.get(file) == after.get(file)
    if key not in before or key not in after:
        return False
    if key.endswith((".send_rate_per_minute", ".recipients_per_day")) and "unlimited" in {before[key], after[key]}:
        return False  # how many requests are held depends on there being a limit
    return _AT_RUN_TIME.fullmatch(key) is not None


def _leaves(section: BaseModel, at: Key) -> Iterator[tuple[str, Any]]:
    for name, value in [*section, *(section.__pydantic_extra__ or {}).items()]:
        key = (*at, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, key)
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            for index, entry in enumerate(value):
                yield from _leaves(entry, (*key, index))
        else:
            yield dotted(key), value
