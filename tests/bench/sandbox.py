"""The sandbox alone: what calls cost in a mailbox of 100,000 mails beside one of 1,000, its start, its memory."""

from __future__ import annotations

import base64
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.sandbox.store import Store, folders, items
from bridge.sandbox.store import properties as p
from tests.bench.figures import Figure
from tests.support.sandbox import SandboxProcess
from tests.support.soap import MESSAGES, TYPES, EwsClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_SMALL, _BIG = "small@example.org", "big@example.org"
_SET = "6d6f6e74-0000-4000-8000-000000000001"
_STAMP = f'<t:ExtendedFieldURI PropertySetId="{_SET}" PropertyName="RequestId" PropertyType="String"/>'
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_WITHIN = 2.0
_START_SECONDS = 1.0
# 40 are taken by the interpreter and the libraries (docs/performance.md).
_REST_MEGABYTES, _CALLED_MEGABYTES = 50.0, 57.0
_REST_CALLS = 300
_DRAFTS = 50
_TOPIC_OF = 4


@dataclass(frozen=True)
class Measured:
    """One kind of call: its median milliseconds in either mailbox, and the median ratio of the pairs."""

    name: str
    small: float
    big: float
    ratio: float


class Mailbox:
    """A mailbox of so many mails, and the requests that are measured in it."""

    def __init__(self, sandbox: SandboxProcess, address: str, mails: int) -> None:
        self.client = EwsClient(sandbox, address, timeout=300)
        self.mails = mails
        self._random = random.Random(address)
        self._ids = self._known_ids()
        self._states = [self._state("")]
        while mails and self._states[-1] is not None and len(self._states) < 3:
            self._states.append(self._state(self._states[-1] or ""))

    # What is measured: each gives a request that was not made before.

    def page(self) -> str:
        return _find(offset=self._random.randrange(self.mails // 2))

    def sorted_page(self) -> str:
        return _find(order="Ascending", shape=_LISTED, offset=self._random.randrange(self.mails // 2))

    def waiting(self) -> str:
        """What the bridge lists: oldest first, from a moment on."""
        moment = _BEGIN + timedelta(seconds=self._random.randrange(self.mails // 2))
        return _find(order="Ascending", shape=_LISTED, restriction=_compared("IsGreaterThanOrEqualTo", moment))

    def by_request_id(self) -> str:
        """How the bridge finds what it sent."""
        return _find(restriction=_stamped(f"r-{self._random.randrange(self.mails)}"))

    def old_drafts(self) -> str:
        """How the bridge finds drafts that were left behind."""
        old = _compared("IsLessThan", _BEGIN + timedelta(days=365), "item:DateTimeCreated")
        return _find(restriction=f"<t:And><t:Exists>{_STAMP}</t:Exists>{old}</t:And>", folder="drafts")

    def get(self) -> str:
        return EwsClient.get(*self._random.sample(self._ids, 10))

    def create(self) -> str:
        return _create([f"created {self._random.random()}"], "drafts")

    def sync(self) -> str:
        return _sync(self._random.choice(self._states) or "")

    def conversations(self) -> str:
        return (
            f'<m:FindConversation><m:IndexedPageItemView MaxEntriesReturned="50" '
            f'Offset="{self._random.randrange(self.mails // _TOPIC_OF // 2)}" BasePoint="Beginning"/><m:ParentFolderId>'
            '<t:DistinguishedFolderId Id="inbox"/></m:ParentFolderId></m:FindConversation>'
        )

    def delete(self) -> str:
        """A hundred that were made for it, so that the mailbox stays as big as it is."""
        answer = self.client.call(_create([f"deleted {self._random.random()}" for _ in range(100)], "inbox"))
        listed = "".join(f'<t:ItemId Id="{one.get("Id")}"/>' for one in answer.iter(f"{TYPES}ItemId"))
        return f'<m:DeleteItem DeleteType="HardDelete"><m:ItemIds>{listed}</m:ItemIds></m:DeleteItem>'

    def seconds(self, request: str) -> float:
        """Make one call; every item of it must succeed."""
        started = time.perf_counter()
        answer = self.client.post(request)
        taken = time.perf_counter() - started
        if answer.status_code != 200 or b'ResponseClass="Error"' in answer.content:
            raise RuntimeError(answer.text[:500])
        return taken

    def _known_ids(self) -> list[str]:
        found: list[str] = []
        for part in range(4):
            answer = self.client.call(_find(limit=250, offset=part * self.mails // 4))
            found += [str(one.get("Id")) for one in answer.iter(f"{TYPES}ItemId")]
        return found

    def _state(self, state: str) -> str | None:
        return self.client.call(_sync(state)).findtext(f".//{MESSAGES}SyncState")


def sandbox(*, quick: bool) -> list[Figure]:
    """Calls, start and memory."""
    big, runs = (10_000, 7) if quick else (100_000, 31)
    with tempfile.TemporaryDirectory(prefix="bridge-bench-") as scratch:
        directory = Path(scratch) / "sandbox"
        first = _started(directory)
        rest = {"empty": _resting(directory)}
        _fill(directory, _SMALL, 1_000)
        rest["1,000 mails"] = _resting(directory)
        called = {calls: _resting(directory, calls=calls) for calls in (1, _REST_CALLS)}
        _fill(directory, _BIG, big)
        starts = [first, *(_started(directory) for _ in range(4))]
        with SandboxProcess(directory, mailboxes=[_SMALL, _BIG]) as process:
            # One client must not wait for a limit meant for many.
            measured = list(_calls(Mailbox(process, _SMALL, 1_000), Mailbox(process, _BIG, big), runs))
            after = _resident_megabytes(process.pid)
    held = f"{rest}, after calls {called}, after all {after:.1f} MB"
    print(f"start: {', '.join(f'{one:.2f}' for one in starts)} s; resident: {held}", file=sys.stderr)
    start = statistics.median(starts)
    figures = [_within(one) for one in measured]
    figures.append(Figure.at_most("sandbox-start", start, "s", _START_SECONDS))
    figures += [
        Figure.at_most(f"sandbox-rest ({name})", megabytes, "MB", _REST_MEGABYTES) for name, megabytes in rest.items()
    ]
    figures += [
        Figure.at_most(f"sandbox-rest (calls: {calls})", megabytes, "MB", _CALLED_MEGABYTES)
        for calls, megabytes in called.items()
    ]
    return figures


def _within(one: Measured) -> Figure:
    """Return the line of a call: how many times longer the large mailbox takes; "naive" is the small one."""
    name, ok = f"sandbox-{one.name}", one.ratio <= _WITHIN
    return Figure(name, one.big, "ms", one.small, one.ratio, _WITHIN, None, ok, asked=f"<= {_WITHIN:g} times")


def _calls(small: Mailbox, big: Mailbox, runs: int) -> Iterator[Measured]:
    kinds: dict[str, Callable[[Mailbox], str]] = {
        "find": Mailbox.page,
        "find-sorted": Mailbox.sorted_page,
        "find-waiting": Mailbox.waiting,
        "find-request-id": Mailbox.by_request_id,
        "find-old-drafts": Mailbox.old_drafts,
        "get": Mailbox.get,
        "create": Mailbox.create,
        "sync": Mailbox.sync,
        "conversations": Mailbox.conversations,
        "delete": Mailbox.delete,
    }
    for name, kind in kinds.items():
        taken: dict[Mailbox, list[float]] = {small: [], big: []}
        for turn in range(runs + 2):
            for mailbox in (small, big) if turn % 2 else (big, small):
                seconds = mailbox.seconds(kind(mailbox))
                # The first ones read pages of the file that nobody had read.
                if turn >= 2:
                    taken[mailbox].append(seconds)
        ratio = statistics.median(b / s for s, b in zip(taken[small], taken[big], strict=True))
        medians = {which: 1_000 * statistics.median(seconds) for which, seconds in taken.items()}
        one = Measured(name, medians[small], medians[big], ratio)
        print(f"{name:16} {one.small:8.2f} ms {one.big:8.2f} ms {one.ratio:6.2f}", file=sys.stderr)
        yield one


def _started(directory: Path) -> float:
    process = SandboxProcess(directory, mailboxes=[_SMALL, _BIG])
    started = time.perf_counter()
    with process:
        return time.perf_counter() - started


def _resting(directory: Path, *, calls: int = 0) -> float:
    """Return what a sandbox holds when it has started, and has found so many pages and mails for someone."""
    with SandboxProcess(directory, mailboxes=[_SMALL, _BIG]) as process:
        if calls:
            _call(EwsClient(process, _SMALL), calls)
        return _resident_megabytes(process.pid)


def _call(client: EwsClient, calls: int) -> None:
    for number in range(calls):
        found = client.call(_find(limit=10))
        if number:
            client.call(EwsClient.get(*(str(one.get("Id")) for one in found.iter(f"{TYPES}ItemId"))))


def _resident_megabytes(pid: int) -> float:
    line = next(one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def _fill(directory: Path, address: str, mails: int) -> None:
    """Put mails into an inbox and a few into Drafts, each with a stamp as the bridge's have, by the store itself."""
    key = p.named_key(_SET, "RequestId", "String")
    store = Store(directory / "store.sqlite")
    mailbox = store.mailbox(address)
    try:
        for begin in range(0, mails, 2_000):
            with store.writing() as db:
                inbox = folders.folder(db, mailbox.id, "inbox").id
                for number in range(begin, min(mails, begin + 2_000)):
                    mime = _mail(number, address)
                    bag = items.bag_for_delivery(mime, mailbox, _BEGIN + timedelta(seconds=number))
                    bag[key] = f"r-{number}"
                    items.insert(db, mailbox.id, inbox, bag, mime=mime)
        with store.writing() as db:
            drafts = folders.folder(db, mailbox.id, "drafts").id
            for number in range(_DRAFTS):
                mime = _mail(number, address)
                bag = {**items.bag_for_delivery(mime, mailbox, _BEGIN), key: f"d-{number}"}
                items.insert(db, mailbox.id, drafts, bag, mime=mime)
    finally:
        store.close()


def _mail(number: int, address: str) -> bytes:
    text = f"Request {number} for transport, with estimated arrival at the landing zone.\r\n" * 20
    head = (
        f"From: CAD <cad@example.com>\r\nTo: <{address}>\r\nSubject: Re: Request {number // _TOPIC_OF}\r\n"
        f"Message-ID: <{number}.{address}>\r\nDate: Tue, 24 Nov 2026 03:00:00 +0000\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n\r\n"
    )
    return (head + text).encode()


_LISTED = "".join(
    f'<t:FieldURI FieldURI="{uri}"/>' for uri in ("item:DateTimeReceived", "item:Size", "item:ItemClass")
) + (
    '<t:ExtendedFieldURI PropertyTag="0x300b" PropertyType="Binary"/>'
    '<t:ExtendedFieldURI PropertyTag="0xe06" PropertyType="SystemTime"/>'
)


def _find(
    *, order: str = "", shape: str = "", restriction: str = "", offset: int = 0, limit: int = 100, folder: str = "inbox"
) -> str:
    shown = f"<t:AdditionalProperties>{shape}</t:AdditionalProperties>" if shape else ""
    by = f'<t:FieldOrder Order="{order}"><t:FieldURI FieldURI="item:DateTimeReceived"/></t:FieldOrder>'
    return (
        f'<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>{shown}</m:ItemShape>'
        f'<m:IndexedPageItemView MaxEntriesReturned="{limit}" Offset="{offset}" BasePoint="Beginning"/>'
        + (f"<m:Restriction>{restriction}</m:Restriction>" if restriction else "")
        + (f"<m:SortOrder>{by}</m:SortOrder>" if order else "")
        + f'<m:ParentFolderIds><t:DistinguishedFolderId Id="{folder}"/></m:ParentFolderIds></m:FindItem>'
    )


def _compared(how: str, moment: datetime, uri: str = "item:DateTimeReceived") -> str:
    constant = f'<t:Constant Value="{moment.isoformat()}"/>'
    return f'<t:{how}><t:FieldURI FieldURI="{uri}"/><t:FieldURIOrConstant>{constant}</t:FieldURIOrConstant></t:{how}>'


def _stamped(value: str) -> str:
    constant = f'<t:FieldURIOrConstant><t:Constant Value="{value}"/></t:FieldURIOrConstant>'
    return f"<t:IsEqualTo>{_STAMP}{constant}</t:IsEqualTo>"


def _create(subjects: Sequence[str], folder: str) -> str:
    made = "".join(
        f"<t:Message><t:MimeContent>{base64.b64encode(f'Subject: {one}'.encode()).decode()}</t:MimeContent></t:Message>"
        for one in subjects
    )
    return (
        f'<m:CreateItem MessageDisposition="SaveOnly"><m:SavedItemFolderId><t:DistinguishedFolderId Id="{folder}"/>'
        f"</m:SavedItemFolderId><m:Items>{made}</m:Items></m:CreateItem>"
    )


def _sync(state: str) -> str:
    known = f"<m:SyncState>{state}</m:SyncState>" if state else ""
    return (
        "<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:SyncFolderId>"
        f'<t:DistinguishedFolderId Id="inbox"/></m:SyncFolderId>{known}<m:MaxChangesReturned>100</m:MaxChangesReturned>'
        "</m:SyncFolderItems>"
    )
