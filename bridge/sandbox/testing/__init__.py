"""
Fixtures for projects that talk to Exchange: `pytest_plugins = ["bridge.sandbox.testing"]` in the top conftest.py.

    def test_reads_the_inbox(exchange_mailbox):
        exchange_mailbox.deliver(subject="Hello")
        assert my_program(exchange_mailbox.sandbox.info["ews_url"], ...) == ["Hello"]

`exchange_sandbox` is a sandbox of the run, a process of its own on loopback, with a CA of its own; each worker of
pytest-xdist has one. `exchange_mailbox` is a mailbox that no other test has. Neither needs more than this package with
its extra `sandbox`, and pytest.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from bridge.sandbox.testing.mailbox import ExchangeMailbox
from bridge.sandbox.testing.process import AdminRefusedError, SandboxFailedError, SandboxProcess
from bridge.sandbox.trace import as_given

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "AdminRefusedError",
    "ExchangeMailbox",
    "SandboxFailedError",
    "SandboxProcess",
    "as_given",
    "exchange_mailbox",
    "exchange_sandbox",
    "exchange_sandbox_options",
]


@pytest.fixture(scope="session")
def exchange_sandbox_options() -> dict[str, object]:
    """What `SandboxProcess` is made with; override it in conftest.py: `{"on_premises": True}`."""
    return {}


@pytest.fixture(scope="session")
def exchange_sandbox(
    tmp_path_factory: pytest.TempPathFactory, exchange_sandbox_options: dict[str, object]
) -> Iterator[SandboxProcess]:
    """A running sandbox for all tests of the run; it ends with the run, also where that is killed."""
    directory = tmp_path_factory.mktemp("exchange") / "sandbox"
    with SandboxProcess(directory, **exchange_sandbox_options) as sandbox:  # type: ignore[arg-type]  # the user's words
        yield sandbox


@pytest.fixture
def exchange_mailbox(exchange_sandbox: SandboxProcess) -> Iterator[ExchangeMailbox]:
    """A mailbox for this test alone, empty; its faults end with the test."""
    added = exchange_sandbox.add_mailbox(f"test-{uuid.uuid4().hex[:12]}@example.org")
    mailbox = ExchangeMailbox(exchange_sandbox, added["address"], added["username"], added["password"])
    yield mailbox
    if exchange_sandbox.running:
        mailbox.end_faults()
