"""Workers of the fork server have the bridge loaded when they start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.fork_server import LOADED
from tests.support.workers import until

if TYPE_CHECKING:
    from tests.scenario.conftest import Site


@pytest.mark.parametrize("command", ["ingest", "egress"])
def test_worker_loads_nothing_of_the_bridge_itself(site: Site, command: str) -> None:
    """Else each of a thousand workers spends half a second of CPU on what is there already."""
    with site.worker(command) as worker:
        until(worker.ready, "the worker to be ready")

        assert worker.stop() == 0

        assert [line["modules"] for line in worker.told(LOADED)] == [[]]
