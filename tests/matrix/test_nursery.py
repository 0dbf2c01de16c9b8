"""Workers that have everything at their birth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.matrix.nursery import LOADED
from tests.support.workers import until

if TYPE_CHECKING:
    from tests.matrix.site import Site


@pytest.mark.parametrize("command", ["ingest", "egress"])
def test_worker_loads_nothing_of_the_bridge_itself(site: Site, command: str) -> None:
    """Else each of a thousand workers spends half a second of CPU on what is there already."""
    worker = site.start(command)
    until(worker.ready, "the worker to be ready")

    assert worker.stop() == 0

    assert [line["modules"] for line in worker.told(LOADED)] == [[]]
