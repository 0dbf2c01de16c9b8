"""A server that writes drafts by itself: the change key of their creation sends them no more, and the bridge copes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.egress.conftest import Site, until
from tests.integration.egress.test_kills import gather

if TYPE_CHECKING:
    from typing import Any


@pytest.mark.timeout(240)
def test_draft_that_the_server_touched_is_given_up_for_another_and_the_request_is_sent_once(site: Site) -> None:
    """A worker that asked again and again with the old key would never come to an end."""
    site.sandbox.admin("/settings", method="PUT", body={"draft_touched_after_seconds": 0})
    site.sandbox.faults({"match": {"operation": "SendItem"}, "fault": {"kind": "latency", "seconds": 1}})
    events: list[dict[str, Any]] = []
    worker = site.start()
    request_ids: list[str] = []

    def refused() -> int:
        return site.sandbox.calls().get("SendItem", {}).get("errors", 0)

    while not refused():  # a touch that is late for once misses its draft
        request_ids.append(f"r-{len(request_ids)}")
        site.request(request_ids[-1:])
        until(lambda: refused() > 0 or len(site.sandbox.sends()) == len(request_ids), "a send or its refusal")
    site.sandbox.admin("/settings", method="PUT", body={"draft_touched_after_seconds": None})
    site.sandbox.faults()

    until(gather(site, events, len(request_ids)), "all ends", seconds=120)
    assert site.stop(worker) == 0
    assert site.sent() == dict.fromkeys(request_ids, 1)
    assert {event["event"] for event in events} == {"outbound.sent"}
