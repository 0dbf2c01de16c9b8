"""The pace over kills, freezes and hand-overs of real workers, by Exchange's own account."""

from __future__ import annotations

import signal
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.integration.egress.conftest import Site, until
from tests.integration.egress.test_kills import gather

if TYPE_CHECKING:
    from typing import Any

_LIMIT = 4


@pytest.mark.timeout(600)
def test_no_minute_has_more_than_its_mails_over_a_kill_a_freeze_and_a_hand_over(site: Site) -> None:
    site.send_rate_per_minute = _LIMIT
    request_ids = [f"r-{number}" for number in range(10)]
    events: list[dict[str, Any]] = []
    site.request(request_ids[:5])
    site.request(request_ids[5:], key="dispatch.urgent")

    first = site.start()
    until(lambda: len(site.sandbox.sends()) >= 2, "two sends")
    site.kill(first)
    second = site.start()
    until(lambda: len(site.sandbox.sends()) >= 3, "one more", seconds=240)
    second.send_signal(signal.SIGSTOP)
    third = site.start()
    until(lambda: len(site.sandbox.sends()) >= 6, "those of the next minute", seconds=300)
    second.send_signal(signal.SIGCONT)
    assert site.stop(third) == 0  # and the second one takes over once more
    until(gather(site, events, len(request_ids)), "all ends", seconds=400)

    assert site.stop(second) == 0
    assert site.sent() == dict.fromkeys(request_ids, 1)
    moments = [datetime.fromisoformat(str(send["at"])) for send in site.sandbox.sends()]
    for last in moments:
        minute = timedelta(seconds=60)
        assert sum(1 for one in moments if last - minute < one <= last) <= _LIMIT
