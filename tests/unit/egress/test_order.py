"""The order of things in an attempt: what must be there before the next step is there before it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from bridge.domain.outbound_records import DraftState
from bridge.errors import PublishRefused
from bridge.wire.topology import outbound_queue
from tests.support.memory.broker import MemoryConsumer
from tests.unit.egress.harness import ALIAS, Bench, eventually


async def test_a_request_is_acknowledged_only_once_its_event_is_confirmed() -> None:
    bench = Bench()
    bench.publisher.hold_confirms()
    bench.request()
    deliveries = MemoryConsumer(bench.broker).deliveries(outbound_queue(ALIAS), prefetch=1, exclusive=False)

    async with aclosing(deliveries):
        delivery = await anext(deliveries)
        handling = asyncio.create_task(bench.sender().handle(delivery, "ordinary"))
        await eventually(lambda: bool(bench.publisher.attempted))
        before = delivery.settled
        bench.publisher.release_confirms()
        await handling

    assert before is None
    assert delivery.settled == "ack"
    assert [event.event for event in bench.events()] == ["outbound.sent"]


async def test_the_begun_send_is_in_the_ledger_before_the_mail_goes_out() -> None:
    bench = Bench()
    reached, go = bench.mailbox.freeze("send")
    bench.request()

    async with bench.running():
        await reached.wait()
        begun = [entry.kind for entry in bench.mailbox.entries.values()]
        go.set()
        await eventually(lambda: bool(bench.events()))

    assert begun == ["begun"]
    assert len(bench.mailbox.submissions) == 1


async def test_a_draft_that_was_voided_before_the_send_is_not_sent_under_its_new_key() -> None:
    """Whoever voided it has another draft of the request by now: both would go out."""
    bench = Bench()
    reached, go = bench.mailbox.freeze("enter_begun")
    bench.request()

    async with bench.running():
        await reached.wait()
        [draft] = bench.mailbox.items.values()
        draft.state, draft.version = DraftState.VOID, draft.version + 1
        go.set()
        await eventually(lambda: bool(bench.events()))

    assert len(bench.mailbox.submissions) == 1
    assert draft.stamp not in bench.mailbox.submissions


async def test_a_request_that_waits_is_acknowledged_only_once_the_retry_queue_has_it() -> None:
    bench = Bench()
    bench.mailbox.copies = "nowhere"
    bench.mailbox.lose_answer("send", "executed")
    bench.request()

    async with bench.running():
        bench.publisher.refuse(PublishRefused())
        await eventually(lambda: bool(bench.publisher.attempted))

    assert bench.waiting() == {}
    assert len(bench.broker.messages(outbound_queue(ALIAS))) == 1
