"""Exchange asks for less while mail is sent, in each of its ways: judged by its own account of the calls it got."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pika
import pytest

from tests.support.sandbox import SandboxProcess
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.scenario.conftest import Site

_ADDRESS = "dispatch@example.org"
_WAIT = "bridge_egress_wait_seconds"
_SPREAD = 1.0
"""What a worker adds at most, to part mailboxes that were told the same."""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the sandbox keeps every request, with the time at which it came."""
    kept = Path(os.environ.get("BRIDGE_SANDBOX_RECORD", tmp_path))  # among those of the whole run, to be validated too
    kept.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="throttled-", dir=kept))
    monkeypatch.setenv("BRIDGE_SANDBOX_RECORD", str(folder))
    return folder


@pytest.fixture
def sandbox(calls: Path, tmp_path: Path) -> Iterator[SandboxProcess]:
    """One that keeps them."""
    with SandboxProcess(tmp_path / "sandbox", mailboxes=[_ADDRESS]) as process:
        assert calls.is_dir()
        yield process


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("operation", "fault", "seconds"),
    [
        ("SendItem", {"kind": "unavailable", "status": 503, "retry_after_seconds": 7}, 7.0),
        ("CreateItem", {"kind": "server_busy", "back_off_milliseconds": 6500}, 6.5),
        ("SendItem", {"kind": "item_error", "code": "ErrorServerBusy", "back_off_milliseconds": 3000}, 3.0),
        ("SendItem", {"kind": "item_server_busy"}, 1.0),
    ],
    ids=["503", "500", "200", "inner"],
)
def test_while_exchange_asks_for_quiet_it_gets_no_call_and_then_all_is_sent_once(
    site: Site, calls: Path, operation: str, fault: dict[str, Any], seconds: float
) -> None:
    """The last one says no time: then it is the worker's own, a second at first."""
    with site.worker("egress") as worker:
        until(worker.ready, "the worker to drain")
        rule = {"match": {"operation": operation}, "fault": fault, "times": 1}
        site.sandbox.faults(rule)
        _request(site, "u-0")
        until(lambda: worker.metric(_WAIT) > 0, "the wait to be told")
        waited = worker.metric(_WAIT)
        at = _times(calls, since=0.0, operation=operation)[-1]
        _request(site, *(f"u-{number}" for number in range(1, 6)))
        until(lambda: len(site.sandbox.sends()) == 6, "all of them to be sent")
        until(lambda: worker.metric(_WAIT) == 0, "the wait to be over")
        paused = worker.told("egress.draining_paused")
        worker.stop()

    assert seconds <= waited <= seconds * 1.1
    assert [line["code"] for line in paused] == ["mailbox_throttled"]
    assert min(_times(calls, since=at)) - at >= seconds
    assert sorted(send["request_id"] for send in site.sandbox.sends()) == [f"u-{number}" for number in range(6)]


@pytest.mark.timeout(120)
def test_all_that_waits_goes_out_when_the_time_that_exchange_stated_is_over(site: Site, calls: Path) -> None:
    """No retry queue is as long as that: the rest of the time requests are held, or stay in their queue."""
    seconds = 12.0
    ordinary = [f"r-{number}" for number in range(6)]
    with site.worker("egress") as worker:
        until(worker.ready, "the worker to drain")
        busy = {"kind": "server_busy", "back_off_milliseconds": int(seconds * 1000)}
        site.sandbox.faults({"match": {"operation": "SendItem"}, "fault": busy, "times": 1})
        _request(site, ordinary[0], key="dispatch")
        until(lambda: worker.metric(_WAIT) > 0, "the wait to be told")
        [at] = _times(calls, since=0.0, operation="SendItem")
        _request(site, *ordinary[1:], key="dispatch")
        _request(site, "u-1")
        until(lambda: len(site.sandbox.sends()) == 7, "all of them to be sent")
        worker.stop()

    after = _times(calls, since=at)
    sends = _times(calls, since=at, operation="SendItem")
    assert after[0] - at >= seconds
    assert sends[0] - at <= seconds + _SPREAD + 2
    assert sends[-1] - at <= seconds + _SPREAD + 6  # one by one at first, on a machine that is busy
    assert sorted(send["request_id"] for send in site.sandbox.sends()) == [*ordinary, "u-1"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("stood_by", [False, True], ids=["started later", "stood by"])
def test_whoever_takes_a_mailbox_over_asks_once_and_obeys_what_it_is_told(
    site: Site, calls: Path, stood_by: bool
) -> None:
    """Exchange told the worker before alone that it wants quiet, and tells each that calls how much of it is left."""
    seconds = 6.0
    request_ids = [f"r-{number}" for number in range(5)]
    other = site.worker("egress", HTTP__LISTEN="127.0.0.1:0")
    with site.worker("egress") as worker, contextlib.ExitStack() as stack:
        until(worker.ready, "the worker to drain")
        if stood_by:
            stack.enter_context(other)
            until(other.ready, "the other one to stand by")
        busy = {"kind": "server_busy", "back_off_milliseconds": 60_000}
        site.sandbox.faults({"match": {"operation": "SendItem"}, "fault": busy, "times": 1})
        _request(site, request_ids[0])
        until(lambda: worker.metric(_WAIT) > 0, "the wait to be told")
        _request(site, *request_ids[1:])
        until(lambda: bool(worker.told("egress.draining_paused")), "the pause")

        busy["back_off_milliseconds"] = int(seconds * 1000)
        site.sandbox.faults({"match": {"mailbox": _ADDRESS}, "fault": busy, "times": 1})
        since = _times(calls, since=0.0)[-1]
        worker.kill()
        if not stood_by:
            stack.enter_context(other)
        until(lambda: len(site.sandbox.sends()) == len(request_ids), "all of them to be sent")
        other.stop()

    asked, following, *_ = _times(calls, since=since)
    assert following - asked >= seconds
    assert _times(calls, since=since, operation="SendItem")[0] - asked <= seconds + _SPREAD + 4
    assert sorted(send["request_id"] for send in site.sandbox.sends()) == request_ids


def _request(site: Site, *request_ids: str, key: str = "dispatch.urgent") -> None:
    """Publish requests; urgent ones come back soonest."""
    with contextlib.closing(pika.BlockingConnection(pika.URLParameters(site.amqp_url))) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for request_id in request_ids:
            body = {"request_id": request_id, "to": [{"address": _ADDRESS}], "text": "x"}
            properties = pika.BasicProperties(message_id=request_id, content_type="application/json", delivery_mode=2)
            channel.basic_publish("mail.outbound", key, json.dumps(body).encode(), properties)


def _times(calls: Path, *, since: float, operation: str = "") -> list[float]:
    """Return when Exchange got calls of this operation, or any, after a time, oldest first."""
    times = (file.stat().st_mtime for file in calls.glob(f"*{operation}.request.xml"))
    return sorted(at for at in times if at > since)
