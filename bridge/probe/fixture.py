"""
Where a probe writes: a folder of its own, and mails that it sends to the mailbox itself. Nothing else is touched.

Folder and mails are named with the run, which is random: what bears the name is the probe's. All of it is removed in
the end, and what could not be removed is told.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from bridge.adapters.ews.folder_ids import distinguished, folder_ids
from bridge.adapters.ews.soap import T, element
from bridge.probe import requests_ews as ews
from bridge.probe.errors import NotCheckable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lxml import etree

    from bridge.probe.requests_ews import ItemId
    from bridge.probe.wire import Answer, Wire

_NAME: Final = "Bridge probe"
_SWEPT: Final = ("inbox", "junkemail", "outbox", "drafts", "sentitems", "deleteditems", "recoverableitemsdeletions")
_ARRIVES_IN: Final = ("inbox", "junkemail")
_ARRIVAL_SECONDS: Final = 120.0
_LONGEST_LOOK_SECONDS: Final = 2.0
_PAGE: Final = 100
_WAITS_SECONDS: Final = (0.5, 5.0)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A mail of the probe that came back to its mailbox."""

    id: ItemId
    seconds: float
    """After its SendItem was answered."""


@dataclass
class ProbeFixture:
    """The folder and the mails of one run."""

    wire: Wire
    announce: Callable[[str], None]
    """Is told of each writing step before it is made."""
    run: str = field(default_factory=lambda: secrets.token_hex(8))
    arrival_seconds: float = _ARRIVAL_SECONDS
    _numbers: int = 0
    _folder: ItemId | None = None
    _written: bool = False
    _under_way: dict[str, int] = field(default_factory=dict)
    """How many mails of a subject have to be there before all have arrived."""

    @property
    def name(self) -> str:
        """The name that the folder has and every subject begins with."""
        return f"{_NAME} {self.run}"

    def ok(self, body: etree._Element) -> Answer:
        """
        Return the answer to a call that has to work for the step to say anything.

        Raises:
            NotCheckable: It did not; with the operation and the code.
        """
        answer = self.wire.call(body)
        if any(code != "NoError" for code in answer.codes):
            operation = str(body.tag).rpartition("}")[2]
            bad = next(code for code in answer.codes if code != "NoError")
            raise NotCheckable(f"{operation} answers {bad}")
        return answer

    def folder(self) -> etree._Element:
        """Return the id of the probe's own folder, which it makes when it is first asked for."""
        if self._folder is None:
            self.announce("writing: makes a folder of its own below the mailbox's root, removed at the end")
            # Noted first: a folder whose answer was lost is looked for by its name when cleaning.
            self._written = True
            self._folder = self._make(distinguished("msgfolderroot"), self.name)
        return element("t:FolderId", Id=self._folder[0])

    def subfolder(self) -> etree._Element:
        """Return the id of a new folder below the probe's own."""
        return element("t:FolderId", Id=self._make(self.folder(), self.next_name())[0])

    def _make(self, parent: etree._Element, name: str) -> ItemId:
        folder = element("t:Folder", element("t:DisplayName", text=name))
        answer = self.ok(
            element("m:CreateFolder", folder_ids("m:ParentFolderId", parent), element("m:Folders", folder))
        )
        return ews.id_of(answer.first("FolderId"))

    def next_name(self) -> str:
        """Return a subject or a folder's name that nothing had before, and that shows whose it is."""
        self._numbers += 1
        return f"{self.name} {self._numbers}"

    def mail(self, subject: str, *, to: bool = True, **headers: str) -> bytes:
        """Return the bytes of a mail from the mailbox to itself; a header may be named `Thread_Index`."""
        mail = EmailMessage(policy=SMTP)
        address = self.wire.target.address
        mail["From"] = address
        if to:
            mail["To"] = address
        mail["Subject"] = subject
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["Message-ID"] = f"<{subject.rpartition(' ')[2]}.{self.run}@bridge-probe.invalid>"
        for name, value in headers.items():
            mail[name.replace("_", "-")] = value
        mail.set_content("A mail of bridge probe-exchange, which removes it.\r\n")
        return mail.as_bytes()

    def draft(self, mime: bytes, *properties: etree._Element, folder: etree._Element | None = None) -> ItemId:
        """Return the id of a draft in the probe's own folder."""
        answer = self.ok(
            ews.create(folder if folder is not None else self.folder(), ews.mime_message(mime, *properties))
        )
        return ews.id_of(answer.first("ItemId"))

    def item(self, found: ItemId, *fields: etree._Element, mime: bool = False) -> etree._Element:
        """Return an item with these properties."""
        return self.ok(ews.get(found, *fields, mime=mime)).first("Message")

    def send(self, draft: ItemId, subject: str) -> float:
        """Send a draft to the mailbox itself, and return when the answer came, by `time.monotonic`."""
        self.announce("writing: sends a mail to the mailbox itself, removed at the end")
        # Noted first: the mail may be on its way though the answer was lost.
        self.will_arrive(subject)
        self.ok(ews.send(draft))
        return time.monotonic()

    def will_arrive(self, subject: str, *, copies: int = 1) -> None:
        """Note that so many mails of this subject are to be removed; cleaning waits for them."""
        self._under_way[subject] = copies
        self._written = True

    def arrived(self, subject: str, *, since: float) -> Arrived:
        """
        Return the mail of a subject, once it is in the inbox or, as junk, beside it.

        Raises:
            NotCheckable: It did not come.
        """
        until = time.monotonic() + self.arrival_seconds
        wait = 0.05
        while True:
            found = self.arrivals(subject)
            if found:
                if self._under_way.get(subject) == 1:
                    del self._under_way[subject]
                return Arrived(found[0], time.monotonic() - since)
            if time.monotonic() > until:
                raise NotCheckable(f"a mail to the mailbox itself did not arrive in {self.arrival_seconds:.0f} s")
            time.sleep(wait)
            wait = min(_LONGEST_LOOK_SECONDS, wait * 1.5)

    def arrivals(self, subject: str) -> list[ItemId]:
        """Return the mails of a subject that have arrived; all of the probe's if it is its name."""
        return [found for folder in _ARRIVES_IN for found in self._found(distinguished(folder), subject)]

    def send_and_receive(self, subject: str, mime: bytes, *properties: etree._Element) -> Arrived:
        """Return a mail of these bytes that went to the mailbox itself."""
        return self.arrived(subject, since=self.send(self.draft(mime, *properties), subject))

    def sent_copy(self, subject: str) -> ItemId:
        """Return the copy in Sent Items, waiting for it; raises as `arrived`."""
        until = time.monotonic() + self.arrival_seconds
        while not (found := self._found(distinguished("sentitems"), subject)):
            if time.monotonic() > until:
                raise NotCheckable(f"no copy came to Sent Items in {self.arrival_seconds:.0f} s")
            time.sleep(0.1)
        return found[0]

    def _found(self, folder: etree._Element, marker: str) -> list[ItemId]:
        """Return the probe's mails in a folder whose subject is the marker; all of them if that is its name."""
        answer = self.ok(
            ews.find(
                folder,
                ews.contains("item:Subject", marker),
                fields=[ews.field("item:Subject")],
                limit=_PAGE,
            )
        )
        found = []
        for shown in answer.all("ItemId"):
            holder = shown.getparent()
            subject = holder.findtext(f"{T}Subject") if holder is not None else None
            # Not left to the search alone: what is removed later is the probe's for certain. A bounce or an answer
            # of somebody's rule has the name within its subject; it is the mailbox's own.
            if subject is not None and (subject == marker or (marker == self.name and self._is_own(subject))):
                found.append(ews.id_of(shown))
        return found

    def _is_own(self, subject: str) -> bool:
        return subject == self.name or subject.startswith(f"{self.name} ")

    # Afterwards.

    def clean(self) -> list[str]:
        """
        Remove the folder and the mails, waiting for those under way, and return what could not be removed, in words.

        Does what it can: a step that fails leaves the others to be made.
        """
        if not self._written:
            return []
        self.announce("writing: removes its folder and its mails")
        left = [*self._wait_for_the_rest()]
        for folder in _SWEPT:
            try:
                _persistently(partial(self._sweep, folder))
            except NotCheckable as error:
                left.append(f"mails in {folder}, if there are any ({error})")
        try:
            _persistently(self._remove_folder)
        except NotCheckable as error:
            left.append(f"the folder ({error})")
        return left

    def _wait_for_the_rest(self) -> Iterator[str]:
        """Wait until what was sent has arrived, and yield words for what has not in time."""
        until = time.monotonic() + self.arrival_seconds
        wait = 0.05
        while self._under_way:
            try:
                for subject, copies in list(self._under_way.items()):
                    # What is still a draft was not sent, and goes with the folder.
                    if len(self.arrivals(subject)) >= copies or self._is_draft(subject):
                        del self._under_way[subject]
            except NotCheckable as error:
                yield f"mails that were sent to the mailbox itself, which cannot be listed ({error})"
                return
            if self._under_way and time.monotonic() > until:
                yield f"{len(self._under_way)} mail(s) that were sent to the mailbox itself and have not arrived"
                return
            if self._under_way:
                time.sleep(wait)
                wait = min(_LONGEST_LOOK_SECONDS, wait * 1.5)

    def _is_draft(self, subject: str) -> bool:
        return self._folder is not None and bool(self._found(self.folder(), subject))

    def _sweep(self, folder: str) -> None:
        """Remove the probe's mails from a folder; raises if they do not become fewer."""
        before: list[ItemId] = []
        while found := self._found(distinguished(folder), self.name):
            if found == before:
                raise NotCheckable("what was deleted is still there")
            before = found
            self.ok(ews.delete_items(found))

    def _remove_folder(self) -> None:
        found = self.ok(
            element(
                "m:FindFolder",
                element("m:FolderShape", element("t:BaseShape", text="IdOnly")),
                element("m:IndexedPageFolderView", MaxEntriesReturned="10", Offset="0", BasePoint="Beginning"),
                element("m:Restriction", ews.equals(ews.field("folder:DisplayName"), self.name)),
                folder_ids("m:ParentFolderIds", distinguished("msgfolderroot")),
                Traversal="Shallow",
            )
        ).all("FolderId")
        for folder in found:
            one = element("t:FolderId", Id=folder.get("Id") or "")
            self.ok(element("m:DeleteFolder", folder_ids("m:FolderIds", one), DeleteType="HardDelete"))


def _persistently(work: Callable[[], None]) -> None:
    """Do some cleaning, again after a while where it fails: a busy Exchange is no reason to leave things behind."""
    for wait in _WAITS_SECONDS:
        try:
            return work()
        except NotCheckable:
            time.sleep(wait)
    return work()
