"""A worker that is told to stop while Exchange does not answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.egress.conftest import until

if TYPE_CHECKING:
    from tests.integration.egress.conftest import Site


@pytest.mark.timeout(120)
@pytest.mark.parametrize("operation", ["FindFolder", "FindItem", "CreateItem"])
def test_a_worker_whose_calls_hang_stops_soon_and_well(site: Site, operation: str) -> None:
    site.sandbox.faults({"match": {"operation": operation}, "fault": "stall_before"})
    site.request(["r-1"])
    worker = site.start()
    until(lambda: operation in site.sandbox.admin("/calls"), "the call that hangs")
    started = time.monotonic()

    code = site.stop(worker)

    assert code == 0
    assert time.monotonic() - started < 15  # of 25 that it may take
    site.sandbox.faults()
    worker = site.start()
    until(lambda: site.sent() == {"r-1": 1}, "the send")
    assert site.stop(worker) == 0
