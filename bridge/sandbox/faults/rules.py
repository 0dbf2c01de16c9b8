"""Rules that say which calls a fault strikes, and the book that keeps them and counts how often each fired."""

from __future__ import annotations

import json
import random
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bridge.sandbox.faults.errors import FaultRuleError
from bridge.sandbox.faults.kinds import ITEM_STAGES, KINDS, Stage, read_fault
from bridge.sandbox.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_RULE_KEYS = ("name", "match", "fault", "times", "seed")
# What `GET` adds to a rule; a list that was read, changed and put back is welcome.
_REPORTED_KEYS = frozenset({"seen", "fired"})
_MATCH_KEYS = ("service", "operation", "mailbox", "folder", "item", "probability", "nth")
# A connection is made before anybody says what for.
_CONNECTION_KEYS = ("service", "probability", "nth")
SERVICES = ("ews", "entra")
"""The HTTPS servers that rules may tell apart."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a rule can match: one call, as far as its request says."""

    operation: str
    mailbox: str | None = None
    folders: frozenset[str] = frozenset()
    """Ids and distinguished names of the folders that the call names, and of those that hold the items it names."""
    service: str | None = None
    """Which server is called: one of SERVICES."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that strikes now; its parameters are those of this one strike."""

    kind: str
    parameters: dict[str, Any]

    @property
    def stage(self) -> Stage:
        """Return where in a call the fault strikes."""
        return KINDS[self.kind].stage


@dataclass(slots=True)
class Rule:
    """One rule, with the counts since it was put."""

    kind: str
    parameters: dict[str, Any]
    service: str | None = None
    operations: frozenset[str] | None = None
    mailbox: str | None = None
    folder: str | None = None
    item: frozenset[int] | None = None
    nth: frozenset[int] | None = None
    probability: float = 1.0
    times: int | None = None
    seed: int = 0
    given: dict[str, Any] = field(default_factory=dict)
    seen: int = 0
    """Calls that matched by service, operation, mailbox and folder; or connections that did by service."""
    fired: int = 0

    def stage(self) -> Stage:
        """Return where in a call the fault strikes."""
        return KINDS[self.kind].stage

    def concerns(self, call: Call) -> bool:
        """Return whether the call is of the kind that the rule speaks of."""
        return (
            (self.service is None or call.service == self.service)
            and (self.operations is None or call.operation in self.operations)
            and (self.mailbox is None or (call.mailbox is not None and call.mailbox.lower() == self.mailbox))
            and (self.folder is None or self.folder in call.folders)
        )

    def due(self) -> bool:
        """Return whether the call that was just counted is struck, as far as its number says."""
        return not self.spent() and (self.nth is None or self.seen in self.nth)

    def spent(self) -> bool:
        """Return whether the rule has fired as often as it may."""
        return self.times is not None and self.fired >= self.times

    def drawn(self, item: int = 0) -> bool:
        """Throw the dice for the call that was just counted, or for an item of it."""
        return self.probability >= 1 or self._dice(f"call {self.seen} item {item}").random() < self.probability

    def fault(self) -> Fault:
        """Count one more strike and return it."""
        self.fired += 1
        draw = KINDS[self.kind].draw
        drawn = self.parameters if draw is None else draw(self.parameters, self._dice(f"strike {self.fired}"))
        return Fault(self.kind, drawn)

    def _dice(self, throw: str) -> random.Random:
        # Each throw by the counts, which are kept: the same rule strikes the same calls in the same way, whether or
        # not the sandbox was killed in between. The name lets two rules with one seed differ.
        seed = f"{self.seed}/{self.kind}/{self.given.get('name')}/{throw}"
        return random.Random(seed)  # noqa: S311 - repeatable, not secret

    def report(self) -> dict[str, Any]:
        """Return the rule as it was given, with its counts."""
        return {**self.given, "seen": self.seen, "fired": self.fired}


class Strikes:
    """What strikes one call. Made when the call begins; item faults are asked for item by item."""

    def __init__(
        self,
        before: Sequence[Fault],
        after: Sequence[Fault],
        items: Callable[[int], Fault | None],
        stream: Sequence[Fault] = (),
    ) -> None:
        """Hold what was decided for the call."""
        self.before = before
        self.after = after
        self.stream = stream
        self._items = items

    def item(self, number: int) -> Fault | None:
        """Return what strikes the item of that number (from 1, as the request names them), or None."""
        return self._items(number)


class FaultBook:
    """All rules, in order; the first that strikes an item wins, whole-call faults add up. Safe from any thread."""

    def __init__(self, path: Path) -> None:
        """Take the rules and counts kept under `path`."""
        self._path = path
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        if path.exists():
            self._rules = [_read_rule(entry, number) for number, entry in enumerate(json.loads(path.read_bytes()))]

    def report(self) -> list[dict[str, Any]]:
        """Return every rule with its counts."""
        with self._lock:
            return [rule.report() for rule in self._rules]

    def put(self, rules: object) -> None:
        """
        Replace all rules; counts begin anew.

        Raises:
            FaultRuleError: One of them makes no sense; the old rules stay.
        """
        if not isinstance(rules, list):
            raise FaultRuleError("(body)", "is not a list of rules", _RULE_KEYS)
        read = [_read_rule(entry, number) for number, entry in enumerate(rules)]
        for rule in read:
            rule.seen = rule.fired = 0
        with self._lock:
            self._rules = read
            self._keep()

    def add(self, rule: object) -> None:
        """
        Put one rule behind the others, in the place of the one of its name where there is one; the others count on.

        Raises:
            FaultRuleError: It makes no sense, or has no name; nothing changed.
        """
        read = _read_rule(rule, 0)
        name = read.given.get("name")
        if not isinstance(name, str) or not name:
            raise FaultRuleError("name", "is missing: a rule of its own needs one")
        read.seen = read.fired = 0
        with self._lock:
            self._rules = [one for one in self._rules if one.given.get("name") != name] + [read]
            self._keep()

    def remove(self, name: str) -> bool:
        """Take the rules of a name away, and tell whether there was one; the others count on."""
        with self._lock:
            kept = [rule for rule in self._rules if rule.given.get("name") != name]
            found = len(kept) < len(self._rules)
            self._rules = kept
            self._keep()
        return found

    def begin(self, call: Call) -> Strikes:
        """Decide what strikes a call that begins now."""
        with self._lock:
            if not self._rules:
                return _NOTHING
            struck: list[Rule] = []
            by_stage: dict[Stage, list[Fault]] = {stage: [] for stage in Stage}
            for rule in self._seen(call, connection=False):
                if rule.stage() in ITEM_STAGES:
                    struck.append(rule)
                elif rule.drawn():
                    by_stage[rule.stage()].append(rule.fault())
        return Strikes(
            by_stage[Stage.BEFORE],
            by_stage[Stage.AFTER],
            lambda number: self._strike_item(struck, number),
            by_stage[Stage.STREAM],
        )

    def connect(self, service: str) -> Fault | None:
        """Decide what strikes a connection that is made now to one of SERVICES; the first rule that does wins."""
        with self._lock:
            if not self._rules:
                return None
            struck: Fault | None = None
            for rule in self._seen(Call("", service=service), connection=True):
                if struck is None and rule.drawn():
                    struck = rule.fault()
        return struck

    def _seen(self, call: Call, *, connection: bool) -> Iterator[Rule]:
        """Count a call, or a connection, at all rules that it concerns, and give those that may strike it."""
        counted = False
        for rule in self._rules:
            if (rule.stage() is Stage.CONNECTION) is connection and rule.concerns(call):
                rule.seen += 1
                counted = True
                if rule.due():
                    yield rule
        if counted:
            self._keep()

    def _strike_item(self, rules: Sequence[Rule], number: int) -> Fault | None:
        with self._lock:
            for rule in rules:
                if (rule.item is None or number in rule.item) and not rule.spent() and rule.drawn(number):
                    fault = rule.fault()
                    self._keep()
                    return fault
        return None

    def _keep(self) -> None:
        # Not synced to the disk: it must survive a killed process, not a power cut, and it happens within calls.
        write_atomically(self._path, json.dumps([rule.report() for rule in self._rules]).encode(), sync=False)


_NOTHING = Strikes((), (), lambda _number: None)


def _read_rule(given: object, number: int) -> Rule:
    if not isinstance(given, dict):
        raise FaultRuleError(f"rule {number}", "is not an object", _RULE_KEYS)
    for key in given:
        if key not in _RULE_KEYS and key not in _REPORTED_KEYS:
            raise FaultRuleError(str(key), "is unknown", _RULE_KEYS)
    if "fault" not in given:
        raise FaultRuleError("fault", "is missing", KINDS)
    kind, parameters = read_fault(given["fault"])
    match = given.get("match", {})
    if not isinstance(match, dict):
        raise FaultRuleError("match", "is not an object", _MATCH_KEYS)
    for key in match:
        if key not in _MATCH_KEYS:
            raise FaultRuleError(f"match.{key}", "is unknown", _MATCH_KEYS)
        if KINDS[kind].stage is Stage.CONNECTION and key not in _CONNECTION_KEYS:
            raise FaultRuleError(f"match.{key}", f"does not go with {kind}, a fault of connections", _CONNECTION_KEYS)
    rule = Rule(
        kind,
        parameters,
        service=_service(match),
        operations=_texts(match, "operation"),
        mailbox=_text(match, "mailbox", lower=True),
        folder=_text(match, "folder"),
        item=_numbers(match, "item"),
        nth=_numbers(match, "nth"),
        probability=_probability(match),
        times=_optional_count(given, "times", lowest=1),
        seed=_optional_count(given, "seed", lowest=0) or 0,
        given={key: value for key, value in given.items() if key in _RULE_KEYS},
        seen=_optional_count(given, "seen", lowest=0) or 0,
        fired=_optional_count(given, "fired", lowest=0) or 0,
    )
    if rule.item is not None and rule.stage() not in ITEM_STAGES:
        whole_items = [name for name, entry in KINDS.items() if entry.stage in ITEM_STAGES]
        raise FaultRuleError("match.item", f"goes with a fault of single items, not with {kind}", whole_items)
    return rule


def _service(match: dict[str, Any]) -> str | None:
    value = match.get("service")
    if value is not None and value not in SERVICES:
        raise FaultRuleError("match.service", "is none that rules tell apart", SERVICES)
    return value


def _texts(match: dict[str, Any], key: str) -> frozenset[str] | None:
    value = match.get(key)
    if value is None:
        return None
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(entry, str) and entry for entry in values):
        raise FaultRuleError(f"match.{key}", "is neither a name nor a list of names")
    return frozenset(values)


def _text(match: dict[str, Any], key: str, *, lower: bool = False) -> str | None:
    value = match.get(key)
    if value is not None and (not isinstance(value, str) or not value):
        raise FaultRuleError(f"match.{key}", "is not a text")
    return value.lower() if value is not None and lower else value


def _numbers(match: dict[str, Any], key: str) -> frozenset[int] | None:
    value = match.get(key)
    if value is None:
        return None
    values = value if isinstance(value, list) else [value]
    if not values or not all(type(entry) is int and entry >= 1 for entry in values):
        raise FaultRuleError(f"match.{key}", "is neither a number from 1 nor a list of such")
    return frozenset(values)


def _probability(match: dict[str, Any]) -> float:
    value = match.get("probability", 1)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise FaultRuleError("match.probability", "is not a number from 0 to 1")
    return float(value)


def _optional_count(given: dict[str, Any], key: str, *, lowest: int) -> int | None:
    value = given.get(key)
    if value is not None and (type(value) is not int or value < lowest):
        raise FaultRuleError(key, f"is not a whole number from {lowest}")
    return value
