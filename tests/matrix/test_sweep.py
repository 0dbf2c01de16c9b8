"""The sweep of the ledger, cut where it looks for what is old and where it deletes that, while requests are sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.matrix.cells import SWEEPING, Cell
from tests.matrix.requests import all_members, assert_sent_once, cut, ids, request
from tests.support.workers import until

if TYPE_CHECKING:
    from tests.matrix.site import Site

_BIRTH = 1
"""The entry that tells since when a ledger is whole; no sweep takes it."""
_CLOCK_SECONDS = timedelta(seconds=2.5)
"""More than a careful time may be late: a second of a Date, and a second of a search, which asks by whole ones."""


def _entries(site: Site) -> set[str]:
    [folder] = [one for one in site.sandbox.folders(site.address) if one["name"] == "Bridge Sends"]
    return {entry["item_id"] for entry in site.folder(folder["id"])}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("at", SWEEPING.cells(), ids=str)
def test_what_is_old_is_swept_whatever_is_cut_wherever(site: Site, at: Cell) -> None:
    """The entries of requests that were sent later are all there, whoever deletes late what was old."""
    old, young = ids(site, group="old"), ids(site, group="young")
    request(site, *old)
    before = site.start("egress")
    told_before = all_members(site, old)
    assert before.stop() == 0
    of_old = _entries(site)
    old_before = datetime.now(UTC) + _CLOCK_SECONDS
    site.settings["MATRIX_OLD_BEFORE"] = old_before.isoformat()
    until(lambda: datetime.now(UTC) > old_before + _CLOCK_SECONDS, "what there is to be old")
    request(site, *young)

    told = cut(site, at, young, finished=lambda: len(_entries(site) & of_old) == _BIRTH)

    assert_sent_once(site, told_before, old)
    assert_sent_once(site, told, young)
    entries = _entries(site)
    assert len(entries & of_old) == _BIRTH
    assert len(entries - of_old) >= len(young)  # one more for each send that a worker had begun when it was killed
