"""A worker that is frozen where it has decided to send, for longer than its decision holds."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.matrix.requests import all_members, assert_sent, assert_sent_once, assert_told, ids, request
from tests.support.workers import until

if TYPE_CHECKING:
    from tests.matrix.site import Site

_ENTRY_GOOD_SECONDS = 60.0


def _frozen_before_its_send(site: Site, seconds: float, **fields: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """Let a worker come to its SendItem and freeze it there for so long; return the events, and the requests."""
    request_ids = ids(site)[:1]
    request(site, *request_ids, **fields)
    worker = site.start("egress", point="SendItem before")
    site.await_point()
    worker.freeze()
    over = time.monotonic() + seconds
    until(lambda: time.monotonic() > over, "its time to be over", seconds=seconds + 60)
    worker.thaw()
    site.go_on()
    told = all_members(site, request_ids)
    site.end()
    return told + site.taken("mail.events"), request_ids


@pytest.mark.timeout(240)
def test_a_request_that_expires_while_its_worker_is_frozen_at_the_call_is_never_sent(site: Site) -> None:
    expires_at = datetime.now(UTC) + timedelta(seconds=20)

    told, request_ids = _frozen_before_its_send(site, 21, expires_at=expires_at.isoformat())

    assert_told(told, "outbound.expired", request_ids)
    assert_sent(site, request_ids, 0)


@pytest.mark.timeout(300)
def test_a_send_that_was_frozen_at_its_call_is_begun_anew_and_takes_its_place_in_the_line(site: Site) -> None:
    """Others may have had the minute meanwhile: the call that it had in hand is not made."""
    site.mailbox["send_rate_per_minute"] = 2

    told, request_ids = _frozen_before_its_send(site, _ENTRY_GOOD_SECONDS + 1)

    assert_sent_once(site, told, request_ids)
    [void] = site.folder("drafts")  # the one whose call was in hand; another was made and sent
    assert void
