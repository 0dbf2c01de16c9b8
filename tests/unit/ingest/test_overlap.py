"""Listing, fetching, publishing and removing go on at the same time for one mailbox, and its mails stay in order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bridge.domain.batches import BatchLimits
from bridge.ingest.limits import TransferLimits
from bridge.ingest.reader import IngestOptions
from tests.support.memory.inbox import MemoryInbox, StoredMail
from tests.unit.ingest.doubles import a_mail, compose
from tests.unit.ingest.test_reader import Bench

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.domain.mail import Fetched, MailRef, ReadMail, Removal
    from bridge.ports.broker import Message, PublishReceipt

_BATCH, _BATCHES, _AHEAD = 5, 12, 3


class Overlapping(MemoryInbox):
    """Answers no call before later ones have begun: whoever did one after the other would wait for ever."""

    def __init__(self, *mails: StoredMail) -> None:
        super().__init__(*mails)
        self.begun = self.most = self._under_way = 0
        self.finished: list[int] = []
        self._changed = asyncio.Condition()

    async def fetch(self, refs: Sequence[MailRef]) -> Sequence[Fetched]:
        number, self.begun = self.begun, self.begun + 1
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        await self._until_begun(number + _AHEAD)
        if number % 2 == 0:  # of two, the later one is answered first
            await asyncio.sleep(0.001)
        self._under_way -= 1
        self.finished.append(number)
        return await super().fetch(refs)

    async def remove(self, published: Sequence[tuple[MailRef, PublishReceipt]]) -> Sequence[Removal]:
        last = max(int(ref.message_id[1:]) for ref, _ in published)
        await self._until_begun(last // _BATCH + _AHEAD)
        return await super().remove(published)

    async def _until_begun(self, count: int) -> None:
        async with self._changed:
            self._changed.notify_all()
            await self._changed.wait_for(lambda: self.begun >= min(count, _BATCHES))


async def test_fetches_publishes_and_removals_overlap_and_mails_stay_in_order() -> None:
    mails = [a_mail(number) for number in range(_BATCH * _BATCHES)]
    limits = TransferLimits(batch=BatchLimits(_BATCH, 10_000), fetches_in_flight=_AHEAD)
    bench = Bench(options=IngestOptions(limits=limits))
    bench.inbox = bench.reader._inbox = bench.reader._listing._inbox = inbox = Overlapping(*mails)
    left_at_publish: list[int] = []

    def answer(_: Message) -> None:
        left_at_publish.append(len(inbox.mails))

    bench.publisher.answer = answer
    async with asyncio.timeout(30):
        assert await bench.once() == len(mails)

    assert inbox.mails == []
    assert inbox.most == _AHEAD
    assert inbox.finished != sorted(inbox.finished)
    assert bench.publisher.ids == [mail.ref.message_id for mail in mails]
    assert left_at_publish[-1] < len(mails), "nothing was removed before all was published"


async def test_however_long_mails_take_to_read_everything_else_has_its_turn_after_each() -> None:
    """Heartbeats, other mailboxes and what streams say wait for one mail at most, not for a batch of them."""
    bench = Bench(*(a_mail(number) for number in range(40)))
    turns, loop = 0, asyncio.get_running_loop()
    read_at: list[int] = []

    def turn() -> None:
        nonlocal turns
        turns += 1
        loop.call_soon(turn)

    async def compose_at_once(mail: ReadMail) -> Sequence[Message]:
        read_at.append(turns)
        return await compose(mail)

    bench.reader._large._compose = compose_at_once
    loop.call_soon(turn)
    assert await bench.once() == 40

    assert len(set(read_at)) == 40
