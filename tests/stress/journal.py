"""
What the clients asked and what they were answered: the one account that the sandbox's own is held against.

A mail has *worlds*: the ways in which it may lie in its mailbox. One, as long as every answer came; two, when an answer
was lost: as before, or as if all was done. Whatever is found must be one of them.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Place:
    """One item of a mail: its folder, its id where that was told, the value of its stamp, the names attached to it."""

    folder: str
    id: str | None = None
    stamp: int = 0
    attached: frozenset[str] = frozenset()


World = tuple[Place, ...]


@dataclass(slots=True)
class Mail:
    """All items of one Message-ID in one mailbox, which one client alone acts on."""

    message_id: str
    mailbox: str
    worlds: list[World] = field(default_factory=lambda: [()])
    retired: set[str] = field(default_factory=set)
    """Ids that it had and has no more."""

    @property
    def world(self) -> World:
        """How it lies, when that is known."""
        if len(self.worlds) != 1:
            raise AssertionError("nobody knows how this mail lies")
        return self.worlds[0]

    @property
    def is_sure(self) -> bool:
        """Whether it is known how it lies, with all ids."""
        return len(self.worlds) == 1 and all(place.id for place in self.worlds[0])

    def may_become(self, after: World) -> None:
        """Note that something is asked that makes it so, or leaves it as it is."""
        self.worlds = [self.world, after]

    def is_now(self, world: World) -> None:
        """Note how it lies; ids that it had before and has no more are retired."""
        had = {place.id for each in self.worlds for place in each if place.id}
        self.worlds = [world]
        self.retired |= had - {place.id for place in world}


@dataclass(frozen=True, slots=True)
class Sending:
    """One mail that was sent: to whom, whether a copy was wanted, whether the answer came, and what was a draft."""

    message_id: str
    mailbox: str
    recipients: tuple[str, ...]
    copy: bool
    accepted: bool
    draft: Place | None = None


@dataclass(frozen=True, slots=True)
class Creation:
    """An item whose creation was answered, and when it was asked and answered by one clock."""

    mailbox: str
    item_id: str
    asked: float
    answered: float


@dataclass(slots=True)
class Watch:
    """What one subscription told of items created, in its order, and when it was made."""

    mailbox: str
    kind: str
    since: float
    told: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Mirror:
    """A folder as synchronisation told it: each id with its change key and whether it is read."""

    mailbox: str
    folder: str
    items: dict[str, tuple[str, bool]] = field(default_factory=dict)


@dataclass(slots=True)
class Tally:
    """A number that clients count up with the change key in hand: what was answered, and what may have been done."""

    answered: int = 0
    unknown: int = 0


class Journal:
    """Everything that was noted, by any thread."""

    def __init__(self) -> None:
        """Begin empty."""
        self._lock = threading.Lock()
        self.mails: dict[tuple[str, str], Mail] = {}
        self.groups: list[list[Mail]] = []
        """Mails that arrived in several mailboxes by one transaction: all are there, or none."""
        self.folders: dict[str, str] = {}
        """Folders that were made, by id, each with its mailbox; those that are gone are taken out."""
        self.doubtful_folders: set[tuple[str, str]] = set()
        """Mailbox and name of folders of which nobody knows whether they are there."""
        self.sendings: list[Sending] = []
        self.creations: list[Creation] = []
        self.watches: list[Watch] = []
        self.mirrors: list[Mirror] = []
        self.tallies: dict[str, Tally] = {}
        self.pots: dict[str, dict[str, set[str]]] = {}
        """For each mailbox the mails in the pot that all grab at, and the folders of those who may have got each."""
        self.pot_folders: dict[str, str] = {}
        """The pot of each mailbox."""
        self.system: set[str] = set()
        """Folders that mailboxes have from the beginning."""
        self.doubtful_pots: set[str] = set()
        """Mails of the pot of which nobody knows whether they were made."""
        self.takings: dict[tuple[str, str], str] = {}
        """Who was told that a mail of the pot is his, by mailbox and Message-ID."""
        self.counts: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self._problems: list[str] = []
        self._ids: dict[str, str] = {}

    def problem(self, text: str) -> None:
        """Note what must not be."""
        with self._lock:
            self._problems.append(text)

    @property
    def problems(self) -> Sequence[str]:
        """All that must not be, in the order noted."""
        with self._lock:
            return tuple(self._problems)

    def count(self, name: str, amount: int = 1) -> None:
        """Count something that happened."""
        with self._lock:
            self.counts[name] += amount

    def refused(self, operation: str, code: str) -> None:
        """Count a refusal that was to be expected."""
        with self._lock:
            self.refusals[f"{operation} {code}"] += 1

    def new_mail(self, message_id: str, mailbox: str) -> Mail:
        """Return the record of a mail that is about to be made."""
        mail = Mail(message_id, mailbox)
        with self._lock:
            self.mails[mailbox, message_id] = mail
        return mail

    def identify(self, item_id: str, identity: str) -> None:
        """Note whose id this is: an id that was somebody else's before is a problem."""
        with self._lock:
            owner = self._ids.setdefault(item_id, identity)
        if owner != identity:
            self.problem(f"an id of {owner} was given to {identity}")

    def settle(self, mail: Mail, world: World) -> None:
        """Note how a mail lies, as it was answered or seen."""
        mail.is_now(world)
        for place in world:
            if place.id is None:
                continue
            self.identify(place.id, f"{mail.mailbox} {mail.message_id}")
            if place.id in mail.retired:
                self.problem(f"{mail.message_id} has an id again that it had before")

    def add(self, entry: Sending | Creation | Watch | Mirror) -> None:
        """Keep one entry in its list."""
        with self._lock:
            match entry:
                case Sending():
                    self.sendings.append(entry)
                case Creation():
                    self.creations.append(entry)
                case Watch():
                    self.watches.append(entry)
                case Mirror():
                    self.mirrors.append(entry)

    def tally(self, mailbox: str, *, answered: int = 0, unknown: int = 0) -> None:
        """Count what was done to the number of a mailbox."""
        with self._lock:
            tally = self.tallies.setdefault(mailbox, Tally())
            tally.answered += answered
            tally.unknown += unknown

    def into_pot(self, mailbox: str, message_id: str) -> None:
        """Note a mail that all may grab."""
        with self._lock:
            self.pots.setdefault(mailbox, {})[message_id] = set()

    def grabs(self, mailbox: str, message_id: str, folder: str) -> None:
        """Note that a mail of the pot may be in this folder from now on."""
        with self._lock:
            self.pots[mailbox].setdefault(message_id, set()).add(folder)

    def taken(self, mailbox: str, message_id: str, folder: str, *, mine: bool) -> None:
        """Note the answer to a grab: only one may hear that the mail is his."""
        with self._lock:
            if not mine:
                self.pots[mailbox][message_id].discard(folder)
                return
            other = self.takings.setdefault((mailbox, message_id), folder)
        if other != folder:
            self.problem(f"{message_id} of the pot was given to two")


def fits(world: World, found: Iterable[Place]) -> World | None:
    """Return the world with the ids that were found, None if what was found is not it."""
    left = list(found)
    settled: list[Place] = []
    for place in sorted(world, key=lambda one: one.id is None):
        match = next(
            (one for one in left if place.id in (None, one.id) and replace(one, id=None) == replace(place, id=None)),
            None,
        )
        if match is None:
            return None
        left.remove(match)
        settled.append(match)
    return None if left else tuple(settled)


def which(mail: Mail, found: Sequence[Place]) -> World | None:
    """Return the world of a mail that was found, with its ids; None if it is none of them."""
    return next((fitting for world in mail.worlds if (fitting := fits(world, found)) is not None), None)
