"""Exchange's searches come late: what was stored a moment ago is not found. Nothing is sent from such a mailbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.egress.conftest import ADDRESS, Site, until
from tests.integration.egress.test_kills import gather

if TYPE_CHECKING:
    from typing import Any


def _search_late(site: Site, seconds: float) -> None:
    site.sandbox.admin("/settings", method="PUT", body={"search_delay_seconds": seconds})


@pytest.mark.timeout(180)
def test_a_new_mailbox_whose_searches_are_late_is_not_sent_from(site: Site) -> None:
    """The ledger cannot be made: what was entered in it is not found."""
    _search_late(site, 3600)
    site.request(["r-0"])
    worker = site.start()

    until(lambda: _told(site, b"an item that was just made is not to be found"), "the pause")
    assert site.stop(worker) == 0
    assert site.sandbox.sends() == []


@pytest.mark.timeout(240)
def test_while_searches_are_late_nothing_is_sent_and_then_each_request_once(site: Site) -> None:
    """In the middle of work each draft is withdrawn for the next one; a worker that starts does not pass its proof."""
    events: list[dict[str, Any]] = []
    worker = site.start()
    site.request(["r-0"])
    until(gather(site, events, 1), "the first end")
    _search_late(site, 3600)
    site.request(["r-1"])
    until(lambda: len(site.sandbox.mails(ADDRESS, "drafts")) >= 3, "three drafts")
    assert site.sent() == {"r-0": 1}
    _search_late(site, 0)
    until(gather(site, events, 2), "the second end", seconds=90)
    assert site.stop(worker) == 0

    _search_late(site, 3600)
    site.environment["BRIDGE_EGRESS__SELF_TEST"] = "true"
    site.request(["r-2"])
    worker = site.start()
    until(lambda: _told(site, b"ledger_unsearchable"), "the proof to fail")
    assert site.stop(worker) == 0
    assert site.sent() == {"r-0": 1, "r-1": 1}
    assert {event["event"] for event in events} == {"outbound.sent"}


def _told(site: Site, what: bytes) -> bool:
    return any(what in log.read_bytes() for log in site.directory.glob("*.log"))
