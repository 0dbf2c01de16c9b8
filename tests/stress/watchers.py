"""Clients that are told of changes: by synchronisation, by a stream, and by asking for events."""

from __future__ import annotations

import threading
import time
from http.client import HTTPException
from typing import TYPE_CHECKING

from lxml import etree

from tests.stress import soap
from tests.stress.journal import Journal, Mirror, Watch
from tests.stress.wire import MESSAGES, TYPES, Answer, Gate, Link, LostAnswerError, WrongAnswerError, answers

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

_LOST = {"ErrorSubscriptionNotFound", "ErrorMissedNotificationEvents"}
_PAUSE_SECONDS = 0.3
_TYPES = "".join(
    f"<t:EventType>{one}Event</t:EventType>" for one in ("Created", "Deleted", "Modified", "Moved", "Copied", "NewMail")
)


class Watcher(threading.Thread):
    """What all of them have: a mailbox, a connection, and an end that they are told of."""

    def __init__(self, name: str, gate: Gate, journal: Journal, mailbox: str, token: str) -> None:
        """Watch one mailbox until `end`."""
        super().__init__(name=name)
        self._journal = journal
        self.mailbox = mailbox
        self._link = Link(gate, mailbox, token)
        self._ended = threading.Event()
        self._last: str | None = None

    def end(self, last: str) -> None:
        """Watch until everything up to the item `last` has been told."""
        self._last = last
        self._ended.set()

    def run(self) -> None:
        """Watch over any number of lost connections; what goes wrong unexpectedly is a problem."""
        try:
            while not self._watch_once():
                pass
        except Exception as error:  # noqa: BLE001 - a thread that ends would only look like less work
            self._journal.problem(f"{self.name}: {type(error).__name__} {error}")
        self._link.close()

    def _watch_once(self) -> bool:
        """Watch until the connection or the subscription is lost; True at the end."""
        raise NotImplementedError


class Synchronizer(Watcher):
    """Keeps a mirror of a folder by SyncFolderItems, in pages of any size."""

    def __init__(
        self, gate: Gate, journal: Journal, mailbox: str, token: str, *, folder: str, chance: random.Random
    ) -> None:
        """Begin with nothing."""
        super().__init__(f"sync-{mailbox}-{folder}", gate, journal, mailbox, token)
        self._folder = folder
        self._chance = chance
        self._mirror = Mirror(mailbox, folder)
        journal.add(self._mirror)
        self._state = ""
        self._pages = self._pages_before = 0

    def _watch_once(self) -> bool:
        ending = self._ended.is_set()
        state = f"<m:SyncState>{self._state}</m:SyncState>" if self._state else ""
        try:
            (answer,) = self._link.call(
                "<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>"
                '<t:FieldURI FieldURI="message:IsRead"/></t:AdditionalProperties></m:ItemShape>'
                f"<m:SyncFolderId>{soap.folder(self._folder)}</m:SyncFolderId>{state}"
                f"<m:MaxChangesReturned>{self._chance.randint(1, 512)}</m:MaxChangesReturned></m:SyncFolderItems>"
            )
        except LostAnswerError:
            self._journal.count("lost")
            return False
        if not answer.done:
            raise WrongAnswerError(f"SyncFolderItems: {answer.code}")
        self._state = answer.node.findtext(MESSAGES + "SyncState") or ""
        for change in next(answer.node.iter(MESSAGES + "Changes")):
            self._apply(change)
        self._journal.count("pages of changes")
        complete = answer.node.findtext(MESSAGES + "IncludesLastItemInRange") == "true"
        self._pages += 1
        if complete:
            self._pages_before, self._pages = self._pages, 0
        if complete and not ending:
            self._ended.wait(_PAUSE_SECONDS)
        return complete and ending

    def _apply(self, change: etree._Element) -> None:
        kind = str(change.tag).rpartition("}")[2]
        (node,) = change.iter(TYPES + "ItemId")
        item_id, key, mirror = str(node.get("Id")), str(node.get("ChangeKey")), self._mirror.items
        self._journal.count("changes told")
        # What came and went between two pages of a round is told as gone in the next one, and was never told as there.
        passing = kind == "Delete" and self._pages_before > 1
        if (item_id in mirror) != (kind != "Create") and not passing:
            self._journal.problem(f"{self.name}: {kind} of an item that is {'' if item_id in mirror else 'not '}known")
        if kind == "Delete":
            mirror.pop(item_id, None)
        else:
            (read,) = change.iter(TYPES + "IsRead")
            mirror[item_id] = key, read.text == "true"


class Listener(Watcher):
    """Notes what subscriptions tell: each creation once, and none left out."""

    def __init__(self, number: int, gate: Gate, journal: Journal, mailbox: str, token: str, *, streaming: bool) -> None:
        """Subscribe to all folders, again and again."""
        super().__init__(f"{'stream' if streaming else 'pull'}-{number}", gate, journal, mailbox, token)
        self._streaming = streaming
        self._gate = gate
        self._subscribed = 0

    @property
    def is_listening(self) -> bool:
        """Whether it has a subscription at the sandbox as it runs now, so that it hears of what comes next."""
        return self._subscribed == self._gate.generation

    def _watch_once(self) -> bool:
        try:
            self._gate.wait()
            generation = self._gate.generation
            subscription, watermark = self._subscribe()
            if self._gate.generation != generation:
                # It may be the old one's or the new one's.
                return False
            self._subscribed = generation
            watch = Watch(self.mailbox, self.name, time.monotonic())
            self._journal.add(watch)
            told = self._streamed(subscription) if self._streaming else self._pulled(subscription, watermark)
            heard = set()
            for item_id in told:
                watch.told.append(item_id)
                heard.add(item_id)
                if self._last in heard:
                    return True
        except LostAnswerError:
            self._journal.count("lost")
        self._journal.count("subscriptions lost")
        return False

    def _subscribe(self) -> tuple[str, str]:
        kind = "Streaming" if self._streaming else "Pull"
        timeout = "" if self._streaming else "<t:Timeout>30</t:Timeout>"
        (answer,) = self._link.call(
            f'<m:Subscribe><m:{kind}SubscriptionRequest SubscribeToAllFolders="true"><t:EventTypes>{_TYPES}'
            f"</t:EventTypes>{timeout}</m:{kind}SubscriptionRequest></m:Subscribe>"
        )
        if not answer.done:
            raise WrongAnswerError(f"Subscribe: {answer.code}")
        return (
            answer.node.findtext(MESSAGES + "SubscriptionId") or "",
            answer.node.findtext(MESSAGES + "Watermark") or "",
        )

    def _pulled(self, subscription: str, watermark: str) -> Iterator[str]:
        while True:
            (answer,) = self._link.call(
                f"<m:GetEvents><m:SubscriptionId>{subscription}</m:SubscriptionId>"
                f"<m:Watermark>{watermark}</m:Watermark></m:GetEvents>"
            )
            if answer.code in _LOST:
                return
            if not answer.done:
                raise WrongAnswerError(f"GetEvents: {answer.code}")
            watermark = [node.text or "" for node in answer.node.iter(TYPES + "Watermark")][-1]
            yield from self._created(answer)
            if next(answer.node.iter(TYPES + "MoreEvents")).text == "false" and not self._ended.is_set():
                self._ended.wait(_PAUSE_SECONDS)

    def _streamed(self, subscription: str) -> Iterator[str]:
        response = self._link.open(
            f"<m:GetStreamingEvents><m:SubscriptionIds><t:SubscriptionId>{subscription}</t:SubscriptionId>"
            "</m:SubscriptionIds><m:ConnectionTimeout>30</m:ConnectionTimeout></m:GetStreamingEvents>"
        )
        buffer = b""
        while True:
            try:
                part = response.read1(65_536)
            except (OSError, HTTPException) as error:
                self._link.close()
                raise LostAnswerError from error
            if not part:
                self._link.close()
                return
            *whole, buffer = (buffer + part).split(b"</Envelope>")
            for text in whole:
                for answer in answers(etree.fromstring(text + b"</Envelope>")):
                    if answer.code in _LOST:
                        self._link.close()
                        return
                    if not answer.done:
                        raise WrongAnswerError(f"GetStreamingEvents: {answer.code}")
                    yield from self._created(answer)

    def _created(self, answer: Answer) -> Iterator[str]:
        for event in answer.node.iter(TYPES + "CreatedEvent"):
            item = event.find(TYPES + "ItemId")
            if item is not None:
                self._journal.count("events told")
                yield str(item.get("Id"))
