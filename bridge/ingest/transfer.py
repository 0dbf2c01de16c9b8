"""
One page of mails from the inbox to the broker: fetched in batches, published in order, removed against receipts.

The stages overlap and push back on each other: fetches run ahead within a byte budget, many confirms are outstanding,
removals take whatever receipts have come in meanwhile. A crash in between publishes mails again on restart, under the
same message_id. Repeats are the consumer's to drop; loss is not an option.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from bridge.domain.batches import batches, is_large
from bridge.domain.mail import FailedFetch, FetchedMail, SpooledMail, UnconvertibleMail, VanishedMail
from bridge.errors import (
    BlobStoreUnavailable,
    BlobStoreUnusable,
    BridgeError,
    CallNotPossible,
    CallRefused,
    MailboxAccessDenied,
    MailboxThrottled,
    MailboxUnavailable,
    MailUnreadable,
    MessageError,
    MessageTooLarge,
    OperatorError,
    PublishedTooOften,
    PublishRefused,
    PublishUnconfirmed,
    PublishUnroutable,
    RemovalImpossible,
)
from bridge.flow.waiting import report_bug, unless_set
from bridge.flow.writable import until_writable
from bridge.ingest.mail_memory import removal_code, removal_error
from bridge.telemetry.ingest_events import MailPublished, MailsFetched, MailsRemoved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bridge.domain.batches import Window
    from bridge.domain.mail import Fetched, MailRef, ReadMail
    from bridge.domain.publish_brake import PublishBrake
    from bridge.flow.byte_budget import ByteBudget
    from bridge.ingest.large_mails import LargeMails
    from bridge.ingest.limits import TransferLimits
    from bridge.ingest.mail_memory import MailMemory
    from bridge.ingest.parking import MailParking
    from bridge.ports.broker import Message, Publisher, PublishReceipt
    from bridge.ports.clock import Clock
    from bridge.ports.inbox import Inbox
    from bridge.telemetry.events import Emit

# A token and credentials concern every mail.
_MAY_BE_THE_MAIL = (MailboxUnavailable, CallRefused, CallNotPossible, MailboxAccessDenied)
_UNEXPECTED = "unexpected_error"
_REMOVAL_COUNT = 100
_TRY_AGAIN_SECONDS = 2.0
_REMOVAL_LINGER_SECONDS = 0.02  # more receipts are on their way: a moment's wait makes one call of many


class Transfer:
    """Moves one page of mails of one mailbox; made anew for each page."""

    def __init__(
        self,
        *,
        alias: str,
        inbox: Inbox,
        publisher: Publisher,
        memory: MailMemory,
        parking: MailParking,
        brake: PublishBrake,
        window: Window,
        budget: ByteBudget,
        large: LargeMails,
        limits: TransferLimits,
        clock: Clock,
        emit: Emit,
        progress: Callable[[], None],
    ) -> None:
        self._alias = alias
        self._inbox = inbox
        self._publisher = publisher
        self._memory = memory
        self._parking = parking
        self._brake = brake
        self._window = window
        self._budget = budget
        self._large = large
        self._limits = limits
        self._clock = clock
        self._emit = emit
        self._progress = progress
        self._failure: BridgeError | None = None
        self._store_trouble: BridgeError | None = None
        self._bug: BaseException | None = None
        self._stop = asyncio.Event()
        self._outstanding = 0
        self._changed = asyncio.Event()
        self._feeding = True
        self._untaken_streak = 0
        self.published = 0

    @property
    def _over(self) -> bool:
        return self._failure is not None or self._bug is not None

    @property
    def unconfirmed(self) -> int:
        """How many publishes have no answer yet."""
        return self._outstanding

    async def run(self, refs: Sequence[MailRef], stop: asyncio.Event) -> None:
        """
        Publish the mails, remove what was confirmed, and park what can never pass; the memory has what stays, and why.

        Raises:
            BridgeError: The pass ended early; mails that were confirmed are removed or held for removal.
        """
        self._stop = stop
        remover = asyncio.create_task(self._remove_to_the_end())
        try:
            await self._feed([ref for ref in refs if self._may_be_published(ref)], stop)
            await self._settle()
        finally:
            self._feeding = False
            self._changed.set()
            await remover
        if self._bug is not None:
            self._window.narrow()  # where it repeats, each worker publishes one mail before it meets it, not hundreds
            raise self._bug
        if self._failure is not None:
            self._window.narrow()
            raise self._failure
        await self._parking.park(stop)

    async def _feed(self, refs: Sequence[MailRef], stop: asyncio.Event) -> None:
        """Fetch ahead, publish in order."""
        planned = self._plan(refs)
        under_way: deque[asyncio.Task[tuple[Callable[[], None], Sequence[Fetched]]]] = deque()
        try:
            while not stop.is_set() and not self._over:
                ahead = 1 if self._window.size < self._window.largest else self._limits.fetches_in_flight
                while len(under_way) < ahead and (batch := next(planned, None)) is not None:
                    under_way.append(asyncio.create_task(self._fetch(batch)))
                if not under_way:
                    return
                await unless_set(stop, asyncio.wait({under_way[0]}))  # a call that hangs holds up no stop
                if under_way[0].done():
                    give_back, fetched = under_way.popleft().result()
                    await self._publish_batch(fetched, give_back)
                    self._progress()
        finally:
            for task in under_way:
                task.cancel()
            for outcome in await asyncio.gather(*under_way, return_exceptions=True):
                if isinstance(outcome, tuple):
                    outcome[0]()

    def _plan(self, refs: Sequence[MailRef]) -> Iterator[Sequence[MailRef]]:
        """Yield batches; after a failure one mail at a time at first, since one of these may have spoiled its batch."""
        alone = self._limits.batch.count if self._window.size < self._window.largest else 0
        for ref in refs[:alone]:
            yield [ref]
        yield from batches(refs[alone:], self._limits.batch)

    async def _fetch(self, refs: Sequence[MailRef]) -> tuple[Callable[[], None], Sequence[Fetched]]:
        if is_large(refs[0]):
            give_back, known = await self._large.begin(refs[0], self._store_trouble)
            if known is not None:
                return give_back, [known]
        else:
            give_back = partial(self._budget.give_back, await self._budget.take(sum(ref.size_bytes for ref in refs)))
        started = self._clock.monotonic()
        try:
            fetched = await self._fetched(refs)
        except BaseException:
            give_back()
            raise
        read = [mail for mail in fetched if isinstance(mail, FetchedMail | SpooledMail)]
        sizes = [len(mail.mime) if isinstance(mail, FetchedMail) else mail.size for mail in read]
        self._emit(MailsFetched(self._alias, len(sizes), sum(sizes), self._clock.monotonic() - started))
        return give_back, fetched

    async def _fetched(self, refs: Sequence[MailRef]) -> Sequence[Fetched]:
        """Fetch mails; one that a bug keeps from being read fails alone."""
        try:
            return await self._inbox.fetch(refs)
        except BridgeError:
            raise
        except Exception as bug:  # noqa: BLE001 - over one mail the others must not wait, nor the mailbox stop
            report_bug("mails were not fetched", bug)
        if len(refs) == 1:
            return [FailedFetch(refs[0], MessageError(code=_UNEXPECTED))]
        return [mail for ref in refs for mail in await self._fetched([ref])]

    async def _publish_batch(self, fetched: Sequence[Fetched], give_back: Callable[[], None]) -> None:
        """Publish what was read; the bytes are given back when the last of the batch is settled."""
        left = len(fetched)

        def settled() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                give_back()

        for mail in fetched:
            match mail:
                case FetchedMail() | SpooledMail() | UnconvertibleMail() if not self._over:
                    await self._publish(mail, settled)
                    continue
                case FailedFetch(ref=ref, error=BlobStoreUnavailable() | BlobStoreUnusable() as error):
                    self._memory.keep(ref, error.code)
                case FailedFetch(ref=ref, error=MessageError() as error):
                    self._retry_or_park(ref, error.code)
                case FailedFetch(ref=ref, error=error):
                    self._fail(error, ref if len(fetched) == 1 else None)
                case VanishedMail(ref=ref):
                    if self._memory.blame(ref):  # listed again and again, and never found: a right is missing
                        self._memory.keep(ref, MailUnreadable.code)
            settled()

    async def _publish(self, mail: ReadMail, settled: Callable[[], None]) -> None:
        ref = mail.ref
        if not self._may_be_published(ref):  # copies of a mail have its message_id, and may be on one page
            settled()
            return
        *announcements, message = await self._composed(mail) or (None,)
        if message is not None:
            await self._until_there_is_room()
            await self._announce(announcements)
            await self._until_writable()
        # The mailbox may be another's by now: its lease goes with the connection, and there may be a new one already.
        if message is None or self._over or self._stop.is_set():
            self._large.when_done(ref, settled)
            return
        started = self._clock.monotonic()
        self._brake.count(ref.message_id, started)
        confirm = self._publisher.publish(message)
        self._outstanding += 1

        def on_answer(answer: asyncio.Future[PublishReceipt]) -> None:
            self._outstanding -= 1
            settled()
            self._note_answer(ref, message, started, answer)
            self._changed.set()

        confirm.add_done_callback(on_answer)

    def _may_be_published(self, ref: MailRef) -> bool:
        """Whether a mail may be published; one that was, again and again, stays, and the others pass."""
        allowed = self._brake.allows(ref.message_id, self._clock.monotonic())
        if not allowed:
            self._memory.keep(ref, PublishedTooOften.code)
        return allowed

    async def _announce(self, announcements: Sequence[Message]) -> None:
        """Publish what is told of a mail before the mail itself; whoever dies in between tells it again."""
        for announcement in announcements:
            await self._until_writable()
            if self._over:
                return
            try:
                await self._publisher.publish(announcement)
            except (PublishUnroutable, PublishRefused, MessageError):
                continue  # nobody listens, or has no room: the mail itself says the same, and must not wait for that
            except BridgeError as error:
                self._fail(error)

    async def _composed(self, mail: ReadMail) -> Sequence[Message] | None:
        """Return the messages for a mail, its own last; None where it stays or the page ends."""
        try:
            return await self._large.compose(mail)
        except MessageTooLarge as error:
            self._parking.wants(mail.ref, error.code)
        except MessageError as error:
            self._retry_or_park(mail.ref, error.code)
        except (BlobStoreUnavailable, BlobStoreUnusable) as error:
            self._store_trouble = error
            self._memory.keep(mail.ref, error.code)  # small mails need no store, and a page may be among them
        except BridgeError as error:
            self._fail(error)
        except Exception as bug:  # noqa: BLE001 - over one mail the others must not wait, nor the process end
            self._retry_or_park(mail.ref, _UNEXPECTED)
            report_bug("a mail was not composed", bug)
        return None

    async def _until_there_is_room(self) -> None:
        """Wait while as many mails are between publish and removal as a crash may repeat."""
        while not self._over and self._outstanding + self._memory.held_count >= min(
            self._limits.unconfirmed, self._window.size
        ):
            self._changed.set()  # the remover has not heard of a receipt that came late, for an earlier page
            await self._wait_for_change()

    async def _until_writable(self) -> None:
        """Return once the broker takes a publish; one that takes none for a while ends the page."""
        try:
            await until_writable(self._publisher, lambda: self._over or self._stop.is_set())
        except BridgeError as error:
            self._fail(error)

    def _note_answer(
        self, ref: MailRef, message: Message, started: float, answer: asyncio.Future[PublishReceipt]
    ) -> None:
        if answer.cancelled():
            self._bug = self._bug or asyncio.CancelledError()
            return
        match answer.exception():
            case None:
                self._memory.hold(ref, answer.result())
                self._memory.wanted(message.routing_key)
                self._window.widen()
                self._untaken_streak = 0
                self.published += 1
                waited = (self._clock.now() - ref.received_at).total_seconds() if ref.received_at is not None else None
                self._emit(
                    MailPublished(
                        mailbox=self._alias,
                        message_id=message.message_id,
                        routing_key=message.routing_key,
                        size_bytes=len(message.body),
                        publish_seconds=self._clock.monotonic() - started,
                        delivery_seconds=waited,
                    )
                )
            case PublishUnroutable() as error:
                self._brake.take_back(ref.message_id)
                self._memory.keep(ref, error.code, unwanted_key=message.routing_key)
                self._note_untaken(error)
            case PublishRefused() as error:
                self._memory.refuse(ref, message.routing_key)
                self._note_untaken(error)
            case MessageTooLarge() as error:
                self._parking.wants(ref, error.code)
            case MessageError() as error:
                self._retry_or_park(ref, error.code)
            case BridgeError() as error:
                self._fail(error)
            case bug:
                self._bug = self._bug or bug

    def _note_untaken(self, error: BridgeError) -> None:
        """End the page where many mails in a row are taken by no queue, or refused, and none has passed."""
        self._untaken_streak += 1
        if self._untaken_streak == self._memory.unwanted_limit and self.published == 0:
            self._memory.look_further()
            self._untaken_streak = 0  # for those that are under way still
            self._fail(error)

    async def _settle(self) -> None:
        """Wait for the outstanding confirms, though not for ever."""
        try:
            async with asyncio.timeout(self._limits.settle_seconds):
                while self._outstanding:
                    await self._wait_for_change()
        except TimeoutError:
            self._fail(PublishUnconfirmed("no answer in time"))

    async def _remove_to_the_end(self) -> None:
        try:
            await self._remove_as_receipts_arrive()
        except Exception as bug:  # noqa: BLE001 - raised by `run`; the feeder must not wait for removals until then
            self._bug = self._bug or bug
        finally:
            self._changed.set()

    async def _remove_as_receipts_arrive(self) -> None:
        """Remove what was confirmed, in batches; ends when all is fed and nothing is held that was not tried."""
        tried: set[str] = set()
        while True:
            held = [entry for entry in self._memory.held() if entry[0].item_id not in tried][:_REMOVAL_COUNT]
            if not held:
                if not self._feeding:
                    return
                await self._wait_for_change()
                continue
            if len(held) < _REMOVAL_COUNT and self._outstanding:
                await self._clock.sleep(_REMOVAL_LINGER_SECONDS)
                held = [entry for entry in self._memory.held() if entry[0].item_id not in tried][:_REMOVAL_COUNT]
            tried.update(ref.item_id for ref, _ in held)
            await self._remove(held)
            self._progress()

    async def _remove(self, held: Sequence[tuple[MailRef, PublishReceipt]]) -> None:
        try:
            removals = await self._inbox.remove(held)
        except BridgeError as error:
            self._fail(removal_error(error))
            return
        gone = [removal.ref for removal in removals if removal.error is None]
        for ref in gone:
            self._memory.removed(ref)
        self._changed.set()
        if gone:
            self._emit(MailsRemoved(self._alias, len(gone)))
        for removal in removals:
            if isinstance(removal.error, OperatorError | MessageError):
                self._memory.stick(removal.ref, removal_code(removal.error))
            elif removal.error is not None:
                self._fail(removal.error)
        if self._memory.too_many_stuck:
            code = self._memory.stuck_code
            self._fail(RemovalImpossible("published mails cannot be removed one by one", code=code))

    async def _wait_for_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _retry_or_park(self, ref: MailRef, code: str) -> None:
        """Try a mail that cannot pass a few times more, soon, before it is parked: what ails it may be Exchange's."""
        if self._memory.blame(ref):
            self._parking.wants(ref, code)
        else:
            self._memory.keep(ref, code, at_most_seconds=_TRY_AGAIN_SECONDS)

    def _fail(self, error: BridgeError, culprit: MailRef | None = None) -> None:
        """Remember the first failure; what is under way ends, nothing new starts."""
        # Exchange also says so of one mail that is too much for it. That makes none a bad one: it stays for a while.
        too_much = isinstance(error, MailboxThrottled) and error.retry_after_seconds is None
        if culprit is not None and too_much and self._memory.blame(culprit):
            self._memory.keep(culprit, error.code)
        if culprit is not None and isinstance(error, _MAY_BE_THE_MAIL):
            if self._memory.is_proved_bad(culprit):
                self._parking.wants(culprit, error.code)
                return
            if self._memory.blame(culprit):
                # It stood alone and failed again and again: let the others pass, if they can.
                self._memory.suspect(culprit)
                self._memory.keep(culprit, error.code, at_most_seconds=_TRY_AGAIN_SECONDS)
                return
        if self._failure is None:
            self._failure = error
        self._changed.set()
