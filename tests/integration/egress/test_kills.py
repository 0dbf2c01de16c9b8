"""Workers killed, answers lost, two at once: none sent twice, none lost, each request with its event."""

from __future__ import annotations

import random
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.egress.conftest import Site, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.fork_server import ForkedProcess

_SEED = 20261124


def gather(site: Site, into: list[dict[str, Any]], count: int) -> Callable[[], bool]:
    """Take events until so many requests have ended."""

    def enough() -> bool:
        into.extend(site.events())
        return len({event["request_id"] for event in into if event["event"] != "outbound.delayed"}) >= count

    return enough


def sent_or_ended(site: Site, worker: ForkedProcess, goal: int) -> bool:
    return len(site.sandbox.sends()) >= goal or worker.poll() is not None


def check(site: Site, events: list[dict[str, Any]], request_ids: list[str], *, unanswered: bool = False) -> None:
    """
    Every request was sent once, and is told as sent under one event id.

    Where calls that send may have gone `unanswered`, three of them end a request as unknown: it was sent once, or not.
    """
    told = {event["request_id"]: event for event in events}
    unknown = {request_id for request_id, event in told.items() if event["event"] == "outbound.unknown"}
    assert {event["event"] for event in events} <= (
        {"outbound.sent", "outbound.unknown"} if unanswered else {"outbound.sent"}
    )
    assert all("3 times" in told[request_id]["detail"] for request_id in unknown)
    assert len(unknown) <= len(request_ids) / 4
    by_request = {
        request_id: {e["event_id"] for e in events if e["request_id"] == request_id} for request_id in request_ids
    }
    assert all(len(ids) == 1 for ids in by_request.values())
    sent = site.sent()
    assert {request_id: count for request_id, count in sent.items() if request_id not in unknown} == dict.fromkeys(
        (request_id for request_id in request_ids if request_id not in unknown), 1
    )
    assert all(sent.get(request_id, 0) <= 1 for request_id in unknown)


@pytest.mark.timeout(900)
def test_twenty_kills_over_six_hundred_requests(site: Site) -> None:
    """`kill -9` at random moments, with dozens of requests on their way."""
    chance = random.Random(_SEED)
    request_ids = [f"r-{number}" for number in range(600)]
    events: list[dict[str, Any]] = []
    site.request(request_ids)
    enough = gather(site, events, 600)

    for number in range(20):
        worker = site.start()
        started = len(site.sandbox.sends())
        goal = min(600, started + chance.randint(1, 20))
        until(partial(sent_or_ended, site, worker, goal), f"send {goal}")
        assert worker.poll() is None, f"the worker of round {number} ended by itself"
        site.kill(worker)
    worker = site.start()
    until(lambda: site.consumers("mail.outbound.dispatch") == 1, "the worker to drain")
    until(enough, "600 ends", seconds=400)

    assert site.stop(worker) == 0
    events += site.events()
    check(site, events, request_ids, unanswered=True)
    until(lambda: site.outbound_left() == 0, "empty queues")


@pytest.mark.timeout(200)
@pytest.mark.parametrize("operation", ["SendItem", "CreateItem", "UpdateItem", "FindItem"])
@pytest.mark.parametrize("fault", ["cut_after", "cut_before"])
def test_lost_answers(site: Site, operation: str, fault: str) -> None:
    """A third of the calls of an operation get no answer."""
    request_ids = [f"r-{number}" for number in range(20)]
    rule = {"match": {"operation": operation, "probability": 0.33}, "seed": 7, "times": 15, "fault": fault}
    site.sandbox.faults(rule)
    events: list[dict[str, Any]] = []
    site.request(request_ids)

    worker = site.start()
    until(gather(site, events, 20), "20 ends", seconds=120)

    assert site.stop(worker) == 0
    check(site, events, request_ids, unanswered=operation == "SendItem")


@pytest.mark.timeout(200)
def test_same_requests_published_three_times_on_both_queues(site: Site) -> None:
    """Whoever publishes twice, and on whichever queue: each is sent once."""
    request_ids = [f"r-{number}" for number in range(20)]
    for key in ("dispatch", "dispatch.urgent", "dispatch"):
        site.request(request_ids, key=key)
    events: list[dict[str, Any]] = []
    worker = site.start()

    def all_members() -> bool:
        events.extend(site.events())
        return len(events) >= 60

    until(all_members, "60 events", seconds=120)

    assert site.stop(worker) == 0
    check(site, events, request_ids)
    assert not site.sandbox.mails("dispatch@example.org", "drafts")


@pytest.mark.timeout(200)
def test_frozen_worker_wakes_up_after_its_requests_went_to_another(site: Site) -> None:
    """The fence holds without a lock."""
    chance = random.Random(_SEED)
    request_ids = [f"r-{number}" for number in range(160)]
    events: list[dict[str, Any]] = []
    site.request(request_ids)
    frozen = site.start()
    until(lambda: len(site.sandbox.sends()) >= chance.randint(5, 10), "some sends")
    frozen.send_signal(signal.SIGSTOP)

    other = site.start()  # the broker gives it the queues once the first one's heartbeats are missed
    until(lambda: len(site.sandbox.sends()) >= 158, "the other to send", seconds=90)
    frozen.send_signal(signal.SIGCONT)
    until(gather(site, events, 160), "160 ends", seconds=90)

    assert site.stop(other) == 0
    assert site.stop(frozen) == 0
    events += site.events()
    check(site, events, request_ids)
