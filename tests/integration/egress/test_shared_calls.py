"""Calls that many requests share, when they go wrong: each request is judged by its own look."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.integration.egress.conftest import Site, until
from tests.integration.egress.test_kills import gather

_REQUESTS = [f"r-{number}" for number in range(40)]
_HANG_SECONDS = 15.0
_UNKNOWN = {"kind": "item_error_after", "code": "ErrorInternalServerError"}


@pytest.mark.parametrize("operation", ["CreateItem", "SendItem", "UpdateItem"])
def test_each_is_sent_once_and_told_where_the_answer_to_one_of_many_is_lost(site: Site, operation: str) -> None:
    """The fourth of a call, so there were others in it."""
    rule = {"match": {"operation": operation, "item": 3}, "fault": _UNKNOWN, "times": 2}

    _all_are_sent_once(site, rule)

    assert site.sandbox.fault_report()[0]["fired"] >= 1


def test_each_is_sent_once_and_told_where_the_answers_to_calls_of_many_are_lost(site: Site) -> None:
    _all_are_sent_once(site, {"match": {"operation": "SendItem"}, "fault": "cut_after", "times": 3})

    # They did share them, or nothing was shown here.
    assert site.sandbox.admin("/calls")["SendItem"]["count"] < len(_REQUESTS)


@pytest.mark.parametrize("operation", ["CreateItem", "SendItem"])
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "soap_fault", "code": "ErrorTimeoutExpired"},
        {"kind": "server_busy", "back_off_milliseconds": 500},
        {"kind": "gateway_error", "status": 504},
        {"kind": "stall_after", "seconds": 60},
    ],
    ids=lambda fault: fault["kind"],
)
def test_each_is_sent_once_and_told_where_calls_of_many_fail_as_a_whole(
    site: Site, operation: str, fault: dict[str, Any]
) -> None:
    """Done or not: nobody knows, of none of them."""
    site.environment["BRIDGE_EWS__CALL_TIMEOUT_SECONDS"] = "4"

    _all_are_sent_once(site, {"match": {"operation": operation}, "fault": fault, "times": 3})

    # One call cannot hold them all; what was done though it failed is not done again.
    assert site.sandbox.fault_report()[0]["fired"] >= 2


@pytest.mark.parametrize("operation", ["CreateItem", "FindItem", "SendItem"])
def test_an_urgent_request_does_not_wait_for_calls_of_many_that_hang(site: Site, operation: str) -> None:
    site.environment["BRIDGE_EWS__CALL_TIMEOUT_SECONDS"] = "60"
    events: list[dict[str, Any]] = []
    worker = site.start()
    site.request(["first"])
    until(gather(site, events, 1), "the worker to be at work")
    hang = {"kind": "stall_before", "seconds": _HANG_SECONDS}
    site.sandbox.faults({"match": {"operation": operation}, "fault": hang, "times": 2})
    before_any_hung = time.monotonic()
    site.request(_REQUESTS)
    until(lambda: site.sandbox.fault_report()[0]["fired"] == 2, "two calls to hang", seconds=60)

    site.request(["urgent"], key="dispatch.urgent")
    until(lambda: site.sent()["urgent"] == 1, "the urgent mail", seconds=60)

    assert time.monotonic() - before_any_hung < _HANG_SECONDS
    until(gather(site, events, len(_REQUESTS) + 2), "all ends", seconds=200)
    assert site.stop(worker) == 0
    assert site.sent() == dict.fromkeys(["first", *_REQUESTS, "urgent"], 1)


def _all_are_sent_once(site: Site, rule: dict[str, Any]) -> None:
    events: list[dict[str, Any]] = []
    site.sandbox.faults(rule)
    site.request(_REQUESTS)

    worker = site.start()
    until(gather(site, events, len(_REQUESTS)), "all ends", seconds=200)

    assert site.stop(worker) == 0
    assert {event["event"] for event in events} == {"outbound.sent"}
    assert site.sent() == dict.fromkeys(_REQUESTS, 1)


def test_one_that_exchange_refuses_within_a_call_of_many_fails_alone(site: Site) -> None:
    events: list[dict[str, Any]] = []
    refusal = {"kind": "item_error", "code": "ErrorMessageBlocked"}
    site.sandbox.faults({"match": {"operation": "SendItem", "item": 3}, "fault": refusal, "times": 1})
    site.request(_REQUESTS)

    worker = site.start()
    until(gather(site, events, len(_REQUESTS)), "all ends", seconds=200)

    assert site.stop(worker) == 0
    [failed] = [event for event in events if event["event"] != "outbound.sent"]
    assert (failed["event"], failed["code"]) == ("outbound.failed", "refused_by_exchange")
    assert site.sent() == {one: 1 for one in _REQUESTS if one != failed["request_id"]}
