"""What every `Consumer` promises. Subclasses supply the fixture `site`, on a broker with the real topology."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import pytest

from bridge.errors import BridgeError, BrokerUnavailable, QueueTaken, TopologyMissing
from bridge.ports.broker import Message
from bridge.wire.topology import OUTBOUND, RETRY_STEPS, outbound_queue, outbound_urgent_queue

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from bridge.ports.broker import Consumer, Delivery, HeaderValue

QUEUE, URGENT = outbound_queue("dispatch"), outbound_urgent_queue("dispatch")
_LONGEST = 30.0
"""Seconds for what comes at once, unless the machine has other things to do."""


class ConsumingSite(Protocol):
    """A consumer, and what others do to the broker meanwhile."""

    @property
    def consumer(self) -> Consumer:
        """The one that is tried."""

    def another(self) -> Consumer:
        """Return the consumer of another worker."""

    def publish(self, *messages: Message) -> None:
        """Publish, each routed to a queue."""

    def come_back(self, message: Message) -> None:
        """Let a message wait in a retry queue until its time is over."""

    def waiting(self, queue: str) -> int:
        """Return how many messages wait in a queue, by the broker's own account; what is held is not among them."""

    def delete(self, queue: str) -> None:
        """Delete a queue, as a person."""

    async def cut(self) -> None:
        """Cut the connection of the consumer that is tried."""

    async def down(self) -> None:
        """Cut it, and let no other be made until `up`."""

    async def up(self) -> None:
        """End what `down` began."""


def a_request(number: int = 1, *, key: str = "dispatch", amqp_exchange: str = OUTBOUND) -> Message:
    """Return a message as a CAD system publishes it."""
    return Message(amqp_exchange, key, b'{"n": %d}' % number, f"r-{number}", "mail.outbound.v1")


async def soon(arrives: AsyncGenerator[Delivery, None]) -> Delivery:
    """Return the next delivery of a stream that has one."""
    async with asyncio.timeout(_LONGEST):
        return await anext(arrives)


class ConsumerContract:
    """One test for each sentence of the port."""

    @pytest.fixture
    def site(self) -> ConsumingSite:
        """What a subclass supplies."""
        raise NotImplementedError

    def _deliveries(
        self, site: ConsumingSite, *, queue: str = QUEUE, prefetch: int = 1, exclusive: bool = True
    ) -> AsyncGenerator[Delivery, None]:
        return site.consumer.deliveries(queue, prefetch=prefetch, exclusive=exclusive)

    # What a delivery tells.

    async def test_a_delivery_is_what_was_published(self, site: ConsumingSite) -> None:
        """With everything that the publisher said about it, to the second."""
        said = datetime(2026, 11, 24, 8, 30, 5, 250_000, tzinfo=UTC)
        headers: dict[str, HeaderValue] = {"n": 7, "text": "Ü", "yes": True, "raw": b"\xff\x00", "none": None}
        site.publish(
            Message(
                OUTBOUND, "dispatch", b"\x00body\xff", "r-1", "t", "text/plain", "c-1", headers=headers, timestamp=said
            )
        )

        async with aclosing(self._deliveries(site)) as deliveries:
            one = await soon(deliveries)

            assert (one.queue, one.amqp_exchange, one.routing_key) == (QUEUE, OUTBOUND, "dispatch")
            assert (one.body, one.message_id, one.content_type) == (b"\x00body\xff", "r-1", "text/plain")
            assert (one.correlation_id, one.timestamp) == ("c-1", said.replace(microsecond=0))
            assert dict(one.headers) == headers
            assert (one.redelivered, one.lost) == (False, False)

    async def test_what_a_publisher_left_out_is_none(self, site: ConsumingSite) -> None:
        """Requests are published by others."""
        site.publish(a_request())

        async with aclosing(self._deliveries(site)) as deliveries:
            one = await soon(deliveries)

            assert (one.correlation_id, one.timestamp, dict(one.headers)) == (None, None, {})

    async def test_what_comes_back_from_a_wait_has_its_key_and_the_exchange_that_brought_it(
        self, site: ConsumingSite
    ) -> None:
        """And says why it waited; it is no redelivery."""
        site.come_back(a_request(key="dispatch.urgent", amqp_exchange=RETRY_STEPS[0].amqp_exchange))

        async with aclosing(self._deliveries(site, queue=URGENT)) as deliveries:
            one = await soon(deliveries)

            assert (one.queue, one.amqp_exchange, one.routing_key) == (URGENT, OUTBOUND, "dispatch.urgent")
            assert (one.message_id, one.body, one.redelivered) == ("r-1", b'{"n": 1}', False)
            assert one.headers["x-first-death-reason"] == "expired"
            assert one.headers["x-first-death-queue"] == RETRY_STEPS[0].amqp_exchange

    # Settling.

    async def test_what_is_acked_is_gone_and_what_is_given_back_comes_again(self, site: ConsumingSite) -> None:
        """Each is settled by itself, and once."""
        site.publish(a_request(1), a_request(2))
        async with aclosing(self._deliveries(site, prefetch=2)) as deliveries:
            first, second = await soon(deliveries), await soon(deliveries)
            first.ack()
            second.requeue()
            again = await soon(deliveries)

            assert (first.message_id, second.message_id, again.message_id) == ("r-1", "r-2", "r-2")
            assert (first.redelivered, again.redelivered) == (False, True)
            again.ack()
            for settled in (first, second, again):
                with pytest.raises(RuntimeError):
                    settled.ack()
                with pytest.raises(RuntimeError):
                    settled.requeue()

        await _until_waiting(site, 0)

    async def test_no_more_than_the_prefetch_is_unsettled(self, site: ConsumingSite) -> None:
        """The rest waits in the queue, in its order, where others can have it."""
        site.publish(*(a_request(number) for number in range(5)))
        async with aclosing(self._deliveries(site, prefetch=2)) as deliveries:
            first, second = await soon(deliveries), await soon(deliveries)
            third = asyncio.ensure_future(anext(deliveries))
            await _until_waiting(site, 3)
            assert not third.done()

            second.ack()

            async with asyncio.timeout(_LONGEST):
                assert (await third).message_id == "r-2"
            await _until_waiting(site, 2)
            assert not first.lost

    @pytest.mark.parametrize("prefetch", [0, 2001])
    async def test_a_prefetch_has_bounds(self, site: ConsumingSite, prefetch: int) -> None:
        """None at all would be no limit, and quorum queues refuse more than 2,000."""
        with pytest.raises(ValueError, match="prefetch"):
            await anext(self._deliveries(site, prefetch=prefetch))

    async def test_closing_the_iterator_gives_back_what_is_unsettled(self, site: ConsumingSite) -> None:
        """In its order; a late settlement does nothing."""
        site.publish(*(a_request(number) for number in range(3)))
        async with aclosing(self._deliveries(site, prefetch=3)) as deliveries:
            held = [await soon(deliveries) for _ in range(3)]

        assert all(one.lost for one in held)
        held[0].ack()
        held[1].requeue()
        await _until_waiting(site, 3)
        async with aclosing(self._deliveries(site, prefetch=3)) as deliveries:
            again = [await soon(deliveries) for _ in range(3)]
            assert [(one.message_id, one.redelivered) for one in again] == [(f"r-{n}", True) for n in range(3)]

    async def test_what_was_settled_before_the_iterator_is_closed_does_not_come_back(self, site: ConsumingSite) -> None:
        """All else does, also what was on its way meanwhile, which may come before what was held."""
        site.publish(*(a_request(number) for number in range(4)))
        async with aclosing(self._deliveries(site, prefetch=3)) as deliveries:
            held = [await soon(deliveries) for _ in range(3)]
            held[1].ack()

        await _until_waiting(site, 3)
        async with aclosing(self._deliveries(site, prefetch=3)) as deliveries:
            assert {(await soon(deliveries)).message_id for _ in range(3)} == {"r-0", "r-2", "r-3"}

    async def test_a_message_is_held_by_one_of_those_who_share_a_queue(self, site: ConsumingSite) -> None:
        """Whoever did not ask for a queue alone shares it with others, and what one gives back another may get."""
        site.publish(a_request(1), a_request(2))
        other = site.another()
        async with (
            aclosing(self._deliveries(site, exclusive=False)) as mine,
            aclosing(other.deliveries(QUEUE, prefetch=1, exclusive=False)) as theirs,
        ):
            one, two = await soon(mine), await soon(theirs)

            assert {one.message_id, two.message_id} == {"r-1", "r-2"}
            again = asyncio.ensure_future(anext(theirs))
            two.ack()
            one.requeue()
            one_more = asyncio.ensure_future(anext(mine))
            async with asyncio.timeout(_LONGEST):
                done, waits = await asyncio.wait({again, one_more}, return_when=asyncio.FIRST_COMPLETED)
            assert [task.result().message_id for task in done] == [one.message_id]
            for task in waits:
                task.cancel()
            await asyncio.wait(waits)

    # Exclusive use.

    async def test_a_queue_that_is_taken_is_told_at_once_and_its_holder_goes_on(self, site: ConsumingSite) -> None:
        """Whoever asks, also the same worker once more."""
        site.publish(a_request(1), a_request(2))
        other = site.another()
        async with aclosing(self._deliveries(site)) as deliveries:
            held = await soon(deliveries)
            for one in (other, site.consumer):
                with pytest.raises(QueueTaken):
                    await soon(one.deliveries(QUEUE, prefetch=1, exclusive=True))

            assert not held.lost
            held.ack()
            assert (await soon(deliveries)).message_id == "r-2"
            assert (other.trouble, site.consumer.trouble) == (None, None)

    async def test_another_queue_is_not_taken_with_it(self, site: ConsumingSite) -> None:
        """The ordinary and the urgent one of a mailbox are two."""
        site.publish(a_request(1), a_request(2, key="dispatch.urgent"))
        async with (
            aclosing(self._deliveries(site)) as ordinary,
            aclosing(site.another().deliveries(URGENT, prefetch=1, exclusive=True)) as urgent,
        ):
            assert ((await soon(ordinary)).message_id, (await soon(urgent)).message_id) == ("r-1", "r-2")

    async def test_a_queue_is_free_once_its_holder_closes_the_iterator(self, site: ConsumingSite) -> None:
        """A hand-over between two workers needs no lost connection."""
        site.publish(a_request())
        async with aclosing(self._deliveries(site)) as deliveries:
            await soon(deliveries)

        async with aclosing(site.another().deliveries(QUEUE, prefetch=1, exclusive=True)) as deliveries:
            assert (await soon(deliveries)).redelivered

    # Trouble.

    async def test_a_missing_queue_is_named_and_the_consumption_beside_it_goes_on(self, site: ConsumingSite) -> None:
        """It concerns only who wants it."""
        site.publish(a_request(1), a_request(2))
        async with aclosing(self._deliveries(site)) as deliveries:
            held = await soon(deliveries)

            for exclusive in (True, False):
                with pytest.raises(TopologyMissing, match=r"mail\.outbound\.nobody"):
                    await soon(self._deliveries(site, queue="mail.outbound.nobody", exclusive=exclusive))
            with pytest.raises(TopologyMissing):
                await site.consumer.look("mail.outbound.nobody")

            assert not held.lost
            held.ack()
            assert (await soon(deliveries)).message_id == "r-2"

    async def test_a_queue_that_is_deleted_under_the_consumer_is_missing(self, site: ConsumingSite) -> None:
        """What was held is lost with it; nobody waits for ever."""
        site.publish(a_request(), a_request(2, key="dispatch.urgent"))
        async with (
            aclosing(self._deliveries(site)) as deliveries,
            aclosing(self._deliveries(site, queue=URGENT)) as others,
        ):
            held, neighbour = await soon(deliveries), await soon(others)
            waiting = asyncio.ensure_future(anext(deliveries))
            await asyncio.sleep(0)

            site.delete(QUEUE)

            with pytest.raises(TopologyMissing):
                async with asyncio.timeout(_LONGEST):
                    await waiting
            assert (held.lost, neighbour.lost) == (True, False)
            held.ack()

    async def test_a_lost_connection_loses_what_is_held_and_the_iterator_goes_on(self, site: ConsumingSite) -> None:
        """A late ack does nothing: the message comes again, and then it is settled."""
        site.publish(a_request(1), a_request(2))
        async with aclosing(self._deliveries(site)) as deliveries:
            held = await soon(deliveries)
            await site.cut()

            again = await soon(deliveries)

            held.ack()
            assert (held.lost, again.lost) == (True, False)
            assert (again.message_id, again.redelivered) == ("r-1", True)
            again.ack()
            assert (await soon(deliveries)).message_id == "r-2"
        await _until_waiting(site, 1)

    async def test_who_consumes_hears_when_the_broker_delivers_and_when_not(self, site: ConsumingSite) -> None:
        """An empty queue and one that nobody can read are not the same."""
        told: asyncio.Queue[BridgeError | None] = asyncio.Queue()
        consumer = site.consumer
        async with aclosing(
            consumer.deliveries(QUEUE, prefetch=1, exclusive=True, report=told.put_nowait)
        ) as deliveries:
            waiting = asyncio.ensure_future(anext(deliveries))
            async with asyncio.timeout(_LONGEST):
                assert await told.get() is None
            assert consumer.trouble is None
            await site.down()
            async with asyncio.timeout(_LONGEST):
                assert isinstance(await told.get(), BrokerUnavailable)
                while consumer.trouble is None:
                    await asyncio.sleep(0.01)
            assert consumer.trouble == BrokerUnavailable.code
            with pytest.raises(BrokerUnavailable):
                await consumer.look(QUEUE)

            await site.up()

            async with asyncio.timeout(_LONGEST):
                while await told.get() is not None:
                    pass
            site.publish(a_request())
            async with asyncio.timeout(_LONGEST):
                assert (await waiting).message_id == "r-1"
            assert consumer.trouble is None

    # Looks.

    async def test_a_look_counts_what_waits_and_who_consumes_and_takes_nothing(self, site: ConsumingSite) -> None:
        """What is held waits no more; each queue by itself."""
        site.publish(*(a_request(number) for number in range(3)), a_request(9, key="dispatch.urgent"))
        async with aclosing(self._deliveries(site)) as deliveries:
            await soon(deliveries)
            looks = [await _look(site, queue) for queue in (QUEUE, URGENT)]

            assert looks == [(2, 1), (1, 0)]
            assert await _look(site, QUEUE) == (2, 1)
        async with asyncio.timeout(_LONGEST):
            while await _look(site, QUEUE) != (3, 0):
                await asyncio.sleep(0.01)


async def _look(site: ConsumingSite, queue: str) -> tuple[int, int]:
    # Whoever asks first may be faster than the connection.
    deadline = datetime.now(UTC) + timedelta(seconds=_LONGEST)
    while True:
        try:
            found = await site.consumer.look(queue)
        except BrokerUnavailable:
            if datetime.now(UTC) > deadline:
                raise
            await asyncio.sleep(0.01)
        else:
            return found.messages, found.consumers


async def _until_waiting(site: ConsumingSite, wanted: int) -> None:
    counts: Sequence[int] = ()
    async with asyncio.timeout(_LONGEST):
        while (found := await asyncio.to_thread(site.waiting, QUEUE)) != wanted:
            counts = [*counts[-5:], found]
            await asyncio.sleep(0.01)
