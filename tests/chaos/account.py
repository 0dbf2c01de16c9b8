"""Every mail and every request by identity: what became of it, told from outside the workers."""

from __future__ import annotations

import base64
import json
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pika

from tests.chaos.plant import ALIASES, CREW, address_of
from tests.chaos.repeats import Arrival, unexplained

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.chaos.deliveries import Deliveries
    from tests.chaos.plant import Plant
    from tests.chaos.repeats import Fault, Publish
    from tests.chaos.requests import Request

_PARKED = "Bridge Parked"
_TERMINAL = {"outbound.sent", "outbound.failed", "outbound.expired", "outbound.unknown"}


@dataclass
class Account:
    """The figures, and a line for everything that should not be."""

    mails: int = 0
    """Each 250 of SMTP, and what Exchange has besides, of which the answer was lost."""
    published: int = 0
    repeated: int = 0
    lost: int = 0
    parked: int = 0
    requests: int = 0
    sent: int = 0
    sent_twice: int = 0
    unknown: int = 0
    """Ended after three calls that send and had no answer: the worker was killed, or the call cut off, each time."""
    without_event: int = 0
    problems: list[str] = field(default_factory=list)
    event_bodies: list[bytes] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    parked_of: dict[str, int] = field(default_factory=dict)

    def take_inbound(self, plant: Plant, deliveries: Deliveries) -> None:
        """
        Compare what Exchange answered with 250 with what the queue holds, by mailbox and by the bytes.

        In a realistic world a mail that is there already is dropped, mails overtake each other on their way, and their
        MIME is made anew: what they say is compared there instead of their bytes.

        Exchange is asked only for what it may have taken besides: where it lost a mail, or the bridge had it destroy
        one, it does not know of it any more.
        """
        arrived: dict[tuple[str, str], set[str]] = defaultdict(set)
        order: dict[str, list[str]] = defaultdict(list)
        copies: Counter[str] = Counter()
        received: dict[str, dict[str, float]] = defaultdict(dict)
        for message_id, body in _drain(plant, "mail.inbound"):
            payload = json.loads(body)
            self.repeated += message_id in copies
            copies[message_id] += 1
            self.arrivals.append(Arrival(message_id, _seconds(payload["received_at"])))
            if payload["raw"] is None:
                self.problems.append(f"{payload['mailbox']}: a mail without its bytes, although none is bad")
                continue
            digest = deliveries.digest_of(_bytes_of(payload["raw"]))
            received[payload["mailbox"]][digest] = self.arrivals[-1].received_at
            arrived[payload["mailbox"], digest].add(message_id)
            order[payload["mailbox"]].append(digest)
        self.published = len(copies)
        for alias in ALIASES:
            self._judge_mailbox(plant, alias, deliveries, arrived)
            in_calm = [mail.digest for mail in deliveries.in_calm if mail.alias == alias]
            in_queue = [digest for digest in order[alias] if digest in set(in_calm)]
            wanted = in_calm
            if deliveries.realistic:  # mails overtake each other on their way: each once, by its time of receipt
                wanted = sorted(in_queue, key=received[alias].__getitem__)
            if in_queue != wanted or sorted(in_queue) != sorted(in_calm):
                self.problems.append(f"{alias}: mails out of order, or repeated, although nothing happened")
        known = {(mail.alias, mail.digest) for mail in deliveries.offered}
        for alias, digest in sorted(arrived.keys() - known):
            self.problems.append(f"{alias}: a mail that nobody sent to it, {digest[:12]}")

    def _judge_mailbox(
        self, plant: Plant, alias: str, deliveries: Deliveries, arrived: Mapping[tuple[str, str], set[str]]
    ) -> None:
        folders = Folders.of(plant, address_of(alias))
        self.parked_of[alias] = folders.parked.total()
        self.parked += folders.parked.total()
        for mail in deliveries.of(alias):
            name, published = mail.internet_message_id, len(arrived.get((alias, mail.digest), ()))
            left, removed, parked = folders.inbox[name], folders.removed[name], folders.parked[name]
            there = left + removed + parked
            count = max(deliveries.least(mail), there)
            self.mails += count
            if (missing := count - parked - published) > 0:
                self.lost += missing
                where = "still in the inbox" if left else "gone from the inbox"
                self.problems.append(f"lost: {missing} of {count} mails {mail.digest[:12]} of {alias}, {where}")
            if removed if plant.after_publish == "hard_delete" else there < deliveries.least(mail):
                self.problems.append(f"{alias}: {mail.digest[:12]} was not removed by {plant.after_publish}")
            if max(published, there) > deliveries.most(mail):
                self.problems.append(
                    f"{alias}: {mail.digest[:12]} may be there {deliveries.most(mail)} times, is there {there} "
                    f"times and published {published} times"
                )

    def judge_repeats(self, publishes: Mapping[str, Sequence[Publish]], faults: Sequence[Fault]) -> None:
        """A mail may arrive twice only where something happened to that very mail between the two."""
        self.problems += unexplained(self.arrivals, publishes, faults)

    def take_outbound(self, plant: Plant, requested: Mapping[str, Request]) -> None:
        """
        Compare what was asked for with what Exchange sent, and both with the events.

        What was sent is looked at where it arrived, and in Sent Items, byte by byte.
        """
        every = plant.sandbox.sends()
        sends = Counter(send["request_id"] for send in every)
        parked: dict[str, set[str]] = defaultdict(set)
        events: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
        unanswered: set[str] = set()
        for _, body in _drain(plant, "mail.events"):
            self.event_bodies.append(body)
            event = json.loads(body)
            if event["event"] in _TERMINAL:
                code = event["code"] or ""
                events[event["request_id"]].add((event["event"], event["event_id"], code))
                if event["event"] == "outbound.unknown" and "3 times" in event.get("detail", ""):
                    unanswered.add(event["request_id"])
            elif event["event"] == "inbound.parked":
                parked[event["mailbox"]].add(event["message_id"])
        for alias, count in self.parked_of.items():
            if count > len(parked[alias]):
                self.problems.append(f"{alias}: {count} mails are parked and {len(parked[alias])} were told")
        self._judge_content(plant, every, requested)
        self.requests = len(requested)
        self.sent = sum(1 for request_id in requested if sends[request_id])
        self.sent_twice = sum(max(0, sends[request_id] - 1) for request_id in requested)
        for request_id, request in requested.items():
            ends = sorted(events[request_id])
            if request_id in unanswered and len(ends) == 1 and sends[request_id] <= 1:
                self.unknown += 1
                continue
            self._judge(request_id, request.wanted, sends[request_id], ends)
        if strangers := sends.keys() - requested.keys():
            self.problems.append(f"sent without a request: {len(strangers)}")

    def _judge_content(
        self, plant: Plant, sends: Sequence[Mapping[str, Any]], requested: Mapping[str, Request]
    ) -> None:
        sent = {alias: _copies(plant, address_of(alias), "sentitems") for alias in ALIASES}
        arrived = _copies(plant, CREW, "inbox")
        known = {send["internet_message_id"] for send in sends}
        for send in sends:
            request_id, name = str(send["request_id"]), send["internet_message_id"]
            if (request := requested.get(request_id)) is None:
                continue
            if sorted(send["recipients"]) != sorted(request.recipients):
                self.problems.append(f"{request_id}: sent to others, {len(send['recipients'])} in all")
            copies = [copy for folder in (*sent.values(), arrived) for copy in folder.get(name, ())]
            for what in sorted({what for copy in copies for what in request.differs(copy)}):
                self.problems.append(f"{request_id}: {what}")
            if (count := len(arrived.get(name, ()))) != 1:
                self.problems.append(f"{request_id}: sent, and {count} times where it was sent to")
        if strangers := arrived.keys() - known:
            self.problems.append(f"{len(strangers)} mails arrived of which Exchange sent none")

    def judge_unknown(self) -> None:
        """Few requests meet three kills or cuts, each between the entry of a call and its answer."""
        if self.unknown > max(2, self.requests // 100):
            self.problems.append(f"{self.unknown} of {self.requests} requests ended as unknown")

    def _judge(self, request_id: str, wanted: str, sends: int, ends: list[tuple[str, str, str]]) -> None:
        if sends > 1:
            self.problems.append(f"{request_id}: sent {sends} times")
        if len(ends) != 1:
            self.without_event += 1
            self.problems.append(f"{request_id}: sent {sends} times, ends {ends}")
            return
        [(event, _, code)] = ends
        self.unknown += event == "outbound.unknown"
        allowed = {"sent": {"sent"}, "failed": {"failed"}, "any": {"sent", "expired"}}[wanted]
        if event.removeprefix("outbound.") not in allowed or (event == "outbound.sent") != (sends == 1):
            self.without_event += event != "outbound.unknown"
            self.problems.append(f"{request_id}: wanted {wanted}, sent {sends} times, told as {event} ({code})")

    def figures(self) -> dict[str, Any]:
        """Return the numbers by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, int)}


@dataclass(frozen=True, slots=True)
class Folders:
    """How often each mail lies in the folders of a mailbox, by its Message-ID."""

    inbox: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    parked: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, plant: Plant, address: str) -> Self:
        """Ask Exchange."""
        found = cls()
        wanted = {"inbox": found.inbox, "deleteditems": found.removed, _PARKED: found.parked}
        for folder in plant.sandbox.folders(address):
            if (counts := wanted.get(folder["distinguished_name"] or folder["name"])) is not None:
                counts.update(mail["internet_message_id"] for mail in plant.sandbox.mails(address, folder["id"]))
        return found


def _seconds(moment: str | None) -> float:
    return datetime.fromisoformat(moment).timestamp() if moment is not None else 0.0


def _copies(plant: Plant, address: str, folder: str) -> dict[str, list[bytes]]:
    """Return the bytes of all mails in a folder by their Message-ID."""
    found: dict[str, list[bytes]] = defaultdict(list)
    for mail in plant.sandbox.mails(address, folder):
        found[mail["internet_message_id"]].append(plant.sandbox.mime(address, mail["item_id"], folder))
    return found


def _bytes_of(raw: Mapping[str, Any]) -> bytes:
    if raw["blob"] is None:
        return base64.b64decode(raw["content"])
    blob = Path(str(raw["blob"]["url"]).removeprefix("file://"))
    return bytes(blob.read_bytes()) if blob.is_file() else b"gone"


def _drain(plant: Plant, queue: str) -> list[tuple[str, bytes]]:
    """Take everything out of a queue: message_id and body."""
    taken: list[tuple[str, bytes]] = []
    with closing(pika.BlockingConnection(pika.URLParameters(plant.broker.url))) as connection:
        channel = connection.channel()
        waiting = channel.queue_declare(queue, passive=True).method.message_count
        channel.basic_qos(prefetch_count=1000)
        for method, properties, body in channel.consume(queue, inactivity_timeout=5) if waiting else ():
            if method is None or properties is None or body is None:
                break
            taken.append((properties.message_id or "", body))
            channel.basic_ack(method.delivery_tag)
            if len(taken) == waiting:
                break
    return taken
