"""Workers on a real mailbox whose every call waits for its cue, so that a way through the model can be gone again."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

from bridge.domain.outbound import Mailbox
from bridge.domain.outbound_records import CreatedDraft, EndReason, LedgerView
from bridge.domain.send_rate import Begun
from bridge.domain.trusted_time import TimeSpan
from bridge.egress.conclusion import Ended
from bridge.egress.options import SendOptions
from bridge.egress.send import SendRun
from bridge.egress.unsent_entries import UnsentEntries
from bridge.errors import SendOutcomeUnknown, SendRefused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

    from bridge.adapters.ews.sender import EwsSender
    from bridge.domain.outbound import AttachedFile
    from bridge.domain.outbound_records import SeenDraft, SeenMail, Stamp
    from bridge.ports.outbox import SendingMailbox
    from bridge.wire.outbound_v1 import OutboundRequest
    from tests.model.schedule import Event
    from tests.model.send_model import Rules

T = TypeVar("T")

_READS = frozenset({"drafts", "outbox", "ledger", "sent items"})
_ROUNDS = 20
_LEAVES_SECONDS = 30.0


class MovingClock:
    """The time as it is, until somebody makes it later; nobody waits."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def known(self) -> TimeSpan | None:
        return TimeSpan(self.now(), self.now())

    def certain_now(self) -> datetime | None:
        return self.now()

    def readings(self) -> tuple[float, ...]:
        return self.monotonic(), self.now().timestamp()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))


class Unlimited:
    """Lets every mail go out at once."""

    limited = False

    async def take_turn(self) -> Begun:
        return Begun(0.0, 1)

    def give_back(self, turn: Begun) -> None:
        """Count nothing."""

    def begin(self, attempt: str) -> None:
        """Count nothing."""

    async def clear(self, _attempt: str) -> bool:
        return True

    def in_time(self, _attempt: str) -> bool:
        return True

    def settle(self, turn: Begun, attempt: str) -> None:
        """Count nothing."""


class StagedMailbox:
    """A mailbox for one worker. Rules of the protocol that are about its calls can be left out here."""

    largest_mime_bytes = largest_attachment_bytes = largest_mail_bytes = 1 << 20

    def __init__(self, inner: EwsSender, rules: Rules, late: list[tuple[str, Callable[[], Awaitable[Any]]]]) -> None:
        self._inner = inner
        self._rules = rules
        self._late = late
        self._ledger: LedgerView | None = None
        self._cue: asyncio.Future[str] | None = None
        self.waits_with = ""
        """The call that waits for its cue."""
        self.free = False
        """Set: no call waits any more."""
        self.moved = asyncio.Event()
        self.stays_in_outbox = False
        """Set: mail that is sent waits there."""

    def go_on(self, how: str = "answered") -> None:
        """Let the call that waits be made."""
        assert self._cue is not None
        self.waits_with = ""
        self.moved.clear()
        self._cue.set_result(how)

    def set_free(self) -> None:
        """Let this and all further calls be made."""
        self.free = True
        if self.waits_with:
            self.go_on()

    async def _call(self, verb: str, make: Callable[[], Awaitable[T]]) -> T:
        how = "answered"
        if not self.free:
            self._cue = asyncio.get_running_loop().create_future()
            self.waits_with = verb
            self.moved.set()
            how = await self._cue
        if how == "refused":
            raise SendRefused("ErrorSendAsDenied")
        if how == "late":
            self._late.append((verb, make))
        else:
            made = await make()
            if how == "answered":
                return made
        raise SendOutcomeUnknown(how)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - what is no call of a request's waits for nothing
        return getattr(self._inner, name)

    async def create_draft(self, mime: bytes, stamp: Stamp) -> CreatedDraft:
        return await self._call("create", lambda: self._inner.create_draft(mime, stamp))

    async def create_draft_in_parts(
        self, mime: bytes, attachments: AsyncIterator[AttachedFile], stamp: Stamp
    ) -> CreatedDraft:
        return await self._call("create", lambda: self._inner.create_draft_in_parts(mime, attachments, stamp))

    async def find_drafts(self, request_id: str) -> Sequence[SeenDraft]:
        if not self._rules.drafts_before_ledger:
            self._ledger = await self._call("ledger", lambda: self._inner.find_in_ledger(request_id))
        return await self._call("drafts", lambda: self._inner.find_drafts(request_id))

    async def find_in_outbox(self, request_id: str) -> Sequence[SeenMail]:
        found = await self._call("outbox", lambda: self._inner.find_in_outbox(request_id))
        return found if self._rules.outbox_is_read else ()

    async def find_in_ledger(self, request_id: str) -> LedgerView:
        if self._ledger is not None:
            return self._ledger
        found = await self._call("ledger", lambda: self._inner.find_in_ledger(request_id))
        return found if self._rules.ledger else LedgerView()

    async def find_in_sent_items(
        self, request_id: str, *, since: datetime | None = None, deleted: bool = False
    ) -> Sequence[SeenMail]:
        return await self._call(
            "sent items", lambda: self._inner.find_in_sent_items(request_id, since=since, deleted=deleted)
        )

    async def void(self, draft: SeenDraft) -> None:
        if self._rules.void:
            await self._call("void", lambda: self._inner.void(draft))
        else:
            created = CreatedDraft(draft.stamp, draft.item_id, draft.version)
            await self._call("void", lambda: self._inner.discard(created))

    async def enter_begun(self, stamp: Stamp, recipients: int, *, call: int = 1) -> str:
        if not self._rules.ledger:
            return ""
        return await self._call("begin", lambda: self._inner.enter_begun(stamp, recipients, call=call))

    async def enter_ended(self, stamp: Stamp, reason: EndReason) -> None:
        if self._rules.end_entry:
            await self._call("end", lambda: self._inner.enter_ended(stamp, reason))

    async def send(
        self,
        draft: CreatedDraft,
        *,
        still: Callable[[], bool] = lambda: True,
    ) -> None:
        # `still` is not asked: the call may have been on its way by then. That a mail is sent once rests on no clock.
        async def make() -> None:
            current = draft
            if not self._rules.change_key_of_creation:
                found = await self._inner.find_drafts(draft.stamp.request_id)
                [key] = [one.version for one in found if one.item_id == draft.item_id]
                current = CreatedDraft(draft.stamp, draft.item_id, key)
            await self._inner.send(current)
            await self._left_outbox(draft.stamp.request_id)

        await self._call("send", make)

    async def _left_outbox(self, request_id: str) -> None:
        """Wait until the mail is on its way, which Exchange sees to by itself, and on a busy machine not at once."""
        deadline = time.monotonic() + _LEAVES_SECONDS
        while not self.stays_in_outbox and await self._inner.find_in_outbox(request_id):
            assert time.monotonic() < deadline, "the mail does not leave the Outbox"
            await asyncio.sleep(0.02)

    async def mark_done(self, entry_id: str) -> None:
        if entry_id:
            await self._call("done", lambda: self._inner.mark_done(entry_id))

    async def discard(self, draft: CreatedDraft) -> None:
        await self._call("delete", lambda: self._inner.discard(draft))


@dataclass
class Stage:
    """One request and two workers that have it in hand."""

    inner: EwsSender
    request: OutboundRequest
    rules: Rules
    stays_in_outbox: bool = False
    clock: MovingClock = field(default_factory=MovingClock)
    told: list[Ended] = field(default_factory=list)
    late: list[tuple[str, Callable[[], Awaitable[Any]]]] = field(default_factory=list)
    workers: dict[int, tuple[StagedMailbox, asyncio.Task[None]]] = field(default_factory=dict)

    async def play(self, events: Iterable[Event]) -> None:
        """Go the way, as far as the workers go along."""
        for event in events:
            await self._play(event)

    async def finish(self) -> None:
        """Let everything that is left come to its end."""
        for mailbox, task in self.workers.values():
            mailbox.set_free()
            await task
        while self.late:
            await self._execute(self.late[0][0])
        # And the request once more, as after a lost acknowledgement.
        await self._attempt_until_ended(self._mailbox(free=True), look_first=True, end_as=None)

    async def _play(self, event: Event) -> None:
        match event.what:
            case "begin":
                mailbox = self._mailbox()
                end_as = EndReason("failed", "delivery_limit") if event.verb == "end" else None
                attempts = self._attempt_until_ended(mailbox, look_first=event.verb == "look", end_as=end_as)
                self.workers[event.worker] = (mailbox, asyncio.create_task(attempts))
                await self._settled(event.worker)
            case "kill":
                _, task = self.workers.pop(event.worker)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            case "read":
                mailbox, _ = self.workers[event.worker]
                if mailbox.waits_with in _READS:
                    await self._go_on(event.worker)
            case "change":
                mailbox, _ = self.workers[event.worker]
                while mailbox.waits_with in _READS:
                    await self._go_on(event.worker)
                if mailbox.waits_with == event.verb:
                    await self._go_on(event.worker, event.how)
            case "expire":
                self.clock.ahead += timedelta(days=1)
            case "late":
                await self._execute(event.verb)

    async def _execute(self, verb: str) -> None:
        for number, (waiting, make) in enumerate(self.late):
            if waiting == verb:
                del self.late[number]
                await asyncio.gather(make(), return_exceptions=True)  # whatever it says, nobody hears it
                return

    async def _go_on(self, worker: int, how: str = "answered") -> None:
        self.workers[worker][0].go_on(how)
        await self._settled(worker)

    async def _settled(self, worker: int) -> None:
        """Wait until a worker waits for its next cue, or is done."""
        mailbox, task = self.workers[worker]
        moved = asyncio.ensure_future(mailbox.moved.wait())
        await asyncio.wait({moved, task}, return_when=asyncio.FIRST_COMPLETED)
        moved.cancel()

    def _mailbox(self, *, free: bool = False) -> StagedMailbox:
        mailbox = StagedMailbox(self.inner, self.rules, self.late)
        mailbox.free = free
        mailbox.stays_in_outbox = self.stays_in_outbox
        return mailbox

    async def _attempt_until_ended(self, mailbox: StagedMailbox, *, look_first: bool, end_as: EndReason | None) -> None:
        """Make one attempt at the request after the other, as its deliveries would, until it has ended."""

        for number in range(_ROUNDS):
            run = SendRun(
                request=self.request,
                digest=self.request.digest(),
                sender=Mailbox("dispatch@example.org"),
                mailbox=cast("SendingMailbox", mailbox),
                alias="dispatch",
                clock=self.clock,
                emit=lambda _: None,
                admission=Unlimited(),
                unsent=UnsentEntries(cast("SendingMailbox", mailbox), quiet=lambda: True),  # none is marked
                abandoned=lambda: False,
                exchange_now=lambda: datetime.now(UTC),
                # The patience of the model may end at any moment; here it is at an end from the first.
                options=SendOptions(unknown_after_seconds=-5.0),
                end_as=end_as,
            )
            conclusion = await run.run(look_first=look_first or number > 0)
            if isinstance(conclusion, Ended):
                self.told.append(conclusion)
                return
        raise AssertionError("the request never comes to its end")
