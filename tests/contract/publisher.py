"""What every `Publisher` promises. Subclasses supply the fixture `publisher`, on a broker with the real topology."""

from __future__ import annotations

import asyncio
from typing import Protocol

import pytest

from bridge.errors import MessageTooLarge, PublishUnroutable, QueueTaken, TopologyMissing
from bridge.ports.broker import Message, Publisher, PublishReceipt
from bridge.wire.topology import EVENTS, INBOUND, OUTBOUND, OUTBOUND_RETURNED, RETRY_STEPS


class Publishing(Protocol):
    """A publisher and a way to see what reached a queue."""

    @property
    def publisher(self) -> Publisher:
        """The one that is tried."""

    async def taken(self, queue: str) -> list[Message]:
        """Take all messages of a queue, oldest first; they carry exchange, key, body, id and headers."""

    def another(self) -> Publisher:
        """Return the publisher of another worker."""

    async def unbind_inbound(self) -> None:
        """Remove the queue `mail.inbound`."""


def a_message(
    number: int = 1, *, amqp_exchange: str = INBOUND, routing_key: str = "dispatch.mail", body: bytes = b"{}"
) -> Message:
    """Return a message that the broker takes."""
    return Message(amqp_exchange, routing_key, body, f"m-{number}", "mail.inbound.v1", headers={"n": number})


class PublisherContract:
    """One test for each sentence of the port."""

    @pytest.fixture
    async def publishing(self) -> Publishing:
        """What a subclass supplies."""
        raise NotImplementedError

    async def test_receipt_names_the_message_that_the_queue_holds(self, publishing: Publishing) -> None:
        """Proof, not hope."""
        await publishing.publisher.wait_ready()
        receipt = await publishing.publisher.publish(a_message(7))

        assert receipt == PublishReceipt("m-7")
        taken = await publishing.taken(INBOUND)
        assert [(one.message_id, one.routing_key, one.body) for one in taken] == [("m-7", "dispatch.mail", b"{}")]
        assert taken[0].headers["n"] == 7

    async def test_unroutable_message_yields_no_receipt(self, publishing: Publishing) -> None:
        """Confirmed by the broker, wanted by nobody: it must stay where it came from."""
        await publishing.unbind_inbound()
        await publishing.publisher.wait_ready()

        with pytest.raises(PublishUnroutable):
            await publishing.publisher.publish(a_message())

    async def test_unroutable_messages_do_not_take_others_down(self, publishing: Publishing) -> None:
        """Each publish has its own outcome, also when answers come for several at once."""
        await publishing.unbind_inbound()
        await publishing.publisher.wait_ready()
        messages = [
            a_message(number, amqp_exchange=EVENTS if number % 2 else INBOUND, routing_key="outbound.sent")
            for number in range(200)
        ]

        outcomes = await asyncio.gather(*map(publishing.publisher.publish, messages), return_exceptions=True)

        for number, outcome in enumerate(outcomes):
            if number % 2:
                assert outcome == PublishReceipt(f"m-{number}")
            else:
                assert isinstance(outcome, PublishUnroutable)
        assert len(await publishing.taken(EVENTS)) == 100

    async def test_missing_exchange_is_named_and_the_next_publish_works(self, publishing: Publishing) -> None:
        """A person has to act, and the connection must survive it."""
        await publishing.publisher.wait_ready()
        with pytest.raises(TopologyMissing):
            await publishing.publisher.publish(a_message(amqp_exchange="mail.nowhere"))

        await publishing.publisher.wait_ready()
        assert await publishing.publisher.publish(a_message(2)) == PublishReceipt("m-2")

    async def test_message_larger_than_the_broker_takes_is_refused_before_it_is_written(
        self, publishing: Publishing
    ) -> None:
        """Writing it would cost the channel, and everything in flight on it."""
        await publishing.publisher.wait_ready()
        largest = publishing.publisher.largest_body_bytes
        before = publishing.publisher.publish(a_message(1))
        too_large = publishing.publisher.publish(a_message(2, body=b"x" * (largest + 1)))
        just_right = publishing.publisher.publish(a_message(3, body=b"x" * largest))

        with pytest.raises(MessageTooLarge):
            await too_large
        assert await before == PublishReceipt("m-1")
        assert await just_right == PublishReceipt("m-3")

    async def test_order_of_calls_is_the_order_in_the_queue(self, publishing: Publishing) -> None:
        """Whatever is outstanding."""
        await publishing.publisher.wait_ready()
        await asyncio.gather(*(publishing.publisher.publish(a_message(number)) for number in range(500)))

        taken = await publishing.taken(INBOUND)
        assert [one.message_id for one in taken] == [f"m-{number}" for number in range(500)]

    async def test_request_for_an_unknown_mailbox_is_kept_in_returned(self, publishing: Publishing) -> None:
        """The alternate amqp_exchange takes it, so it is confirmed."""
        await publishing.publisher.wait_ready()
        await publishing.publisher.publish(a_message(amqp_exchange=OUTBOUND, routing_key="nobody.urgent"))

        taken = await publishing.taken(OUTBOUND_RETURNED)
        assert [one.routing_key for one in taken] == ["nobody.urgent"]

    async def test_a_cancelled_wait_disturbs_nobody(self, publishing: Publishing) -> None:
        """The message is on its way; only its caller no longer listens."""
        await publishing.publisher.wait_ready()
        publishing.publisher.publish(a_message(1)).cancel()

        assert await publishing.publisher.publish(a_message(2)) == PublishReceipt("m-2")
        assert len(await publishing.taken(INBOUND)) == 2

    async def test_a_lease_is_held_by_one_at_a_time(self, publishing: Publishing) -> None:
        """By whomever; another lease is another's, and a free one is there for the next."""
        mine, other = publishing.publisher, publishing.another()
        await mine.wait_ready()
        await other.wait_ready()
        async with mine.lease("mail.lease.inbound.dispatch") as lost:
            for one in (other, mine):
                with pytest.raises(QueueTaken):
                    async with one.lease("mail.lease.inbound.dispatch"):
                        pass
            async with other.lease("mail.lease.inbound.crew") as other_lost:
                assert (lost.is_set(), other_lost.is_set()) == (False, False)

        async with other.lease("mail.lease.inbound.dispatch") as lost:
            assert not lost.is_set()

    async def test_a_lease_is_free_again_whatever_ends_its_context(self, publishing: Publishing) -> None:
        """A bug of its holder must not keep the mailbox from all others."""
        mine, other = publishing.publisher, publishing.another()
        await mine.wait_ready()
        await other.wait_ready()
        with pytest.raises(LookupError):
            async with mine.lease("mail.lease.inbound.dispatch"):
                raise LookupError

        async with other.lease("mail.lease.inbound.dispatch") as lost:
            assert not lost.is_set()

    async def test_retry_queue_takes_any_key(self, publishing: Publishing) -> None:
        """One for all mailboxes."""
        step = RETRY_STEPS[-1].amqp_exchange
        await publishing.publisher.wait_ready()
        await publishing.publisher.publish(a_message(amqp_exchange=step, routing_key="dispatch.urgent"))

        assert [one.routing_key for one in await publishing.taken(step)] == ["dispatch.urgent"]
