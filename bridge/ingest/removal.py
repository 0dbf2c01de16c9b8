"""The last stage: mails that the broker confirmed leave their folder, against their receipts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.errors import BridgeError, MessageError, OperatorError, RemovalImpossible
from bridge.telemetry.ingest_events import MailsRemoved

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.domain.mail import MailRef
    from bridge.ingest.page import Page
    from bridge.ingest.receipts import Receipts
    from bridge.ports.broker import PublishReceipt
    from bridge.ports.clock import Clock
    from bridge.ports.inbox import Inbox
    from bridge.telemetry.events import Emit

_BATCH_COUNT = 100
_LINGER_SECONDS = 0.02  # more receipts are on their way: a moment's wait makes one call of many


class MailRemoval:
    """Of one mailbox; a mail that the broker did not confirm has no receipt, and so cannot be removed."""

    def __init__(
        self,
        *,
        alias: str,
        inbox: Inbox,
        receipts: Receipts,
        clock: Clock,
        emit: Emit,
        progress: Callable[[], None],
    ) -> None:
        self._alias = alias
        self._inbox = inbox
        self._receipts = receipts
        self._clock = clock
        self._emit = emit
        self._progress = progress

    async def run(self, page: Page) -> None:
        """Remove what is confirmed until all of the page is fed and nothing is held that was not tried."""
        try:
            await self._remove_as_receipts_arrive(page)
        except Exception as bug:  # noqa: BLE001 - raised by the transfer; the feeder must not wait for removals until then
            page.fail_by_bug(bug)
        finally:
            page.change()

    async def _remove_as_receipts_arrive(self, page: Page) -> None:
        tried: set[str] = set()
        while True:
            held = self._next_batch(tried)
            if not held:
                if not page.feeding:
                    return
                await page.wait_for_change()
                continue
            if len(held) < _BATCH_COUNT and page.unconfirmed:
                await self._clock.sleep(_LINGER_SECONDS)
                held = self._next_batch(tried)
            tried.update(ref.item_id for ref, _ in held)
            await self._remove(held, page)
            self._progress()

    def _next_batch(self, tried: set[str]) -> Sequence[tuple[MailRef, PublishReceipt]]:
        return [entry for entry in self._receipts.held() if entry[0].item_id not in tried][:_BATCH_COUNT]

    async def _remove(self, held: Sequence[tuple[MailRef, PublishReceipt]], page: Page) -> None:
        try:
            removals = await self._inbox.remove(held)
        except BridgeError as error:
            page.fail(_removal_error(error))
            return
        gone = [removal.ref for removal in removals if removal.error is None]
        for ref in gone:
            self._receipts.mark_removed(ref)
        page.change()
        if gone:
            self._emit(MailsRemoved(self._alias, len(gone)))
        for removal in removals:
            if isinstance(removal.error, OperatorError | MessageError):
                self._receipts.mark_unremovable(removal.ref, _removal_code(removal.error))
            elif removal.error is not None:
                page.fail(removal.error)
        if self._receipts.too_many_unremovable:
            code = self._receipts.unremovable_code
            page.fail(RemovalImpossible("published mails cannot be removed one by one", code=code))


def _removal_error(error: BridgeError) -> BridgeError:
    """A removal that a person must make possible stops the reading: more would be repeated for ever after a restart."""
    if not isinstance(error, OperatorError | MessageError):
        return error
    refused = f" ({error.detail})" if error.detail else ""
    return RemovalImpossible(f"published mails cannot be removed{refused}", code=_removal_code(error))


def _removal_code(error: BridgeError) -> str:
    """Return what a person mends: the reason that `bridge check` gives, where the refusal has one."""
    return error.code if isinstance(error, OperatorError) else RemovalImpossible.code
