"""Parks the mails that can be neither fetched nor carried: announced first, then moved out of the others' way."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from bridge.domain.parking import ParkingLimit, ParkingWindow
from bridge.errors import BridgeError, MessageError, PublishUnroutable
from bridge.flow.writable import until_writable
from bridge.telemetry.ingest_events import MailParked
from bridge.wire import event_v1

if TYPE_CHECKING:
    import asyncio

    from bridge.domain.mail import MailRef
    from bridge.ingest.known_mails import KnownMails
    from bridge.ports.broker import Publisher, PublishReceipt
    from bridge.ports.clock import Clock
    from bridge.ports.inbox import Inbox
    from bridge.telemetry.events import Emit

_AT_A_TIME = 50


class MailParking:
    """
    What of one mailbox is to be parked, and how much of it lately was.

    `inbound.parked` is confirmed before the mail is moved. A crash in between repeats the event under its event id; a
    mail that cannot be moved stays in the inbox. A burst of bad mail is no bad mail: from the limit on mails stay where
    they are, and the mailbox says so, until some time has passed or they can be read after all.
    """

    def __init__(
        self,
        *,
        alias: str,
        inbox: Inbox,
        publisher: Publisher,
        known: KnownMails,
        clock: Clock,
        emit: Emit,
        limit: ParkingLimit | None = None,
    ) -> None:
        self._alias = alias
        self._inbox = inbox
        self._publisher = publisher
        self._known = known
        self._clock = clock
        self._emit = emit
        self._limit = limit or ParkingLimit()
        self.begin()
        self._waiting: dict[str, tuple[MailRef, str]] = {}
        self.stopped = False
        """Whether mails stay in the inbox for nothing but the limit."""

    def begin(self) -> None:
        """Count anew, from what lies in the folder: another worker may have parked meanwhile, or this one before."""
        self._window = ParkingWindow(self._limit)
        self._begun_at: float = self._clock.monotonic()
        self._counts_all = False

    def wants(self, ref: MailRef, code: str) -> None:
        """Park a mail when `park` is called next."""
        self._waiting[ref.item_id] = (ref, code)

    async def park(self, stop: asyncio.Event) -> None:
        """
        Announce and move what waits; once `stop` is set nothing more, whoever reads the mailbox then finds it again.

        Raises:
            BridgeError: The broker or Exchange cannot at the moment; what was not moved is tried again.
        """
        waiting, self._waiting = list(self._waiting.values()), {}
        if not waiting:
            self.stopped = self.stopped and not self._window.is_open(self._clock.monotonic())
            return
        if not await self._knows_how_many():
            self.stopped = True
            for ref, code in waiting:
                self._known.deferrals.defer(ref, code)
            return
        codes = {ref.item_id: code for ref, code in waiting}
        for start in range(0, len(waiting), _AT_A_TIME):
            announced = [
                (ref, code, receipt)
                for ref, code in waiting[start : start + _AT_A_TIME]
                if (receipt := await self._announced(ref, code, stop)) is not None
            ]
            for removal in await self._inbox.park(announced) if announced else ():
                code = codes[removal.ref.item_id]
                if removal.error is None:
                    self._known.forget(removal.ref)
                    self._emit(MailParked(self._alias, removal.ref.message_id, code))
                else:
                    self._known.deferrals.defer(removal.ref, removal.error.code)

    async def _knows_how_many(self) -> bool:
        """
        Return whether all that was parked lately is counted; where the folder does not tell, it is after that time.

        Until then nothing is parked: mails stay in the inbox, where nobody loses them, and others pass.
        """
        now = self._clock.monotonic()
        if not self._counts_all and now - self._begun_at < self._limit.within_seconds:
            try:
                ages = await self._inbox.parked_lately(self._limit.within_seconds, limit=self._limit.mails)
            except BridgeError:
                return False
            self._window.learn(now, ages)
        self._counts_all = True
        return True

    async def _announced(self, ref: MailRef, code: str, stop: asyncio.Event) -> PublishReceipt | None:
        await until_writable(self._publisher, stop.is_set)
        if stop.is_set():
            return None
        now = self._clock.monotonic()
        self.stopped = not self._window.is_open(now, ref.item_id)
        if self.stopped:
            self._known.deferrals.defer(ref, code)
            return None
        self._window.count(now, ref.item_id)
        event = event_v1.build(
            "inbound.parked",
            mailbox=self._alias,
            at=self._clock.now(),
            message_id=ref.message_id,
            about=ref.item_id,
            code=cast("event_v1.Code", code if code in event_v1.CODES else BridgeError.code),
        )
        try:
            return await self._publisher.publish(event_v1.message_of(event))
        except (PublishUnroutable, MessageError) as error:
            # Nobody would hear of it.
            self._known.deferrals.defer(ref, error.code)
            return None
