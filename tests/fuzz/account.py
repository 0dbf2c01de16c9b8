"""Every hostile mail by its bytes: delivered, arrived, parked. Filled from several threads."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import jsonschema_rs

from bridge.sandbox.store.remade import remade
from bridge.sandbox.trace import within
from bridge.wire import inbound_v1, schemas
from tests.chaos.deliveries import digest_of_content
from tests.support.sandbox import as_given

if TYPE_CHECKING:
    from tests.fuzz.mails import FuzzedMail

_AT = datetime(2026, 1, 1, tzinfo=UTC)
_ON_THE_WAY = (
    b"X-MS-Exchange-Organization-AuthAs: Anonymous\r\n"
    b"X-MS-Exchange-Organization-MessageDirectionality: Incoming\r\n" + within("sandbox", _AT)
)
"""What stands before a mail of a stranger where MIME is made anew; they count where fields are too many."""
_SHRUNK_FROM_BYTES, _SHRUNK_TO = 1 << 20, 1 / 20
_UNREAD = {"parser_failed", "parse_time_exceeded"}


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


@dataclass
class Account:
    """The figures, and a line for everything that should not be."""

    delivered: int = 0
    arrived: int = 0
    repeated: int = 0
    parked: int = 0
    """Found in the folder for them."""
    announced: Counter[str] = field(default_factory=Counter)
    """Mails that were said to be parked, by reason."""
    unread: Counter[str] = field(default_factory=Counter)
    """Mails of which only the bytes were published, by defect."""
    slowest_seconds: float = 0.0
    slowest: str = ""
    problems: list[str] = field(default_factory=list)
    realistic: bool = False
    """Whether Exchange makes MIME anew: what a mail says then is compared in the place of its bytes."""
    shrunk: Counter[str] = field(default_factory=Counter)
    """Mails found parked that the bridge has to take for cut off, as nearly all of them is gone once made anew."""

    def __post_init__(self) -> None:
        """Begin with nothing."""
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
        """By mailbox and bytes, or what the mail says: the number and name of each mail."""
        self._taken: dict[int, float] = {}
        """When the server had each mail."""
        self._last: dict[str, float] = defaultdict(float)
        """When a mailbox was last done with a mail."""
        self._seen: set[str] = set()
        self._validator = jsonschema_rs.validator_for(schemas.schema(inbound_v1.NAME), validate_formats=True)

    def expect(self, alias: str, mail: FuzzedMail, arrives_as: bytes) -> None:
        """Note a mail before it is delivered: it may arrive before the server has said yes."""
        digest = digest_of_content(remade(_ON_THE_WAY + arrives_as, at=_AT)) if self.realistic else _digest(arrives_as)
        with self._lock:
            self.delivered += 1
            name = f"mail {mail.number}, {len(arrives_as)} bytes: {mail.name}"
            self._waiting[alias, digest].append((mail.number, name))

    def taken(self, number: int) -> None:
        """Note that the server has a mail."""
        with self._lock:
            self._taken[number] = time.monotonic()

    def arrive(self, message_id: str, body: bytes) -> None:
        """Note a message of the queue."""
        now = time.monotonic()
        told = json.loads(body)
        alias, raw = told["mailbox"], base64.b64decode(told["raw"]["content"], validate=True)
        digest = digest_of_content(raw) if self.realistic else _digest(as_given(raw))
        valid = self._validator.is_valid(told)
        with self._lock:
            begun, self._last[alias] = self._last[alias], now
            if message_id in self._seen:
                self.repeated += 1
                return
            self._seen.add(message_id)
            waiting = self._waiting[alias, digest]
            if not waiting:
                self.problems.append(f"nobody sent what arrived as {message_id[:12]}, {len(raw)} bytes")
                return
            number, name = waiting.pop(0)
            self.arrived += 1
            if not valid:
                self.problems.append(f"does not fit the schema: {name}")
            if (told["raw"]["sha256"], told["raw"]["size"]) != (_digest(raw), len(raw)):
                self.problems.append(f"has the digest of other bytes: {name}")
            for defect in _UNREAD & set(told["defects"]):
                self.unread[defect] += 1
                self.problems.append(f"{defect}: {name}")
            seconds = now - max(begun, self._taken.pop(number, now))
            if seconds > self.slowest_seconds:
                self.slowest_seconds, self.slowest = seconds, name

    def hear(self, _message_id: str, body: bytes) -> None:
        """Note an event: a mailbox is done with a mail that is parked, too."""
        event = json.loads(body)
        if event["event"] == "inbound.parked":
            with self._lock:
                self.announced[event["code"]] += 1
                self._last[event["mailbox"]] = time.monotonic()

    def park(self, alias: str, raw: bytes) -> None:
        """Note a mail of the folder for parked ones, by the bytes that Exchange keeps of it."""
        made = remade(raw, at=_AT) if self.realistic else as_given(raw)
        digest = digest_of_content(made) if self.realistic else _digest(made)
        with self._lock:
            if len(raw) > _SHRUNK_FROM_BYTES and len(made) < len(raw) * _SHRUNK_TO:
                self.shrunk["mail_unreadable"] += 1
            waiting = self._waiting[alias, digest]
            if not waiting:
                self.problems.append(f"nobody sent what is parked, {len(raw)} bytes")
            else:
                waiting.pop(0)
                self.parked += 1

    @property
    def missing(self) -> int:
        """How many mails did not turn up."""
        with self._lock:
            return sum(map(len, self._waiting.values()))

    def missing_names(self) -> list[str]:
        """Return which."""
        with self._lock:
            return [f"lost, of {alias}: {name}" for (alias, _), left in self._waiting.items() for name, _ in left]
