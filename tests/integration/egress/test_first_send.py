"""Real workers prove that sending is safe before they send, and that is in Exchange's account of what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.egress.conftest import until
from tests.integration.egress.test_flood import health_codes
from tests.integration.egress.test_kills import gather

if TYPE_CHECKING:
    from tests.integration.egress.conftest import Site


@pytest.mark.timeout(300)
def test_a_worker_proves_once_a_day_that_it_may_send_and_sends_no_mail_for_it(site: Site) -> None:
    site.environment["BRIDGE_EGRESS__SELF_TEST"] = "true"
    events: list[dict[str, Any]] = []
    site.request(["r-1", "r-2"])
    first = site.start()
    until(gather(site, events, 2), "both ends", seconds=120)
    assert site.stop(first) == 0
    after_first = site.sent()

    site.request(["r-3"])
    second = site.start()
    until(gather(site, events, 3), "the third end", seconds=120)

    assert site.stop(second) == 0
    assert after_first == {"r-1": 1, "r-2": 1}
    assert site.sent() == {"r-1": 1, "r-2": 1, "r-3": 1}
    assert {event["event"] for event in events} == {"outbound.sent"}


@pytest.mark.timeout(300)
def test_a_mailbox_whose_sent_mail_stays_in_drafts_sends_one_mail_and_says_so(site: Site) -> None:
    site.environment["BRIDGE_EGRESS__SELF_TEST"] = "true"
    site.sandbox.admin("/settings", method="PUT", body={"sends_per_minute": None, "sent_draft_stays": True})
    site.request([f"r-{number}" for number in range(10)])
    site.start()

    until(lambda: "sent_draft_stays" in health_codes(site), "the pause to be told", seconds=120)

    assert sum(site.sent().values()) == 1
