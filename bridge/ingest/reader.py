"""Reads one mailbox: lists what waits, hands each page to a `Transfer`, waits for more."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.domain.batches import Window
from bridge.domain.disposition import RetryPolicy
from bridge.domain.known_front import KnownFront
from bridge.domain.parking import ParkingLimit
from bridge.domain.poll_schedule import PollSchedule
from bridge.domain.publish_brake import PublishBrake
from bridge.errors import (
    BridgeError,
    CredentialsRejected,
    MailboxThrottled,
    MailboxUnavailable,
    QueueTaken,
    RemovalImpossible,
    TokenUnavailable,
)
from bridge.flow.ticks import until_tick
from bridge.flow.waiting import (
    ANSWER_LATE_SECONDS,
    any_of,
    wait_for_any,
)
from bridge.ingest.folder_counts import FolderWatch
from bridge.ingest.known_mails import KnownMails
from bridge.ingest.large_mails import LargeMails
from bridge.ingest.limits import TransferLimits
from bridge.ingest.listing import FrontChanged, MailboxListing
from bridge.ingest.parking import MailParking
from bridge.ingest.reading_health import ReadingHealth
from bridge.ingest.transfer import Transfer
from bridge.ports.low_priority import low_priority
from bridge.telemetry.health import reading_part
from bridge.telemetry.ingest_events import (
    MailboxElsewhere,
    MailboxLeft,
    MailboxTaken,
)
from bridge.telemetry.stream_events import MailboxWoken
from bridge.wire.topology import reader_lease
from bridge.worker.standing_by import StandingBy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bridge.domain.mail import ReadMail
    from bridge.domain.roster import Roster
    from bridge.flow.byte_budget import ByteBudget
    from bridge.ingest.notifications.streams import MailboxNotifications
    from bridge.ports.broker import Message, Publisher
    from bridge.ports.clock import Clock
    from bridge.ports.inbox import Inbox
    from bridge.telemetry.events import Emit
    from bridge.telemetry.health import Health

_JUNK = "junkemail"
_LOOK_COUNT = 100
_QUIET_FACTOR = 3.0
# What may be wrong here and not elsewhere: another worker may reach Exchange, or have the newer secret.
_LAST_WAIT_SECONDS = 1.0
_AT_ONCE_SECONDS = 0.1
_LAST_REMOVAL_SECONDS = 20.0
_MAY_BE_THIS_WORKER = (MailboxUnavailable, TokenUnavailable, CredentialsRejected)


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How one mailbox is read."""

    folders: Sequence[str] = ("inbox",)
    poll_interval_seconds: float = 5.0
    """Between two listings while no stream tells of new mail and some came; three times as much after a quiet while."""
    listing_interval_seconds: float = 30.0
    """Between two listings while a stream tells."""
    page_count: int = 1_000
    folder_counts_seconds: float = 55.0
    """Between two looks at what listing does not show: what is wrong there is told within a minute."""
    keep_seconds: float = 30.0
    """How long a mail that stays is passed over before it is tried again."""
    answer_late_seconds: float = ANSWER_LATE_SECONDS
    """After how long `/health` says that a listing has no answer."""
    standby_seconds: float = 1.0
    """How often a worker looks whether a mailbox that another one reads has become free."""
    limits: TransferLimits = field(default_factory=TransferLimits)
    parking: ParkingLimit = field(default_factory=ParkingLimit)
    retry: RetryPolicy = field(default_factory=RetryPolicy)


class MailboxReader:
    """
    One mailbox, from its folders to the broker, until it is stopped.

    Stateless across restarts: the listing is the work list. One worker at a time reads a mailbox, the one that holds
    its lease on the broker; the others stand by. That is for order and against repeats: a worker that lost its lease
    without knowing removes only what it holds receipts for, and gets no more of those. `notices` wakes it when new mail
    is heard of; the periodic listing is the truth in any case.
    """

    def __init__(
        self,
        *,
        alias: str,
        inbox: Inbox,
        publisher: Publisher,
        compose: Callable[[ReadMail], Awaitable[Sequence[Message]]],
        budget: ByteBudget,
        large_budget: ByteBudget | None = None,
        clock: Clock,
        emit: Emit,
        health: Health,
        options: IngestOptions | None = None,
        notices: MailboxNotifications | None = None,
        roster: Roster | None = None,
    ) -> None:
        self.alias = alias
        self._notices = notices
        self.wake = asyncio.Event()
        self._inbox = inbox
        self._publisher = publisher
        self._budget = budget
        self._clock = clock
        self._emit = emit
        self._options = options or IngestOptions()
        self._known = KnownMails(alias, clock, emit, keep_seconds=self._options.keep_seconds)
        self._large = LargeMails(compose, self._known.deferrals, large_budget or budget, self.wake.set)
        self._parking = MailParking(
            alias=alias,
            inbox=inbox,
            publisher=publisher,
            known=self._known,
            clock=clock,
            emit=emit,
            limit=self._options.parking,
        )
        self._reading = ReadingHealth(
            alias,
            self.part,
            health,
            clock,
            emit,
            known=self._known,
            parking=self._parking,
            retry=self._options.retry,
            answer_late_seconds=self._options.answer_late_seconds,
        )
        self._listing = MailboxListing(
            alias,
            inbox,
            clock,
            emit,
            self._reading,
            page_count=self._options.page_count,
            answer_late_seconds=self._options.answer_late_seconds,
            wake=self.wake,
        )
        self._brake = PublishBrake()
        self._window = Window(self._options.limits.unconfirmed)
        self._elsewhere = self._holds = False
        self._standing_by = StandingBy(
            roster,
            "ingest",
            alias,
            part=self.part,
            lease=reader_lease(alias),
            look=self._left_undone,
            health=health,
            emit=emit,
        )
        self._transferring: Transfer | None = None
        self._staying: Counter[str] = Counter()
        self._fronts: dict[str, KnownFront] = {}
        self._wakes = 0
        """How often new mail was heard of."""
        self.folder_watch = FolderWatch(
            alias,
            inbox,
            emit,
            every_seconds=self._options.folder_counts_seconds,
            junk_is_read=_JUNK in self._options.folders,
            changed=self.wake.set,  # the next pass says so
        )
        self._schedule = PollSchedule(
            self._options.poll_interval_seconds,
            self._options.poll_interval_seconds * _QUIET_FACTOR,
            max(self._options.listing_interval_seconds, self._options.poll_interval_seconds),
            random.random,
        )

    @property
    def part(self) -> str:
        """The name of this reader in `/health`."""
        return reading_part(self.alias)

    @property
    def holds(self) -> bool:
        """Whether this worker has the mailbox's lease."""
        return self._holds

    @property
    def in_flight(self) -> int:
        """How many mails are between their publish and their removal: what a crash now would repeat."""
        return (
            self._transferring.unconfirmed if self._transferring is not None else 0
        ) + self._known.receipts.held_count

    async def run(self, stop: asyncio.Event) -> None:
        """Read whenever the mailbox is this worker's, until `stop` is set; what is under way is finished first."""
        async with contextlib.aclosing(self._large), contextlib.aclosing(self._standing_by):
            while not stop.is_set():
                wait = 0.0
                try:
                    await self._publisher_ready(stop)
                    if not stop.is_set():
                        async with self._publisher.lease(reader_lease(self.alias)) as lost:
                            wait = await self._read_as_owner(stop, lost)
                except QueueTaken:
                    await self._stand_by(stop)
                except BridgeError as error:
                    self._standing_by.end()
                    wait = self._reading.fail(error)
                await wait_for_any(wait, stop)

    async def _read_as_owner(self, stop: asyncio.Event, lost: asyncio.Event) -> float:
        """Read until there is a reason to leave the mailbox; return for how long to leave it to others then."""
        self._standing_by.end(owned=True)
        self._elsewhere = False
        self._reading.begin()
        self._holds = True
        self._parking.begin()
        self._fronts.clear()
        self._emit(MailboxTaken(self.alias))
        why = "trouble"
        try:
            async with any_of(stop, lost) as ended, self.folder_watch.running(ended):
                with self._notices.watching(self._woken) if self._notices else contextlib.nullcontext():
                    wait = await self._read(ended)
                if stop.is_set():
                    await self._remove_what_is_held(stop, lost)
                why = "stopping" if stop.is_set() else "lost" if lost.is_set() else why
        except BridgeError:
            raise
        except Exception:
            await self._remove_after_a_bug(lost)
            raise
        finally:
            self._holds = False
            self._emit(MailboxLeft(self.alias, why))
            if why == "lost":
                self._reading.lose()
        return wait

    async def _read(self, ended: asyncio.Event) -> float:
        woken = False
        while not ended.is_set():
            started = self._clock.monotonic()
            self._reading.alive()
            try:
                self.wake.clear()
                published = await self.read_once(ended)
            except BridgeError as error:
                wait, self._listing.low_priority = self._reading.fail(error), False
                # Not while receipts are held: whoever came next would publish those mails again.
                if isinstance(error, _MAY_BE_THIS_WORKER) and not self._known.receipts.owes:
                    return wait
                await wait_for_any(wait, ended)
            else:
                self._report_pass(published)
                await wait_for_any(self._schedule.after_wake(published=published) if woken else 0.0, ended)
                woken, self._listing.low_priority = self.wake.is_set(), False
                wait = self._until_next(published, self._clock.monotonic() - started)
                if not (published or woken):  # otherwise more may have come meanwhile
                    self._reading.waits(wait)
                    await wait_for_any(wait, ended, self.wake)
                    woken = self.wake.is_set()
                    if not (woken or ended.is_set()):
                        self._listing.low_priority = self._is_notified
                        self._emit(MailboxWoken(self.alias, "interval"))
        return 0.0

    def _report_pass(self, published: int) -> None:
        self._reading.finish(published, self._staying, self.folder_watch.concerns)

    async def _remove_what_is_held(self, stop: asyncio.Event, lost: asyncio.Event) -> None:
        """
        Return once every mail that is published is removed, or the mailbox is lost.

        Whoever reads it next would publish the others again. Who stops the worker says for how long this may be tried.
        """
        while self._known.receipts.held_count and not lost.is_set():
            try:
                await self._transfer(stop).run(())
            except BridgeError as error:
                wait = self._reading.fail(error)
                # Exchange may be back any moment, and there is little time; but what it states counts.
                await wait_for_any(wait if isinstance(error, MailboxThrottled) else min(wait, _LAST_WAIT_SECONDS), lost)

    async def _remove_after_a_bug(self, lost: asyncio.Event) -> None:
        """Try once to remove what is published, before another worker has the mailbox and publishes it again."""
        if self._known.receipts.held_count and not lost.is_set():
            with contextlib.suppress(Exception):  # the bug is told of, and may be in the removal
                await asyncio.wait_for(self._transfer(lost).run(()), _LAST_REMOVAL_SECONDS)

    def _woken(self, reason: str) -> None:
        if not self.wake.is_set():
            self._emit(MailboxWoken(self.alias, reason))
        self._wakes += 1
        self.wake.set()

    @property
    def _is_notified(self) -> bool:
        return self._notices is not None and self._notices.is_notified

    def _until_next(self, published: int, seconds: float) -> float:
        wait = self._schedule.after(
            published=published,
            seconds=seconds,
            told=self._is_notified,
            settled=not (self._staying or self._known.receipts.owes or self._parking.stopped or self._reading.failing),
        )
        return until_tick(wait, self._clock.monotonic()) if self._is_notified else wait

    async def _stand_by(self, stop: asyncio.Event) -> None:
        self._standing_by.report()
        if not self._elsewhere:
            self._elsewhere = True
            self._reading.leave()
            self._emit(MailboxElsewhere(self.alias))
        if self._known.receipts.held_count:
            # Confirmed while the mailbox was this worker's. The receipts are good for ever.
            with contextlib.suppress(BridgeError):  # who reads the mailbox meets the same trouble, and tells of it
                await self._transfer(stop).run(())
        await wait_for_any(self._options.standby_seconds * random.uniform(0.5, 1.0), stop)  # noqa: S311 - spread

    async def _left_undone(self) -> Sequence[str]:
        """Return the oldest mails of each folder that wait: who works takes some away, and others may have to stay."""
        with low_priority():
            listings = [await self._inbox.list_waiting(folder, limit=_LOOK_COUNT) for folder in self._options.folders]
        return [ref.message_id for listing in listings for ref in listing.refs]

    async def read_once(self, stop: asyncio.Event) -> int:
        """
        List every watched folder to its end and move what waits; return how many mails were published.

        Raises:
            BridgeError: The pass ended early.
        """
        self._staying.clear()
        await self._publisher_ready(stop)
        return sum([await self._read_folder(folder, stop) for folder in self._options.folders])

    async def _publisher_ready(self, stop: asyncio.Event) -> None:
        """Wait for the broker before Exchange is asked for anything; health shows the broker's own trouble."""
        ready = asyncio.ensure_future(self._publisher.wait_ready())
        stopped = asyncio.ensure_future(stop.wait())
        try:
            timeout = _AT_ONCE_SECONDS
            while not ready.done() and not stopped.done():
                await asyncio.wait({ready, stopped}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                timeout = 1.0
                if not ready.done() and (trouble := self._publisher.trouble):
                    self._reading.wait_for_broker(trouble)
            if ready.done():
                await ready
        finally:
            for task in (ready, stopped):
                task.cancel()
            await asyncio.gather(ready, stopped, return_exceptions=True)

    async def _read_folder(self, folder: str, stop: asyncio.Event) -> int:
        """Move what waits behind the mails that are known to stay, and now and then what waits in the whole folder."""
        front = self._fronts.get(folder)
        if front is not None and front.is_good(self._clock.monotonic(), self._known.deferrals.changes):
            published = await self._read_behind(folder, front, stop)
            if published is not None:
                return published
        made = KnownFront(self._known.deferrals.changes)
        published = await self._read_pages(folder, made, 0, stop, known=front)
        if not stop.is_set():
            made.listed(self._clock.monotonic(), self._options.keep_seconds)
            self._fronts[folder] = made
        return published

    async def _read_behind(self, folder: str, front: KnownFront, stop: asyncio.Event) -> int | None:
        """Move what waits behind the front of a folder; return None where the front is no more what it was."""
        self._staying += front.codes
        front.go_on()
        try:
            return await self._read_pages(folder, front, front.count - 1, stop)
        except FrontChanged:
            self._staying -= front.codes
            self._fronts.pop(folder, None)
            return None

    async def _read_pages(
        self, folder: str, front: KnownFront, offset: int, stop: asyncio.Event, *, known: KnownFront | None = None
    ) -> int:
        """
        List a folder to its end and move what waits; the front is extended by what stays.

        Where a front was `known` already, new mail that is heard of on the way does not wait for the end.

        Raises:
            FrontChanged: The listing began behind a front that is no more what it was.
        """
        published, behind, wakes = 0, offset > 0, self._wakes
        while not stop.is_set():
            if self._known.receipts.too_many_unremovable:
                self._known.receipts.retry_unremovable()
            if self._known.receipts.held_count:
                # Before anything new is published: what is confirmed must be removable.
                await self._transfer(stop).run(())
            listing = await self._listing.page(folder, front, offset, stop, behind=behind)
            if listing is None:
                break
            refs = listing.refs[1:] if behind else listing.refs
            offset, behind = front.count if behind else offset, False
            due = self._known.due(refs)
            if self._known.receipts.irremovable(refs):
                raise RemovalImpossible("Exchange says that removed mails are gone and lists them all the same")
            transfer = self._transfer(stop)
            await transfer.run(due)
            published += transfer.published
            staying = Counter(filter(None, map(self._known.code, refs)))
            self._staying += staying
            front.extend(refs, self._known.standing)
            if listing.complete or not listing.refs:
                break
            offset += staying.total()
            if known is not None and known.long and self._wakes != wakes:
                wakes, staying = self._wakes, self._staying.copy()
                passed = await self._read_behind(folder, known, stop)
                published, known = published + (passed or 0), known if passed is not None else None
                self._staying = staying  # what is behind is listed once more, and counted then
        return published

    def _transfer(self, stop: asyncio.Event) -> Transfer:
        self._transferring = Transfer(
            alias=self.alias,
            inbox=self._inbox,
            publisher=self._publisher,
            known=self._known,
            parking=self._parking,
            brake=self._brake,
            window=self._window,
            budget=self._budget,
            large=self._large,
            limits=self._options.limits,
            clock=self._clock,
            emit=self._emit,
            progress=self._reading.progress,
            stop=stop,
        )
        return self._transferring
