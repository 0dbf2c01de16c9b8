"""
Large mails of one mailbox on their way to the blob store.

Those behind one wait for it, for the order of mails; but not for as long as a store may take that hangs. Then one large
mail goes on by itself, the others pass it, and a later page publishes it. Other large mails wait for that one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from bridge.domain.batches import is_large
from bridge.domain.mail import FailedFetch
from bridge.errors import BlobStoreUnavailable, BlobStoreUnusable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bridge.domain.mail import Fetched, MailRef, ReadMail
    from bridge.errors import BridgeError
    from bridge.flow.byte_budget import ByteBudget
    from bridge.ingest.deferrals import Deferrals
    from bridge.ports.broker import Message

SLOW: Final = "blob_store_slow"
_PATIENCE_SECONDS: Final = 10.0
_IN_TROUBLE_SECONDS: Final = 1.0
"""Once the store is known to be slow; each try would hold up the mailbox otherwise."""
_SLOWEST_BYTES_PER_SECOND: Final = 4 << 20
"""Reading and storing the largest mail so may hold up the others for less than a minute."""


@dataclass(frozen=True, slots=True)
class _Passed:
    """A mail that others pass."""

    mail: ReadMail
    task: asyncio.Task[Sequence[Message]]


class LargeMails:
    """What is under way of them; lost without harm."""

    def __init__(
        self,
        compose: Callable[[ReadMail], Awaitable[Sequence[Message]]],
        deferrals: Deferrals,
        budget: ByteBudget,
        wake: Callable[[], None],
        *,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> None:
        self._compose = compose
        self._deferrals = deferrals
        self._budget = budget
        self._wake = wake
        self._patience_seconds = patience_seconds
        self._passed: _Passed | None = None
        self._slow = False

    async def begin(self, ref: MailRef, trouble: BridgeError | None) -> tuple[Callable[[], None], Fetched | None]:
        """Return what gives back the room for a mail, and what is known of it already, so that it is not fetched."""
        passed = self._passed
        if passed is not None and passed.task.done() and passed.mail.ref.item_id == ref.item_id:
            return _nothing, passed.mail
        if trouble is None and passed is not None and not passed.task.done():
            trouble = _too_slow()
        if trouble is not None:
            # It would cost Exchange's allowance for the same answer.
            return _nothing, FailedFetch(ref, trouble)
        try:
            async with asyncio.timeout(self._patience(ref)):
                taken = await self._budget.take(ref.size_bytes)
        except TimeoutError:
            return _nothing, FailedFetch(ref, _too_slow())
        return partial(self._budget.give_back, taken), None

    async def compose(self, mail: ReadMail) -> Sequence[Message]:
        """
        Return the messages for a mail, large or not.

        Raises:
            BlobStoreUnavailable: It takes long, and goes on; or another does.
            BridgeError: Whatever composing it raises.
        """
        if not is_large(mail.ref):
            return await self._compose(mail)
        passed = self._passed
        if passed is not None and passed.mail is mail:
            self._passed = None
            return passed.task.result()
        if passed is not None and not passed.task.done():
            raise _too_slow()
        task = asyncio.ensure_future(self._compose(mail))
        try:
            await asyncio.wait({task}, timeout=self._patience(mail.ref))
        except asyncio.CancelledError:
            task.cancel()
            raise
        if task.done():
            self._slow = isinstance(task.exception(), BlobStoreUnavailable | BlobStoreUnusable)
            return task.result()
        self._slow, self._passed = True, _Passed(mail, task)
        task.add_done_callback(self._done)
        raise _too_slow()

    def when_done(self, ref: MailRef, settled: Callable[[], None]) -> None:
        """Call `settled` once nothing of a mail is under way, which may be now."""
        passed = self._passed
        if passed is not None and passed.mail.ref.item_id == ref.item_id and not passed.task.done():
            passed.task.add_done_callback(lambda _: settled())
        else:
            settled()

    async def aclose(self) -> None:
        """Give up what is under way: the mail is in its mailbox still."""
        passed, self._passed = self._passed, None
        if passed is not None:
            passed.task.cancel()
            await asyncio.gather(passed.task, return_exceptions=True)

    def _done(self, task: asyncio.Task[Sequence[Message]]) -> None:
        if task.cancelled():
            return
        self._slow = task.exception() is not None
        self._deferrals.try_again(SLOW)
        self._wake()

    def _patience(self, ref: MailRef) -> float:
        if self._slow:
            return min(self._patience_seconds, _IN_TROUBLE_SECONDS)
        return self._patience_seconds + ref.size_bytes / _SLOWEST_BYTES_PER_SECOND


def _nothing() -> None:
    """Give nothing back."""


def _too_slow() -> BlobStoreUnavailable:
    return BlobStoreUnavailable("a large mail takes long", code=SLOW)
