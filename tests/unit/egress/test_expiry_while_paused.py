"""A request that expires while nobody can look into its mailbox."""

from __future__ import annotations

from datetime import timedelta

from bridge.errors import MailboxFull
from tests.support.clock import START
from tests.unit.egress.harness import Bench, eventually


async def test_request_that_expires_while_its_mailbox_cannot_be_used_is_told_as_expired_and_never_sent() -> None:
    """It goes round in the shortest retry queue by then, and its end is told as soon as the ledger can be asked."""
    bench = Bench()
    bench.mailbox.broken = MailboxFull()
    bench.request(expires_at=(START + timedelta(seconds=40)).isoformat())
    async with bench.running():
        await eventually(lambda: bool(bench.waiting()))
        bench.clock.seconds = max(bench.clock.seconds, 60)
        bench.come_back()
        await eventually(lambda: bench.waiting() == {"5s": 1})
        assert not bench.events()

        bench.mailbox.broken = None
        await eventually(lambda: _told(bench))

    assert bench.told() == [("outbound.expired", "expired")]
    assert not bench.mailbox.submissions


def _told(bench: Bench) -> bool:
    bench.come_back()
    return bool(bench.events())
