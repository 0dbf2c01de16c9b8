"""Faults by rule, as an EWS client sees them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.support.sandbox import AdminRefusedError, SandboxProcess
from tests.support.soap import MESSAGES, TYPES, EwsClient

if TYPE_CHECKING:
    from collections.abc import Iterator

_DISPATCH, _CREW = "dispatch@example.org", "crew@example.org"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("faults") / "sandbox", mailboxes=[_DISPATCH, _CREW]) as running:
        for number in range(3):
            running.deliver(_DISPATCH, f"Subject: {number}\r\n\r\nBody\r\n".encode())
        yield running


@pytest.fixture
def ews(sandbox: SandboxProcess) -> Iterator[EwsClient]:
    yield EwsClient(sandbox, _DISPATCH)
    sandbox.faults()


def _on(operation: str, fault: object, **more: Any) -> dict[str, Any]:
    match = {"operation": operation, **more.pop("match", {})}
    return {"match": match, "fault": fault, **more}


def test_throttling_shows_its_three_faces(sandbox: SandboxProcess, ews: EwsClient) -> None:
    items = ews.find("inbox")

    sandbox.faults(_on("GetItem", {"kind": "unavailable", "retry_after_seconds": 9}))
    first = ews.post(ews.get(*items))
    sandbox.faults(_on("GetItem", {"kind": "server_busy", "back_off_milliseconds": 4321}))
    second = ews.post(ews.get(*items))
    sandbox.faults(_on("GetItem", "item_server_busy", match={"item": 2}))
    third = ews.call(ews.get(*items))

    assert (first.status_code, first.headers["Retry-After"]) == (503, "9")
    assert second.status_code == 500
    assert b"ErrorServerBusy" in second.content
    assert b'Name="BackOffMilliseconds">4321<' in second.content
    codes = [element.text for element in third.iter(f"{MESSAGES}ResponseCode")]
    assert codes == ["NoError", "ErrorInternalServerError", "NoError"]
    inner = {element.get("Name"): element.text for element in third.iter(f"{TYPES}Value")}
    assert inner["InnerErrorResponseCode"] == "ErrorServerBusy"


def test_an_item_fails_with_the_code_that_the_rule_gives_and_the_others_do_not(
    sandbox: SandboxProcess, ews: EwsClient
) -> None:
    items = ews.find("inbox")
    fault = {"kind": "item_error", "code": "ErrorMimeContentConversionFailed"}
    sandbox.faults(_on("GetItem", fault, match={"item": [1, 3]}, times=2))

    assert ews.codes(ews.get(*items)) == [
        "ErrorMimeContentConversionFailed",
        "NoError",
        "ErrorMimeContentConversionFailed",
    ]
    assert ews.codes(ews.get(*items)) == ["NoError"] * 3


def test_a_send_that_is_cut_before_the_work_was_not_done(sandbox: SandboxProcess, ews: EwsClient) -> None:
    before = len(sandbox.sends())
    sandbox.faults(_on("CreateItem", "cut_before", times=1))

    with pytest.raises(requests.exceptions.ConnectionError):
        ews.post(ews.send(b"To: away@elsewhere.example\r\nSubject: x\r\n\r\nx\r\n"))

    assert len(sandbox.sends()) == before


@pytest.mark.parametrize("kind", ["cut_after", "cut_within", {"kind": "stall_after", "seconds": 0.2}])
def test_a_send_whose_answer_is_lost_was_done_once(sandbox: SandboxProcess, ews: EwsClient, kind: object) -> None:
    before = len(sandbox.sends())
    sandbox.faults(_on("CreateItem", kind, times=1))

    with pytest.raises(requests.exceptions.RequestException):
        ews.post(ews.send(b"To: away@elsewhere.example\r\nSubject: x\r\n\r\nx\r\n"))

    assert len(sandbox.sends()) == before + 1


def test_a_truncated_answer_comes_with_200(sandbox: SandboxProcess, ews: EwsClient) -> None:
    items = ews.find("inbox")
    sandbox.faults(_on("GetItem", {"kind": "truncated", "keep": 0.5}))

    answer = ews.post(ews.get(*items))

    assert answer.status_code == 200
    assert b"</s:Envelope>" not in answer.content


def test_rules_tell_mailboxes_and_folders_apart(sandbox: SandboxProcess, ews: EwsClient) -> None:
    crew = EwsClient(sandbox, _CREW)
    sandbox.faults(
        {"match": {"mailbox": _CREW}, "fault": "unavailable"},
        {"match": {"folder": "sentitems"}, "fault": {"kind": "http_error", "status": 504}},
    )

    assert ews.find("inbox")
    assert crew.post(crew.get("AAMk")).status_code == 503
    folder = '<m:ParentFolderIds><t:DistinguishedFolderId Id="sentitems"/></m:ParentFolderIds>'
    shape = "<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>"
    assert ews.post(f'<m:FindItem Traversal="Shallow">{shape}{folder}</m:FindItem>').status_code == 504


def test_items_are_matched_by_the_folder_that_holds_them(sandbox: SandboxProcess, ews: EwsClient) -> None:
    items = ews.find("inbox")
    sandbox.faults({"match": {"operation": "GetItem", "folder": "inbox"}, "fault": "unavailable", "times": 1})

    assert [ews.post(ews.get(items[0])).status_code for _ in range(2)] == [503, 200]


def test_latency_is_waited(sandbox: SandboxProcess, ews: EwsClient) -> None:
    sandbox.faults(_on("FindItem", {"kind": "latency", "seconds": 0.3}))
    started = time.monotonic()

    ews.find("inbox")

    assert time.monotonic() - started >= 0.3


def test_a_block_by_policy_is_a_403_with_its_reason(sandbox: SandboxProcess, ews: EwsClient) -> None:
    sandbox.faults({"fault": "blocked_by_policy"})

    answer = ews.post(ews.get("AAMk"))

    assert (answer.status_code, "X-EWS-Policy-Reason" in answer.headers) == (403, True)


def test_calls_and_errors_are_counted(sandbox: SandboxProcess, ews: EwsClient) -> None:
    ews.find("inbox")
    before = sandbox.calls()["FindItem"]
    sandbox.faults(_on("FindItem", "unavailable", times=1))

    ews.post('<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>'
             '<m:ParentFolderIds><t:DistinguishedFolderId Id="inbox"/></m:ParentFolderIds></m:FindItem>')  # fmt: skip
    ews.find("inbox")

    after = sandbox.calls()["FindItem"]
    assert (after["count"] - before["count"], after["errors"] - before["errors"], after["in_flight"]) == (2, 1, 0)
    assert after["peak_in_flight"] >= 1


def test_an_unknown_key_is_refused_with_the_known_ones(sandbox: SandboxProcess) -> None:
    with pytest.raises(AdminRefusedError) as refused:
        sandbox.faults({"match": {"operatoin": "GetItem"}, "fault": "cut_before"})

    assert refused.value.status == 400
    assert "operation" in refused.value.answer["known"]


def test_requests_without_a_valid_token_are_counted_apart(sandbox: SandboxProcess, ews: EwsClient) -> None:
    before = sandbox.calls().get("refused", {}).get("count", 0)
    ews.token = "x"

    assert ews.post(ews.get("AAMk")).status_code == 401

    assert sandbox.calls()["refused"]["count"] == before + 1
