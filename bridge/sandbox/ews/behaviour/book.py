"""The settings: what each may be, what it is by default, what it is for a mailbox; kept in one file."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

_MB: Final = 1 << 20
_DAY_SECONDS: Final = 86_400
_TEN_YEARS: Final = 3650 * _DAY_SECONDS
_MOST: Final = 1 << 60


class SettingError(ValueError):
    """A setting that is unknown or makes no sense: which, why, and what is known in its place."""

    def __init__(self, key: str, reason: str, known: Iterable[str] = ()) -> None:
        """Refuse `key`."""
        super().__init__(f"{key} {reason}")
        self.key = key
        self.known = sorted(known)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: what it is where nobody says otherwise, what it may be, whether a mailbox may have its own."""

    default: Any
    check: Callable[[Any], bool]
    wanted: str
    of_mailboxes: bool = False


def _count(default: int | None, *, lowest: int = 1, none: bool = True, of_mailboxes: bool = True) -> Setting:
    def check(value: Any) -> bool:  # noqa: ANN401 - whatever JSON was sent
        return (none and value is None) or (type(value) is int and lowest <= value <= _MOST)

    wanted = f"a whole number from {lowest}" + (", or null for no limit" if none else "")
    return Setting(default, check, wanted, of_mailboxes)


def _seconds(default: float | None, *, none: bool = False, of_mailboxes: bool = False) -> Setting:
    def check(value: Any) -> bool:  # noqa: ANN401 - likewise
        return (none and value is None) or (type(value) in (int, float) and 0 <= value <= _DAY_SECONDS)

    wanted = f"a number of seconds from 0 to {_DAY_SECONDS}" + (", or null for no limit" if none else "")
    return Setting(default, check, wanted, of_mailboxes)


def _delay(default: float | None = 0, *, of_mailboxes: bool = True) -> Setting:
    """Return a setting of a wait that is the same for all, or spread between two bounds (`spread_seconds`)."""

    def check(value: Any) -> bool:  # noqa: ANN401 - likewise
        if value is None:
            return default is None
        bounds = value if isinstance(value, list) and len(value) == 2 else [value, value]
        return all(type(one) in (int, float) and 0 <= one <= _DAY_SECONDS for one in bounds) and bounds[0] <= bounds[1]

    wanted = f"a number of seconds from 0 to {_DAY_SECONDS}, or a list of the least and the most" + (
        ", or null for never" if default is None else ""
    )
    return Setting(default, check, wanted, of_mailboxes)


def _clock() -> Setting:
    wanted = f"a number of seconds from -{_TEN_YEARS} to {_TEN_YEARS}"
    return Setting(0, lambda value: type(value) in (int, float) and abs(value) <= _TEN_YEARS, wanted)


def _switch(*, default: bool, of_mailboxes: bool = True) -> Setting:
    return Setting(default, lambda value: type(value) is bool, "true or false", of_mailboxes)


def _one_of(*names: str | None, of_mailboxes: bool = False) -> Setting:
    wanted = "one of " + ", ".join("null" if name is None else name for name in names)
    return Setting(names[0], lambda value: value in names if value is None or type(value) is str else False, wanted,
                   of_mailboxes)  # fmt: skip


def _texts(value: Any) -> bool:  # noqa: ANN401 - likewise
    return isinstance(value, list) and all(isinstance(entry, str) and entry for entry in value)


def _is_choice_of_items(value: Any) -> bool:  # noqa: ANN401 - likewise
    if (
        not isinstance(value, dict)
        or not set(value) <= {"item_ids", "subjects"}
        or not all(map(_texts, value.values()))
    ):
        return False
    try:
        for pattern in value.get("subjects", []):
            re.compile(pattern)
    except re.error:
        return False
    return True


def _are_groups(value: Any) -> bool:  # noqa: ANN401 - likewise
    return isinstance(value, dict) and all("@" in name for name in value) and all(map(_texts, value.values()))


SETTINGS: Final[Mapping[str, Setting]] = {
    "realistic": _switch(default=False, of_mailboxes=False),
    "sends_per_minute": _count(30),
    "throttled_mail_waits_in": _one_of("outbox", "drafts", of_mailboxes=True),
    "recipients_per_day": _count(10_000),
    "recipients_per_message": _count(500),
    "sent_copy_delay_seconds": _delay(),
    "delivery_delay_seconds": _delay(),
    "duplicates_dropped_for_seconds": _seconds(0, of_mailboxes=True),
    "draft_touched_after_seconds": _delay(None),
    "mime_made_anew": _one_of(None, "on_delivery", "on_reading", of_mailboxes=True),
    "header_firewall": _switch(default=False),
    "sent_copy_keeps_named_properties": _switch(default=True),
    "replaces_message_id": _switch(default=False),
    "sent_draft_stays": _switch(default=False),
    "request_bytes": _count(64 * _MB, none=False, of_mailboxes=False),
    "send_bytes": _count(35 * _MB),
    "receive_bytes": _count(36 * _MB),
    "mailbox_bytes": _count(100 * 1024 * _MB, lowest=0),
    "conversion_refused": Setting({}, _is_choice_of_items, "an object of item_ids and subjects (regular expressions)"),
    "connections": _count(27),
    "connections_answer": _one_of("fault", "unavailable"),
    "calls_per_minute": _count(None),
    "calls_at_once": _count(300, none=False),
    "subscriptions": _count(20, none=False, of_mailboxes=False),
    "streaming_connections": _count(10, none=False, of_mailboxes=False),
    "subscriptions_per_stream": _count(200, none=False, of_mailboxes=False),
    "find_items": _count(1000, none=False, of_mailboxes=False),
    "find_items_restricted": _count(250, none=False, of_mailboxes=False),
    "named_properties_indexed": _switch(default=True, of_mailboxes=False),
    "search_delay_seconds": _delay(of_mailboxes=False),
    "find_seconds": _seconds(60, none=True),
    "batch_seconds": _seconds(60, none=True),
    "access_delay_seconds": _seconds(0),
    "ews_enabled": _switch(default=True),
    "allowed_app_ids": Setting(None, lambda value: value is None or _texts(value), "a list of app ids, or null"),
    "user_agent_policy": _one_of(None, "EnforceAllowList", "EnforceBlockList"),
    "user_agents": Setting([], _texts, "a list of user agents, * for any letters"),
    "exchange_clock_ahead_seconds": _clock(),
    "entra_clock_ahead_seconds": _clock(),
    "cloud": _one_of(None, "global", "us", "china"),
    "assertions_once": _switch(default=False, of_mailboxes=False),
    "groups": Setting({}, _are_groups, "an object of addresses, each with the list of its members"),
    "room_lists": Setting({}, _are_groups, "an object of addresses, each with the list of its rooms"),
    "back_ends": Setting(2, lambda value: type(value) is int and 1 <= value <= 64, "a whole number from 1 to 64"),
}
"""Every setting by name. `docs/sandbox.md` says what each does."""

REALISTIC: Final[Mapping[str, Any]] = {
    "delivery_delay_seconds": [0.2, 3],
    "duplicates_dropped_for_seconds": 3600,
    "draft_touched_after_seconds": [0.2, 20],
    "sent_copy_delay_seconds": [0.2, 3],
    "mime_made_anew": "on_reading",
    "header_firewall": True,
    "named_properties_indexed": False,
    "calls_per_minute": 600,
}
"""The defaults in place of those of `SETTINGS` where `realistic` is on: as unkind as Exchange is."""

MAILBOXES: Final = "mailboxes"
"""The key under which mailboxes have settings of their own."""


@dataclass(frozen=True, slots=True)
class Move:
    """How often a mailbox was moved to another back end, and when the last move ends (seconds since 1970)."""

    count: int
    until: float


class BehaviourSettings:
    """All settings and moves. Safe from any thread; every change is kept before `put` or `move` returns."""

    def __init__(self, path: Path | None = None, *, realistic: bool = False) -> None:
        """
        Take what is kept under `path`; without one, nothing outlives the process.

        `realistic` is what the setting of this name is where nobody says otherwise.
        """
        self._path = path
        self._realistic = realistic
        self._lock = threading.Lock()
        self._given: dict[str, Any] = {}
        self._mailboxes: dict[str, dict[str, Any]] = {}
        self._moves: dict[str, Move] = {}
        self._listeners: list[Callable[[], None]] = []
        if path is not None and path.exists():
            kept = json.loads(path.read_bytes())
            self._given, self._mailboxes = kept["settings"], kept["mailboxes"]
            self._moves = {address: Move(**move) for address, move in kept["moves"].items()}

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each change, on the thread that made it."""
        self._listeners.append(listener)

    def of_all(self, name: str) -> Any:  # noqa: ANN401 - as the setting's check says
        """Return a setting as it is for everybody."""
        given = self._given
        if name in given:
            return given[name]
        if name == "realistic":
            return self._realistic
        if name in REALISTIC and given.get("realistic", self._realistic):
            return REALISTIC[name]
        return SETTINGS[name].default

    def of(self, name: str, address: str) -> Any:  # noqa: ANN401 - as the setting's check says
        """Return a setting as it is for a mailbox."""
        own = self._mailboxes.get(address.lower())
        return own[name] if own is not None and name in own else self.of_all(name)

    def report(self) -> dict[str, Any]:
        """Return every setting, and under `mailboxes` those that a mailbox has of its own."""
        return {**{name: self.of_all(name) for name in SETTINGS}, MAILBOXES: self._mailboxes}

    def put(self, given: Mapping[str, Any]) -> None:
        """
        Change the settings that are named. A mailbox that is named has those settings of its own that are given,
        and no others.

        Raises:
            SettingError: One of them makes no sense; nothing was changed.
        """
        changed = {key: value for key, value in given.items() if key != MAILBOXES}
        for name, value in changed.items():
            _check(name, value, SETTINGS)
        mailboxes = given.get(MAILBOXES, {})
        if not isinstance(mailboxes, dict) or not all(isinstance(own, dict) for own in mailboxes.values()):
            raise SettingError(MAILBOXES, "is not an object of settings by address")
        for own in mailboxes.values():
            for name, value in own.items():
                _check(name, value, _OF_MAILBOXES)
        with self._lock:
            self._given = {**self._given, **changed}
            named = {address.lower(): own for address, own in mailboxes.items()}
            self._mailboxes = {address: own for address, own in {**self._mailboxes, **named}.items() if own}
            self._keep()
        self._notify()

    def moved(self, address: str) -> Move:
        """Return the moves of a mailbox so far."""
        return self._moves.get(address.lower(), Move(0, 0.0))

    def move(self, address: str, *, until: float) -> None:
        """Begin to move a mailbox to its next back end; it can be opened again at `until`."""
        with self._lock:
            before = self.moved(address)
            self._moves = {**self._moves, address.lower(): Move(before.count + 1, until)}
            self._keep()
        self._notify()

    def _keep(self) -> None:
        if self._path is None:
            return
        moves = {address: {"count": move.count, "until": move.until} for address, move in self._moves.items()}
        content = {"settings": self._given, "mailboxes": self._mailboxes, "moves": moves}
        write_atomically(self._path, json.dumps(content, indent=1).encode())

    def _notify(self) -> None:
        for listener in self._listeners:
            listener()


_OF_MAILBOXES: Final = {name: setting for name, setting in SETTINGS.items() if setting.of_mailboxes}


def _check(name: str, value: Any, known: Mapping[str, Setting]) -> None:  # noqa: ANN401 - whatever JSON was sent
    if name not in known:
        reason = "is not a setting of single mailboxes" if name in SETTINGS else "is unknown"
        raise SettingError(name, reason, known)
    if not known[name].check(value):
        raise SettingError(name, f"is not {known[name].wanted}")
