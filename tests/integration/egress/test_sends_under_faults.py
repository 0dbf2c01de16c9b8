"""A send whose call goes wrong in any way: never taken for a success or a refusal that it is not, and never doubled."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from bridge.adapters.ews.sender import EwsSender
from bridge.domain.outbound_records import Stamp
from bridge.errors import BridgeError, CallRefused, MailboxThrottled, MailboxUnavailable, SendOutcomeUnknown
from bridge.sandbox.faults.kinds import KINDS, Stage
from tests.support.ews import ews_client
from tests.support.faults import UNAVAILABLE, named
from tests.support.sandbox import SandboxProcess
from tests.support.soap import EwsClient as RawEws

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ADDRESS = "dispatch@example.org"
_SECONDS = 1.0
_DONE = (Stage.AFTER, Stage.ITEM_AFTER)


def _of(*stages: Stage) -> list[dict[str, Any]]:
    return [fault for fault in UNAVAILABLE if KINDS[fault["kind"]].stage in stages and _certain(fault)]


def _certain(fault: dict[str, Any]) -> bool:
    """Leave out what may be over before or after the work, as it happens, and what a small request does not meet."""
    return fault["kind"] not in {"slow_line", "latency", "slow_upload"}


_THROTTLED: list[dict[str, Any]] = [
    {"kind": "unavailable", "retry_after_seconds": 7},
    {"kind": "server_busy"},
    {"kind": "item_server_busy"},
    {"kind": "item_error", "code": "ErrorServerBusy", "back_off_milliseconds": 4000},
]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    directory: Path = tmp_path_factory.mktemp("sends") / "sandbox"
    with SandboxProcess(directory, mailboxes=[_ADDRESS]) as process:
        # Every send counts towards the thirty of a minute, and those that wait are no concern of this.
        process.admin("/settings", method="PUT", body={"sends_per_minute": None})
        yield process


@contextlib.contextmanager
def _sender(sandbox: SandboxProcess, token: str, seconds: float = 30) -> Iterator[EwsSender]:
    with ews_client(
        sandbox, token=token, connections=1, call_timeout_seconds=seconds, largest_answer_bytes=8 << 20
    ) as client:
        yield EwsSender(client, _ADDRESS)


def _is_of_connections(fault: dict[str, Any]) -> bool:
    return KINDS[fault["kind"]].stage is Stage.CONNECTION


def _was_never_made(error: BridgeError | None) -> bool:
    return isinstance(error, MailboxUnavailable) and error.code == "host_unreachable"


async def _sent_twice(sandbox: SandboxProcess, fault: dict[str, Any]) -> tuple[list[BridgeError | None], list[int]]:
    """Send a draft under a fault and then again without; return what each said, and how often it was sent by then."""
    sandbox.faults()
    token = RawEws(sandbox, _ADDRESS).token
    stamp = Stamp(uuid.uuid4().hex, uuid.uuid4().hex, "digest")
    said: list[BridgeError | None] = []
    sent: list[int] = []
    with _sender(sandbox, token) as sender:
        draft = await sender.create_draft(b"To: away@elsewhere.example\r\nSubject: x\r\n\r\nx\r\n", stamp)
    match = {"service": "ews"} if _is_of_connections(fault) else {"operation": "SendItem"}
    for rules in ([{"match": match, "fault": fault}], []):
        sandbox.faults(*rules)
        with _sender(sandbox, token, _SECONDS if rules else 30) as sender:
            try:
                await sender.send(draft)
                said.append(None)
            except BridgeError as error:
                said.append(error)
        if rules:
            assert sandbox.fault_report()[0]["fired"] == 1
        sent.append(sum(send["request_id"] == stamp.request_id for send in sandbox.sends()))
    return said, sent


@pytest.mark.parametrize("fault", _of(*_DONE), ids=named)
async def test_a_send_that_was_done_without_an_answer_is_unknown_and_not_done_again(
    sandbox: SandboxProcess, fault: dict[str, Any]
) -> None:
    (first, second), sent = await _sent_twice(sandbox, fault)

    assert isinstance(first, SendOutcomeUnknown)
    assert isinstance(second, CallRefused)
    assert sent == [1, 1]


@pytest.mark.parametrize("fault", _of(Stage.CONNECTION, Stage.BEFORE, Stage.ITEM), ids=named)
async def test_a_send_that_was_not_done_is_unknown_and_can_be_done(
    sandbox: SandboxProcess, fault: dict[str, Any]
) -> None:
    (first, second), sent = await _sent_twice(sandbox, fault)

    # On a busy machine the connection itself may take too long, and then nothing of the request has left.
    assert isinstance(first, SendOutcomeUnknown) or (_is_of_connections(fault) and _was_never_made(first))
    assert second is None
    assert sent == [0, 1]


@pytest.mark.parametrize("fault", _THROTTLED, ids=named)
async def test_a_send_that_was_throttled_was_not_done_and_can_be_done(
    sandbox: SandboxProcess, fault: dict[str, Any]
) -> None:
    (first, second), sent = await _sent_twice(sandbox, fault)

    assert isinstance(first, MailboxThrottled)
    assert second is None
    assert sent == [0, 1]
