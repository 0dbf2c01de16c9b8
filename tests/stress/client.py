"""What every client that works has: its mails and folders, and how it finds out what became of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.stress import soap
from tests.stress.journal import Journal, Mail, Place, World, which
from tests.stress.wire import Answer, Gate, Link, WrongAnswerError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

NO_FOLDER = {"ErrorItemNotFound", "ErrorFolderNotFound"}
_OUTSIDE = "away@elsewhere.example"
_MOST_MAILS = 400


@dataclass(frozen=True, slots=True)
class Shared:
    """What all clients have in common."""

    gate: Gate
    journal: Journal
    mailboxes: tuple[str, ...]
    pots: dict[str, str]
    """The folder of each mailbox whose mails all grab at."""
    tallies: dict[str, str]
    """The item of each mailbox whose stamp all count up."""


class Client:
    """One client of one mailbox. It alone acts on the mails that it made."""

    def __init__(self, number: int, shared: Shared, chance: random.Random, token: str) -> None:
        """Have a connection, and nothing yet."""
        self._number = number
        self._shared = shared
        self._journal = shared.journal
        self._chance = chance
        self._mailbox = shared.mailboxes[number % len(shared.mailboxes)]
        self._link = Link(shared.gate, self._mailbox, token)
        self._mails: list[Mail] = []
        self._folders: list[str] = []
        self._made = 0

    def _identity(self, kind: str) -> str:
        self._made += 1
        return f"<{kind}-{self._number}-{self._made}@stress.example>"

    def _mime(self, message_id: str, to: Sequence[str] = ()) -> bytes:
        recipients = f"To: {', '.join(to)}\r\n" if to else ""
        filler = "x" * self._chance.randrange(0, 3000)
        return (
            f"Message-ID: {message_id}\r\nSubject: {message_id[1:-1]}\r\n{recipients}"
            f"Content-Type: text/plain\r\n\r\n{message_id}\r\n{filler}\r\n"
        ).encode()

    def _recipients(self) -> list[str]:
        most = min(3, len(self._shared.mailboxes))
        found = self._chance.sample(self._shared.mailboxes, self._chance.randint(1, most))
        return [*found, _OUTSIDE] if self._chance.random() < 0.2 else found

    def _some(self, most: int = 1, *, where: Callable[[Place], bool] = lambda _: True) -> list[tuple[Mail, Place]]:
        """Return some mails of this client's with one place of each; those in doubt are looked for first."""
        found: list[tuple[Mail, Place]] = []
        if len(self._mails) > _MOST_MAILS:
            self._mails = self._mails[-_MOST_MAILS:]
        for mail in self._chance.sample(self._mails, min(len(self._mails), 4 * most)):
            self._look_for(mail)
            places = [place for place in mail.world if where(place)]
            if places:
                found.append((mail, self._chance.choice(places)))
            if len(found) == most:
                break
        return found

    def _look_for(self, mail: Mail) -> None:
        """Have one world of a mail that is in doubt or lacks an id."""
        if mail.is_sure:
            return
        folders = sorted({place.folder for world in mail.worlds for place in world})
        found: list[tuple[str, str]] = []
        for where, answer in zip(folders, self._link.call(soap.find(folders, message_id=mail.message_id)), strict=True):
            if answer.done:
                found += [(where, item_id) for item_id in answer.ids()]
            elif answer.code not in NO_FOLDER:
                self._journal.problem(f"FindItem: {answer.code}")
        places = []
        if found:
            answers = self._link.call(soap.get([item_id for _, item_id in found]))
            for (where, _), answer in zip(found, answers, strict=True):
                places.append(soap.place_of(soap.shown_items(answer.node)[0], where))
        world = which(mail, places)
        if world is None:
            self._journal.problem(f"{mail.message_id} lies neither as before nor as after: {_told(mail, places)}")
            if mail in self._mails:
                self._mails.remove(mail)
            mail.worlds = [()]
            return
        self._journal.settle(mail, world)
        self._journal.count("doubts settled")

    def _change(self, body: str, changes: Sequence[tuple[Mail, World]], operation: str) -> list[Answer]:
        """Ask for changes of mails, one answer for each; a lost answer leaves both worlds."""
        for mail, after in changes:
            mail.may_become(after)
        found = self._link.call(body)
        if len(found) != len(changes):
            raise WrongAnswerError(f"{operation}: {len(found)} answers to {len(changes)} items")
        for (mail, after), answer in zip(changes, found, strict=True):
            ids = iter(answer.ids())
            if answer.done:
                world = tuple(place if place.id else replace(place, id=next(ids, None)) for place in after)
                self._journal.settle(mail, world)
            else:
                self._journal.settle(mail, mail.worlds[0])
                self._journal.problem(f"{operation}: {answer.code} for {mail.message_id}")
        return found

    def _is_there(self, answer: Answer, mail: Mail) -> bool:
        if not answer.done:
            self._journal.problem(f"GetItem: {answer.code} for {mail.message_id}")
        return answer.done

    def _done(self, answer: Answer, operation: str, what: str = "ItemId") -> list[str]:
        if not answer.done:
            raise WrongAnswerError(f"{operation}: {answer.code} {answer.node.findtext('{*}MessageText') or ''}")
        return answer.ids(what)


def with_instead(mail: Mail, place: Place, *instead: Place) -> World:
    """Return the mail's world with other places in the place of one."""
    return (*(one for one in mail.world if one is not place), *instead)


def deleted(place: Place, way: str) -> tuple[Place, ...]:
    """Return where an item lies that was deleted in one of the three ways."""
    if place.folder == "recoverableitemspurges":
        return ()
    if place.folder == "recoverableitemsdeletions" or way == "HardDelete":
        return (replace(place, folder="recoverableitemspurges", id=None),)
    to = "deleteditems" if way == "MoveToDeletedItems" else "recoverableitemsdeletions"
    return (replace(place, folder=to, id=None),)


def _told(mail: Mail, found: Sequence[Place]) -> str:
    return f"found {_short(found)}, expected one of {[_short(world) for world in mail.worlds]}"


def _short(places: Sequence[Place]) -> list[str]:
    return [f"{one.folder[-12:]}/{(one.id or '?')[-12:]}/{one.stamp}/{len(one.attached)}" for one in places]
