"""A sandbox for a file of tests that says nothing else, and its first app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.callers import CHIEF, CREW, DISPATCH
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """Three mailboxes, Exchange Online."""
    directory = tmp_path_factory.mktemp("sandbox") / "sandbox"
    with SandboxProcess(directory, mailboxes=[DISPATCH, CREW, CHIEF]) as running:
        yield running


@pytest.fixture
def main(sandbox: SandboxProcess) -> dict[str, Any]:
    """The app of sandbox.json, which may open every mailbox."""
    return {key: sandbox.info[key] for key in ("client_id", "client_secret")}
