"""A person deletes or empties the folder of the ledger: nothing is sent twice, and what that costs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bridge.domain.outbound_records import EndReason, Stamp
from bridge.egress.options import SendOptions
from bridge.errors import MailboxNotFound, MailboxUnavailable
from bridge.telemetry.egress_events import LedgerLost
from tests.unit.egress.harness import ALIAS, PLENTY, Bench, eventually

if TYPE_CHECKING:
    from tests.support.memory.outbox import Place

PATIENT = replace(PLENTY, send=SendOptions(unknown_after_seconds=60))
SENT = ("outbound.sent", None)
UNKNOWN = ("outbound.unknown", "outcome_unknown")


async def _killed_after_the_send(bench: Bench) -> None:
    """The mail is out, its worker is dead, and its request goes back to the queue."""
    bench.request()
    reached, _ = bench.mailbox.freeze("mark_done")
    await bench.killed(reached.is_set)
    assert len(bench.mailbox.submissions) == 1


async def _come_back_until_told(bench: Bench) -> None:
    def told() -> bool:
        if bench.waiting():  # and nothing is in hand, of which the clock would say that it takes hours
            bench.clock.seconds += 30
            bench.come_back()
        return bool(_ends(bench))

    await eventually(told)


def _ends(bench: Bench) -> list[tuple[str, str | None]]:
    return [told for told in bench.told() if told[0] != "outbound.delayed"]


@pytest.mark.parametrize("place", ["sent", "deleted", "outbox"])
async def test_a_mail_that_still_shows_is_told_as_sent_though_the_ledger_is_lost(place: Place) -> None:
    bench = Bench(options=PATIENT)
    await _killed_after_the_send(bench)
    bench.mailbox.move_copies(place)
    bench.mailbox.destroy_ledger()

    async with bench.running():
        await eventually(lambda: bool(bench.events()))

    assert _ends(bench) == [SENT]
    assert len(bench.mailbox.submissions) == 1


async def test_a_request_in_hand_when_the_ledger_was_lost_ends_as_unknown_and_is_not_sent_again() -> None:
    bench = Bench(options=PATIENT)
    bench.mailbox.copies = "nowhere"
    await _killed_after_the_send(bench)
    bench.mailbox.destroy_ledger()

    async with bench.running():
        await _come_back_until_told(bench)

    assert _ends(bench) == [UNKNOWN]
    assert len(bench.mailbox.submissions) == 1
    assert len(bench.dead()) == 1
    assert [one for one in bench.emitted if isinstance(one, LedgerLost)]


async def test_a_copy_that_comes_late_is_waited_for_though_the_ledger_is_lost() -> None:
    bench = Bench(options=PATIENT)
    bench.mailbox.copies = "nowhere"
    await _killed_after_the_send(bench)
    bench.mailbox.destroy_ledger()

    async with bench.running():
        await eventually(lambda: bool(bench.waiting()))
        bench.mailbox.move_copies("sent")
        bench.come_back()
        await eventually(lambda: bool(bench.events()))

    assert _ends(bench) == [SENT]


async def test_a_draft_of_a_worker_that_died_is_void_before_its_request_is_told_as_unknown() -> None:
    """Otherwise the worker, frozen and not dead, would send it after that."""
    bench = Bench(options=PATIENT)
    bench.request()
    reached, _ = bench.mailbox.freeze("send")
    await bench.killed(reached.is_set)
    bench.mailbox.destroy_ledger()

    async with bench.running():
        await _come_back_until_told(bench)

    assert _ends(bench) == [UNKNOWN]
    assert not bench.drafts_left()
    assert not bench.mailbox.submissions


async def test_a_ledger_lost_between_the_entry_and_the_answer_of_the_send_sends_nothing_twice() -> None:
    bench = Bench(options=PATIENT)
    bench.mailbox.copies = "nowhere"
    bench.mailbox.lose_answer("send", "executed")
    reached, go = bench.mailbox.freeze("send")
    bench.request()

    async with bench.running():
        await eventually(reached.is_set)
        bench.mailbox.destroy_ledger()
        go.set()
        await _come_back_until_told(bench)

    assert _ends(bench) == [UNKNOWN]
    assert len(bench.mailbox.submissions) == 1


async def test_requests_that_come_later_are_sent_and_their_repeats_found_in_sent_items() -> None:
    bench = Bench(options=PATIENT)
    async with bench.running():
        bench.request("before")
        await eventually(lambda: len(bench.events()) == 1)
        bench.mailbox.destroy_ledger()

        bench.request("after")
        bench.request("before")
        await eventually(lambda: len(bench.events()) == 3)

    assert _ends(bench) == [SENT] * 3
    assert sorted(stamp.request_id for stamp in bench.mailbox.submissions) == ["after", "before"]


@pytest.mark.parametrize("error", [MailboxUnavailable(), MailboxNotFound()])
async def test_requests_that_waited_for_their_mailbox_untouched_are_sent_though_the_ledger_was_lost(
    error: MailboxUnavailable | MailboxNotFound,
) -> None:
    bench = Bench(options=PATIENT)
    bench.mailbox.broken = error
    async with bench.running():
        bench.request()
        await eventually(lambda: bool(bench.waiting()))
        bench.mailbox.destroy_ledger()
        bench.mailbox.broken = None
        # A worker that had just found the mailbox broken may otherwise leave its queues to others, as the clock says
        # that it is time, and hand back what it was given: of that nobody knows that it is untouched.
        await eventually(lambda: any(isinstance(one, LedgerLost) for one in bench.emitted))
        await _come_back_until_told(bench)

    assert _ends(bench) == [SENT]


async def test_a_request_published_long_after_the_loss_is_sent_however_often_it_is_delivered() -> None:
    bench = Bench(options=PATIENT)
    bench.mailbox.destroy_ledger()
    bench.clock.seconds += 3600
    bench.request()
    reached, _ = bench.mailbox.freeze("enter_begun")
    await bench.killed(reached.is_set)

    async with bench.running():
        await eventually(lambda: bool(bench.events()))

    assert _ends(bench) == [SENT]


async def test_the_doubt_ends_after_two_days() -> None:
    bench = Bench(options=PATIENT)
    bench.request()
    reached, _ = bench.mailbox.freeze("enter_begun")
    await bench.killed(reached.is_set)
    bench.mailbox.destroy_ledger()
    bench.clock.seconds += timedelta(days=2, seconds=1).total_seconds()

    async with bench.running():
        await eventually(lambda: bool(bench.events()))

    assert _ends(bench) == [SENT]


async def test_what_was_ended_after_the_loss_stays_ended_for_its_reason() -> None:
    bench = Bench(options=PATIENT)
    bench.mailbox.destroy_ledger()
    bench.clock.seconds += 1
    reason = EndReason("unknown", "outcome_unknown", "as was told")
    bench.request()
    await bench.mailbox.enter_ended(Stamp("r-1", "a", await _digest(bench)), reason)

    async with bench.running():
        await eventually(lambda: bool(bench.events()))

    [event] = bench.events()
    assert (event.event, event.code, event.detail) == ("outbound.unknown", "outcome_unknown", "as was told")


async def _digest(bench: Bench) -> str:
    """The digest of the request in hand, as a send of it in another mailbox is stamped."""
    other = Bench()
    other.request()
    async with other.running():
        await eventually(lambda: bool(other.events()))
    await asyncio.sleep(0)
    assert bench.broker.messages(f"mail.outbound.{ALIAS}")
    return other.mailbox.submissions[0].digest
