"""A few cells in a world as unkind as Exchange's; `tests/run.sh matrix -- --realistic` runs all of them there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.matrix.cells import Cell
from tests.matrix.requests import assert_sent_once, cut, ids, request
from tests.matrix.test_ingest import assert_arrives
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.matrix.site import Site


@pytest.fixture(scope="module")
def cell_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """A realistic one."""
    directory = tmp_path_factory.mktemp("realistic") / "sandbox"
    with SandboxProcess(directory, mailboxes=["crew@example.org"], realistic=True) as process:
        process.admin("/settings", method="PUT", body={"sends_per_minute": None})
        yield process


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "at", [Cell("publish mail.inbound", "after", "kill worker"), Cell("DeleteItem", "made", "kill sandbox")], ids=str
)
def test_mail_arrives_in_a_realistic_world_whatever_is_cut(site: Site, at: Cell) -> None:
    assert_arrives(site, at, "deleteditems")


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "at",
    [
        Cell("CreateItem drafts", "made", "lose answer"),
        Cell("SendItem", "made", "kill worker"),
        Cell("SendItem", "made", "kill sandbox"),
    ],
    ids=str,
)
def test_request_is_sent_once_in_a_realistic_world_whatever_is_cut(site: Site, at: Cell) -> None:
    """Its copy is late: whoever takes over sees a begun send whose mail is nowhere yet."""
    request_ids = ids(site)
    request(site, *request_ids)

    told = cut(site, at, request_ids)

    assert_sent_once(site, told, request_ids)
