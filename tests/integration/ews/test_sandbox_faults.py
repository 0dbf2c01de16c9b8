"""The bridge's own clients under every kind of fault: in time, and never taking for success what is none."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import TYPE_CHECKING, Any

import pytest

from bridge.adapters.entra.app import EntraApp
from bridge.adapters.entra.credentials import SecretSource
from bridge.adapters.entra.sign_in import SignIn
from bridge.adapters.ews.soap import element
from bridge.errors import BridgeError, EwsBlocked, MailboxThrottled, MailboxUnavailable, TokenUnavailable
from bridge.sandbox.faults.kinds import KINDS, Stage
from tests.support.ews import ews_client
from tests.support.faults import HARMLESS, UNAVAILABLE, named
from tests.support.sandbox import SandboxProcess, as_given
from tests.support.soap import TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ADDRESS = "dispatch@example.org"
_MAIL = f"From: cad@example.com\r\nTo: {_ADDRESS}\r\nSubject: Request\r\n\r\nnow\r\n".encode()
_SECONDS = 1.0
_SLACK_SECONDS = 3.0  # for a machine that is busy; what does not end, does not end in an hour
_LARGEST_BYTES = 8 << 20

_TROUBLE: list[tuple[dict[str, Any], type[BridgeError]]] = [
    *((fault, MailboxUnavailable) for fault in UNAVAILABLE),
    ({"kind": "unavailable"}, MailboxThrottled),
    ({"kind": "unavailable", "status": 429, "retry_after_seconds": 7}, MailboxThrottled),
    ({"kind": "unavailable", "retry_after_seconds": 7, "retry_after_form": "date"}, MailboxThrottled),
    ({"kind": "server_busy"}, MailboxThrottled),
    ({"kind": "server_busy", "back_off_milliseconds": None}, MailboxThrottled),
    ({"kind": "item_server_busy"}, MailboxThrottled),
    ({"kind": "item_error", "code": "ErrorServerBusy", "back_off_milliseconds": 4000}, MailboxThrottled),
    ({"kind": "blocked_by_policy"}, EwsBlocked),
]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    directory: Path = tmp_path_factory.mktemp("faults") / "sandbox"
    with SandboxProcess(directory, mailboxes=[_ADDRESS]) as process:
        process.deliver(_ADDRESS, _MAIL)
        yield process
        assert process.running


@pytest.fixture(autouse=True)
def _whole_again(sandbox: SandboxProcess) -> Iterator[None]:
    sandbox.faults()
    yield
    sandbox.faults()


def _on(operation: str, fault: dict[str, Any]) -> dict[str, Any]:
    of_connections = KINDS[fault["kind"]].stage is Stage.CONNECTION
    return {"match": {"service": "ews"} if of_connections else {"operation": operation}, "fault": fault}


async def _read_one(sandbox: SandboxProcess, fault: dict[str, Any]) -> bytes:
    """Return the bytes of the one mail, got under a fault with a client of its own."""
    [mail] = sandbox.mails(_ADDRESS)
    request = element(
        "m:GetItem",
        element("m:ItemShape", element("t:BaseShape", text="IdOnly"), element("t:IncludeMimeContent", text="true")),
        element("m:ItemIds", element("t:ItemId", Id=mail["item_id"])),
    )
    with ews_client(
        sandbox, connections=1, call_timeout_seconds=_SECONDS, largest_answer_bytes=_LARGEST_BYTES
    ) as client:
        sandbox.faults(_on("GetItem", fault))
        message = await client.call_one(_ADDRESS, request)
    content = message.element.findtext(f".//{TYPES}MimeContent")
    return base64.b64decode(content or "")


@pytest.mark.parametrize("fault", HARMLESS, ids=named)
async def test_an_answer_that_is_right_is_taken_in_whatever_form(
    sandbox: SandboxProcess, fault: dict[str, Any]
) -> None:
    assert as_given(await _read_one(sandbox, fault)) == _MAIL
    assert sandbox.fault_report()[0]["fired"] == 1


@pytest.mark.parametrize(("fault", "error"), _TROUBLE, ids=named)
async def test_a_call_without_an_answer_to_believe_ends_in_time_with_its_error(
    sandbox: SandboxProcess, fault: dict[str, Any], error: type[BridgeError]
) -> None:
    started = time.monotonic()

    with pytest.raises(error):
        await _read_one(sandbox, fault)

    assert time.monotonic() - started < _SECONDS + _SLACK_SECONDS
    assert sandbox.fault_report()[0]["fired"] == 1


def test_every_kind_of_fault_that_a_call_can_meet_was_tried() -> None:
    tried = {fault["kind"] for fault in (*HARMLESS, *(fault for fault, _ in _TROUBLE))}

    assert tried == {name for name, kind in KINDS.items() if kind.stage is not Stage.STREAM}


_ENTRAS: list[dict[str, Any]] = [
    fault
    for fault, _ in _TROUBLE
    # Entra has no items, is first asked for something by a GET without a body, and a small answer drips in no time.
    if KINDS[fault["kind"]].stage not in {Stage.ITEM, Stage.ITEM_AFTER}
    and fault["kind"] not in {"slow_upload", "slow_drip"}
]


@pytest.mark.parametrize("fault", _ENTRAS, ids=named)
async def test_a_token_that_cannot_be_had_is_trouble_in_time(sandbox: SandboxProcess, fault: dict[str, Any]) -> None:
    app = EntraApp(
        sandbox.info["authority_url"],
        sandbox.info["client_id"],
        "https://outlook.office365.com/.default",
        ca_file=sandbox.info["ca_file"],
        timeout_seconds=_SECONDS,
    )
    tokens = SignIn("default", app, [SecretSource(str(sandbox.info["client_secret"]), None)]).tokens()
    sandbox.faults({"match": {"service": "entra"}, "fault": fault})
    started = time.monotonic()

    with pytest.raises(TokenUnavailable):
        await asyncio.to_thread(tokens.token)

    assert time.monotonic() - started < _SECONDS + _SLACK_SECONDS
