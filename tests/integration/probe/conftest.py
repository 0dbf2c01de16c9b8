"""A sandbox for the probe, one for each file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.probe.support import TEST_BOX, WORKED_ON
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    folder = tmp_path_factory.mktemp("probe")
    with SandboxProcess(folder / "sandbox", mailboxes=[WORKED_ON]) as running:
        # Made while it runs, so that bridge.toml, kept from before, does not name it.
        (folder / "bridge.toml").write_text((folder / "sandbox" / "bridge.toml").read_text())
        running.add_mailbox(TEST_BOX)
        yield running
