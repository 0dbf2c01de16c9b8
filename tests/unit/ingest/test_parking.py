"""What can be neither fetched nor carried is announced, then moved out of the way; a burst of it stays."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from bridge.domain.batches import BatchLimits
from bridge.domain.mail import FailedFetch, MailRef
from bridge.domain.parking import PARKED_FOLDER, ParkingLimit, ParkingWindow
from bridge.errors import (
    BridgeError,
    BrokerBlocked,
    BrokerUnavailable,
    CallNotPossible,
    MailboxAccessDenied,
    MailboxUnavailable,
    MailUnreadable,
    MessageTooLarge,
    PublishUnroutable,
)
from bridge.ingest.limits import TransferLimits
from bridge.ingest.reader import IngestOptions
from bridge.telemetry.ingest_events import MailKept, MailParked
from bridge.wire import event_v1
from tests.support.clock import InstantClock
from tests.support.memory.inbox import MemoryInbox
from tests.unit.ingest.doubles import a_mail, compose
from tests.unit.ingest.test_reader import Bench

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.domain.mail import Fetched, ReadMail
    from bridge.ports.broker import Message, PublishReceipt


def parked_events(bench: Bench) -> list[event_v1.MailEvent]:
    return [event_v1.from_json(one.body) for one in bench.publisher.published if one.type == event_v1.NAME]


async def passes(bench: Bench, count: int) -> None:
    """So many passes, far enough apart that whatever is kept is due again."""
    for _ in range(count):
        await bench.once()
        bench.clock.seconds += 31


async def test_a_mail_is_parked_only_after_its_announcement_is_confirmed() -> None:
    bench = Bench(a_mail(1))
    bench.publisher.answer = lambda message: MessageTooLarge() if message.message_id == "m1" else None
    bench.publisher.withhold = True
    running = asyncio.create_task(bench.reader.read_once(bench.stop))
    while len(bench.publisher.outstanding) < 1:
        await asyncio.sleep(0)
    [(_, refused)] = bench.publisher.outstanding
    bench.publisher.outstanding.clear()
    refused.set_exception(MessageTooLarge())
    while len(bench.publisher.outstanding) < 1:
        await asyncio.sleep(0)
    assert bench.inbox.parked == {}
    assert bench.left == ["m1"]

    bench.publisher.confirm_all()
    await running

    assert bench.inbox.parked == {"m1": "too_large_for_broker"}
    [event] = parked_events(bench)
    assert (event.event, event.message_id, event.code, event.mailbox) == (
        "inbound.parked",
        "m1",
        "too_large_for_broker",
        "dispatch",
    )
    assert bench.told(MailParked) == [MailParked("dispatch", "m1", "too_large_for_broker")]


async def test_a_mail_that_cannot_be_composed_for_the_broker_is_announced_and_parked_unchanged() -> None:
    """A large one in a file, where there is no store: there is no message that could be refused."""
    bench = Bench(*(a_mail(n) for n in range(3)))
    unchanged = bench.inbox.mails[1].mime

    async def too_large(mail: ReadMail) -> Sequence[Message]:
        if mail.ref.message_id == "m1":
            raise MessageTooLarge
        return await compose(mail)

    bench.reader._large._compose = too_large
    await bench.once()

    assert (bench.left, bench.inbox.parked) == ([], {"m1": "too_large_for_broker"})
    assert [event.code for event in parked_events(bench)] == ["too_large_for_broker"]
    assert [(mail.ref.message_id, mail.mime) for mail in bench.inbox.mails] == [("m1", unchanged)]


async def test_an_unreadable_mail_is_tried_three_times_and_parked_while_the_others_pass_at_once() -> None:
    bench = Bench(*(a_mail(n) for n in range(5)))
    bench.inbox.unreadable.add("item-2")

    await bench.once()
    assert bench.left == ["m2"]
    bench.clock.seconds += 2
    await bench.once()
    assert bench.left == ["m2"]
    bench.clock.seconds += 2
    await bench.once()

    assert bench.left == []
    assert bench.inbox.parked == {"m2": "mail_unreadable"}


async def test_a_mail_that_heals_meanwhile_is_published() -> None:
    bench = Bench(a_mail(1))
    bench.inbox.unreadable.add("item-1")
    await passes(bench, 2)
    bench.inbox.unreadable.clear()
    await passes(bench, 1)

    assert (bench.left, bench.inbox.parked) == ([], {})


async def test_a_mail_that_meets_a_bug_is_parked_under_a_code_that_events_know() -> None:
    bench = Bench(*(a_mail(n) for n in range(3)))

    async def stumble(mail: ReadMail) -> Sequence[Message]:
        if mail.ref.message_id == "m1":
            raise RecursionError("private")
        return await compose(mail)

    bench.reader._large._compose = stumble
    await passes(bench, 3)

    assert bench.inbox.parked == {"m1": "unexpected_error"}
    assert [event.code for event in parked_events(bench)] == ["bridge_error"]


async def test_a_mail_of_which_nobody_would_hear_stays() -> None:
    """No queue for events: the announcement is returned."""
    bench = Bench(a_mail(1))
    bench.publisher.answer = lambda m: MessageTooLarge() if m.message_id == "m1" else PublishUnroutable()

    await bench.once()

    assert (bench.left, bench.inbox.parked) == (["m1"], {})
    assert bench.told(MailKept) == [MailKept("dispatch", "m1", "publish_unroutable")]


async def test_a_broker_that_goes_before_the_announcement_ends_the_pass_and_the_mail_stays() -> None:
    bench = Bench(a_mail(1))
    bench.publisher.answer = lambda m: MessageTooLarge() if m.message_id == "m1" else BrokerUnavailable()
    with pytest.raises(BrokerUnavailable):
        await bench.once()
    assert bench.left == ["m1"]

    bench.publisher.answer = lambda m: MessageTooLarge() if m.message_id == "m1" else None
    bench.clock.seconds += 3_600  # who takes it up again may do so much later
    await bench.once()

    first, again = parked_events(bench)
    assert first.event_id == again.event_id
    assert bench.inbox.parked == {"m1": "too_large_for_broker"}


async def test_a_mail_that_cannot_be_moved_stays_with_the_reason() -> None:
    bench = Bench(a_mail(1))
    bench.inbox.unreadable.add("item-1")
    bench.inbox.stuck.add("item-1")

    await passes(bench, 3)

    assert bench.left == ["m1"]
    assert bench.told(MailParked) == []
    assert bench.told(MailKept)[-1] == MailKept("dispatch", "m1", MailUnreadable.code)


async def test_a_mail_that_cannot_be_moved_however_often_it_is_tried_is_no_burst() -> None:
    bench = Bench(a_mail(1), a_mail(2), options=IngestOptions(parking=ParkingLimit(mails=2)))
    bench.inbox.unreadable.add("item-1")
    bench.inbox.stuck.add("item-1")
    await passes(bench, 12)

    bench.inbox.mails.append(a_mail(3))
    bench.inbox.unreadable.add("item-3")
    await passes(bench, 3)

    assert "m3" not in bench.left


async def test_a_mail_parked_again_after_it_was_put_back_is_another_event() -> None:
    bench = Bench(a_mail(1))
    bench.publisher.answer = lambda m: MessageTooLarge() if m.message_id == "m1" else None
    await bench.once()
    [mail] = bench.inbox.mails
    mail.folder, mail.ref = "inbox", MailRef("m1", "item-moved", mail.ref.received_at, 100, "IPM.Note")
    await bench.once()

    assert len({event.event_id for event in parked_events(bench)}) == 2


async def test_a_burst_of_bad_mail_stays_and_is_told_while_the_others_pass() -> None:
    limit = ParkingLimit(mails=3, within_seconds=1_000)
    bench = Bench(
        *(a_mail(n) for n in range(10)),
        options=IngestOptions(parking=limit, limits=TransferLimits(batch=BatchLimits(3, 1_000))),
    )
    bench.inbox.unreadable |= {f"item-{n}" for n in range(1, 9)}

    await passes(bench, 4)

    assert len(bench.inbox.parked) == 3
    assert len(bench.left) == 5
    assert [mail_id for mail_id in bench.publisher.ids if mail_id in {"m0", "m9"}] == ["m0", "m9"]
    bench.reader._report_pass(await bench.once())  # nothing passes at the moment, and that is not the news
    state = bench.health.state("mailbox:dispatch:ingest")
    assert state is not None
    assert (state.status, state.code) == ("trouble", "parking_stopped")

    bench.inbox.unreadable.clear()
    await passes(bench, 2)
    assert bench.left == []
    assert len(bench.inbox.parked) == 3


@pytest.mark.parametrize(
    "error", [MailboxUnavailable("ErrorInternalServerError"), CallNotPossible("ErrorInvalidPropertyRequest")]
)
async def test_an_error_that_may_be_exchanges_parks_a_mail_only_when_others_pass(error: BridgeError) -> None:
    bench = Bench(*(a_mail(n) for n in range(3)))
    fetch = bench.inbox.fetch
    sick = {"m0", "m1", "m2"}

    async def fail(refs: Sequence[MailRef]) -> Sequence[Fetched]:
        if sick & {ref.message_id for ref in refs}:
            return [FailedFetch(ref, error) for ref in refs]
        return await fetch(refs)

    bench.inbox.fetch = fail  # type: ignore[method-assign]

    async def try_for_long() -> None:
        for _ in range(40):
            with contextlib.suppress(BridgeError):  # as the reader's own loop does, which waits then
                await bench.once()
            bench.clock.seconds += 31

    await try_for_long()
    assert (bench.inbox.parked, bench.publisher.ids) == ({}, [])

    sick -= {"m0", "m2"}
    bench.inbox.mails.append(a_mail(3))
    await try_for_long()
    assert bench.inbox.parked == {"m1": error.code}
    assert bench.left == []


async def test_a_missing_right_to_the_folder_leaves_the_mail_and_tells() -> None:
    bench = Bench(a_mail(1))
    bench.inbox.unreadable.add("item-1")
    bench.inbox.fails["park"] = MailboxAccessDenied()
    await passes(bench, 2)
    with pytest.raises(MailboxAccessDenied):
        await bench.once()

    assert bench.left == ["m1"]


def _a_burst(*, parked: int, inbox: MemoryInbox | None = None, clock: InstantClock | None = None) -> Bench:
    """Nine mails that cannot be read, of which so many may be parked within an hour."""
    mails = [a_mail(number) for number in range(9)]
    bench = Bench(*mails, options=IngestOptions(parking=ParkingLimit(mails=parked)), inbox=inbox, clock=clock)
    bench.inbox.unreadable |= {mail.ref.item_id for mail in mails}
    bench.inbox.now = bench.clock.monotonic
    return bench


@pytest.mark.parametrize("hand_over", ["restart", "another worker in between"])
async def test_a_worker_that_is_started_again_does_not_forget_what_was_parked_within_the_hour(hand_over: str) -> None:
    bench = _a_burst(parked=3)
    await passes(bench, 4)
    assert len(bench.inbox.parked) == 3

    if hand_over == "restart":
        bench = _a_burst(parked=3, inbox=bench.inbox, clock=bench.clock)
    else:
        bench.reader._parking.begin()
    await passes(bench, 4)
    assert (len(bench.inbox.parked), len(bench.left)) == (3, 6)

    bench.clock.seconds += 3_600
    await passes(bench, 4)
    assert len(bench.inbox.parked) == 6


async def test_only_the_parked_of_the_last_hour_count_after_a_restart() -> None:
    bench = _a_burst(parked=3)
    bench.inbox.parked_at = [-3_601.0, -3_000.0, -10.0]

    await passes(bench, 4)

    assert len(bench.inbox.parked) == 1


async def test_while_the_folder_does_not_tell_what_was_parked_mails_stay_and_others_pass_for_an_hour_at_most() -> None:
    bench = _a_burst(parked=3)
    bench.inbox.mails.append(a_mail(20))
    bench.inbox.fails["parked_lately"] = MailboxAccessDenied()

    await passes(bench, 6)
    assert (bench.inbox.parked, "m20" in bench.left, parked_events(bench)) == ({}, False, [])

    bench.clock.seconds += 3_600
    await passes(bench, 4)
    assert len(bench.inbox.parked) == 3


def test_the_window_opens_again_as_time_passes() -> None:
    window = ParkingWindow(ParkingLimit(mails=2, within_seconds=10))
    for now in (0.0, 4.0):
        assert window.is_open(now)
        window.count(now, f"m{now}")
    assert not window.is_open(9.9)
    assert window.is_open(10)
    window.count(10, "m10")
    assert not window.is_open(13.9)
    assert window.is_open(14)


def test_a_mail_that_is_tried_again_counts_from_the_first_time() -> None:
    """Otherwise one that cannot be moved would keep its place in the window for ever."""
    window = ParkingWindow(ParkingLimit(mails=1, within_seconds=10))
    for now in (0.0, 6.0):
        assert window.is_open(now, "stuck")
        window.count(now, "stuck")

    assert not window.is_open(9.9, "another")
    assert window.is_open(10, "another")


def test_the_folder_of_parked_mail_has_the_name_that_operators_know() -> None:
    assert PARKED_FOLDER == "Bridge Parked"


async def forever() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("error", [BrokerBlocked, BrokerUnavailable])
async def test_a_broker_that_takes_no_announcement_is_told_and_not_waited_for_in_silence(
    error: type[BridgeError],
) -> None:
    bench = Bench(a_mail(1))
    bench.publisher.answer = lambda message: MessageTooLarge() if message.message_id == "m1" else None
    original = bench.publisher.publish

    def publish(message: Message) -> asyncio.Future[PublishReceipt]:
        bench.publisher.wait_ready = forever  # type: ignore[method-assign]
        bench.publisher.trouble = error.code
        return original(message)

    bench.publisher.publish = publish  # type: ignore[method-assign]

    with pytest.raises(error):
        async with asyncio.timeout(5):
            await bench.once()

    assert bench.left == ["m1"]


async def test_a_worker_that_is_to_stop_announces_nothing_more() -> None:
    bench = Bench(a_mail(1))

    def refuse(message: Message) -> BridgeError | None:
        bench.stop.set()
        return MessageTooLarge() if message.message_id == "m1" else None

    bench.publisher.answer = refuse

    async with asyncio.timeout(5):
        await bench.once()

    assert parked_events(bench) == []
    assert bench.left == ["m1"]
