"""What every `Topology` promises. Subclasses supply the fixture `site`, on a broker with the real topology."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from bridge.errors import BrokerUnavailable
from bridge.wire.topology import DEAD, EVENTS, INBOUND, OUTBOUND

if TYPE_CHECKING:
    from bridge.ports.broker import Topology


class VerifiedSite(Protocol):
    """What is declared, and what others do to the broker meanwhile."""

    @property
    def topology(self) -> Topology:
        """The one that is tried."""

    def delete(self, queue: str) -> None:
        """Delete a queue, as a person."""

    async def down(self) -> None:
        """Let nobody reach the broker."""


class TopologyContract:
    """One test for each sentence of the port."""

    @pytest.fixture
    def site(self) -> VerifiedSite:
        """What a subclass supplies."""
        raise NotImplementedError

    async def test_nothing_is_missing_where_all_is_declared(self, site: VerifiedSite) -> None:
        """Also of nothing."""
        assert list(await site.topology.verify(amqp_exchanges=[INBOUND, OUTBOUND], queues=[EVENTS, DEAD])) == []
        assert list(await site.topology.verify(amqp_exchanges=[], queues=[])) == []

    async def test_what_is_missing_is_named_with_its_kind_in_the_order_asked_for(self, site: VerifiedSite) -> None:
        """A queue of the name of an amqp_exchange is another thing, and one that is missing hides none behind it."""
        missing = await site.topology.verify(
            amqp_exchanges=["mail.nowhere", OUTBOUND, "mail.gone"], queues=["q.b", INBOUND, "q.a", OUTBOUND]
        )

        assert list(missing) == [
            "amqp_exchange mail.nowhere",
            "amqp_exchange mail.gone",
            "queue q.b",
            "queue q.a",
            f"queue {OUTBOUND}",
        ]

    async def test_a_look_declares_nothing(self, site: VerifiedSite) -> None:
        """What is missing is missing the next time as well, and what a person deletes is missing from then on."""
        for _ in range(2):
            assert list(await site.topology.verify(amqp_exchanges=[], queues=["q", INBOUND])) == ["queue q"]

        site.delete(INBOUND)

        assert list(await site.topology.verify(amqp_exchanges=[INBOUND], queues=[INBOUND])) == [f"queue {INBOUND}"]

    async def test_a_broker_that_does_not_answer_tells_nothing(self, site: VerifiedSite) -> None:
        """Nobody must take it for one where nothing is missing, or all."""
        await site.down()

        with pytest.raises(BrokerUnavailable):
            await site.topology.verify(amqp_exchanges=[INBOUND], queues=[])
