"""Groups of recipients: mail to one reaches its members."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.sandbox.ews.behaviour import BehaviourSettings


def is_group(book: BehaviourSettings, address: str) -> bool:
    """Return whether an address is a group's."""
    return any(name.lower() == address.lower() for name in book.of_all("groups"))


def with_members(book: BehaviourSettings, recipients: Iterable[str]) -> list[str]:
    """Return the recipients with the members of groups in the place of the groups, however deep, each once."""
    groups = {name.lower(): members for name, members in book.of_all("groups").items()}
    found: dict[str, str] = {}
    waiting = list(reversed(list(recipients)))
    opened: set[str] = set()
    while waiting:
        one = waiting.pop()
        if one.lower() not in groups:
            found.setdefault(one.lower(), one)
        elif one.lower() not in opened:
            opened.add(one.lower())
            waiting.extend(reversed(groups[one.lower()]))
    return list(found.values())
