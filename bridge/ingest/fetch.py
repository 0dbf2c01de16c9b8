"""The first stage: mails are fetched in batches, ahead of their publish, within a budget of bytes."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bridge.domain.batches import batches, is_large
from bridge.domain.mail import FailedFetch, FetchedMail, SpooledMail
from bridge.errors import BridgeError, MessageError
from bridge.flow.waiting import report_bug, unless_set
from bridge.telemetry.ingest_events import MailsFetched

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

    from bridge.domain.batches import Window
    from bridge.domain.mail import Fetched, MailRef
    from bridge.flow.byte_budget import ByteBudget
    from bridge.ingest.large_mails import LargeMails
    from bridge.ingest.limits import TransferLimits
    from bridge.ingest.page import Page
    from bridge.ports.clock import Clock
    from bridge.ports.inbox import Inbox
    from bridge.telemetry.events import Emit

UNEXPECTED = "unexpected_error"
"""The code of a mail that met a bug."""


@dataclass(frozen=True, slots=True)
class FetchedBatch:
    """Mails of one call, one outcome for each."""

    mails: Sequence[Fetched]
    give_back: Callable[[], None]
    """Gives their bytes back to the budget, once all are settled."""


class MailFetch:
    """Of one mailbox."""

    def __init__(
        self,
        *,
        alias: str,
        inbox: Inbox,
        window: Window,
        budget: ByteBudget,
        large: LargeMails,
        limits: TransferLimits,
        clock: Clock,
        emit: Emit,
    ) -> None:
        self._alias = alias
        self._inbox = inbox
        self._window = window
        self._budget = budget
        self._large = large
        self._limits = limits
        self._clock = clock
        self._emit = emit

    async def batches(self, refs: Sequence[MailRef], page: Page) -> AsyncGenerator[FetchedBatch, None]:
        """Yield the mails in order, in batches, until the page is over or stopped; the next ones are on their way."""
        planned = self._plan(refs)
        under_way: deque[asyncio.Task[FetchedBatch]] = deque()
        try:
            while not page.stop.is_set() and not page.over:
                ahead = 1 if self._window.size < self._window.largest else self._limits.fetches_in_flight
                while len(under_way) < ahead and (batch := next(planned, None)) is not None:
                    under_way.append(asyncio.create_task(self._fetch(batch, page)))
                if not under_way:
                    return
                # A call that hangs holds up no stop.
                await unless_set(page.stop, asyncio.wait({under_way[0]}))
                if under_way[0].done():
                    yield under_way.popleft().result()
        finally:
            for task in under_way:
                task.cancel()
            for outcome in await asyncio.gather(*under_way, return_exceptions=True):
                if isinstance(outcome, FetchedBatch):
                    outcome.give_back()

    def _plan(self, refs: Sequence[MailRef]) -> Iterator[Sequence[MailRef]]:
        """Yield batches; after a failure one mail at a time at first, since one of these may have spoiled its batch."""
        alone = self._limits.batch.count if self._window.size < self._window.largest else 0
        for ref in refs[:alone]:
            yield [ref]
        yield from batches(refs[alone:], self._limits.batch)

    async def _fetch(self, refs: Sequence[MailRef], page: Page) -> FetchedBatch:
        if is_large(refs[0]):
            give_back, known = await self._large.begin(refs[0], page.store_trouble)
            if known is not None:
                return FetchedBatch([known], give_back)
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
        return FetchedBatch(fetched, give_back)

    async def _fetched(self, refs: Sequence[MailRef]) -> Sequence[Fetched]:
        """Fetch mails; one that a bug keeps from being read fails alone."""
        try:
            return await self._inbox.fetch(refs)
        except BridgeError:
            raise
        except Exception as bug:  # noqa: BLE001 - over one mail the others must not wait, nor the mailbox stop
            report_bug("mails were not fetched", bug)
        if len(refs) == 1:
            return [FailedFetch(refs[0], MessageError(code=UNEXPECTED))]
        return [mail for ref in refs for mail in await self._fetched([ref])]
