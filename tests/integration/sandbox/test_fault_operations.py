"""Faults of answers and of items, for every operation that there is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from bridge.sandbox.ews.operations import OPERATIONS
from tests.schema.requests import REQUESTS
from tests.support.raw_client import RawClient
from tests.support.sandbox import SandboxProcess
from tests.support.soap import EwsClient, envelope

if TYPE_CHECKING:
    from collections.abc import Iterator

_DISPATCH = "dispatch@example.org"
_CODE = "ErrorItemCorrupt"


# They answer with one message that is about no item.
_WITHOUT_ITEMS = ("GetServerTimeZones", "GetStreamingEvents", "GetUserAvailability", "ResolveNames")


def _operation(request: str) -> str:
    # A few are named by their element without its last word.
    element = request.partition(" ")[0].removeprefix("<m:")
    return element if element in OPERATIONS else element.removesuffix("Request")


_BY_OPERATION = {_operation(request): request for request in reversed(REQUESTS)}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("operations") / "sandbox", mailboxes=[_DISPATCH]) as running:
        yield running


@pytest.fixture(scope="module")
def raw(sandbox: SandboxProcess) -> RawClient:
    url = urlsplit(sandbox.info["ews_url"])
    headers = {
        "Authorization": f"Bearer {EwsClient(sandbox, _DISPATCH).token}",
        "Content-Type": "text/xml; charset=utf-8",
        "X-AnchorMailbox": _DISPATCH,
    }
    return RawClient(str(url.hostname), int(url.port or 0), sandbox.info["ca_file"], url.path, headers)


@pytest.mark.parametrize("operation", _BY_OPERATION)
def test_the_answer_of_any_operation_is_lost(sandbox: SandboxProcess, raw: RawClient, operation: str) -> None:
    sandbox.faults({"match": {"operation": operation}, "fault": "cut_after"})

    seen = raw.ask(envelope(_DISPATCH, _BY_OPERATION[operation]))

    assert (seen.data, seen.ended) == (b"", "reset")
    assert sandbox.fault_report()[0]["fired"] == 1


@pytest.mark.parametrize("kind", ["item_error", "item_error_after"])
@pytest.mark.parametrize("operation", [operation for operation in _BY_OPERATION if operation not in _WITHOUT_ITEMS])
def test_an_item_of_any_operation_fails_by_the_stated_code(
    sandbox: SandboxProcess, raw: RawClient, operation: str, kind: str
) -> None:
    """After the work only where that went well: these requests name much that does not exist."""
    sandbox.faults({"match": {"operation": operation, "item": 1}, "fault": {"kind": kind, "code": _CODE}})

    seen = raw.ask(envelope(_DISPATCH, _BY_OPERATION[operation]), patience=0.1)

    codes = re.findall(rb"ResponseCode>(\w+)<", seen.content)
    assert sandbox.fault_report()[0]["fired"] == 1
    if kind == "item_error":
        assert codes[0].decode() == _CODE
    assert codes.count(b"NoError") < len(codes)


def test_every_operation_that_the_sandbox_knows_was_tried() -> None:
    without_a_sample = set(OPERATIONS) - set(_BY_OPERATION)

    assert without_a_sample <= {"UpdateDelegate"}  # whose form is that of AddDelegate
