"""Mail is published when Exchange tells of it; whatever becomes of the telling, none is lost and none waits long."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.scenario.conftest import ADDRESS, Site
from tests.support.sandbox import SandboxProcess
from tests.support.workers import Worker, bridge, take, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NEVER = "600"
_PART = "exchange:notifications"


def _worker(site: Site, *, poll: str = _NEVER, listing: str = _NEVER, **settings: str) -> Worker:
    return site.worker(
        "ingest", INGEST__POLL_INTERVAL_SECONDS=poll, INGEST__LISTING_INTERVAL_SECONDS=listing, **settings
    )


def _mail(name: str, to: str = ADDRESS) -> bytes:
    return (
        f"From: cad@example.com\r\nTo: {to}\r\nSubject: {name}\r\nMessage-ID: <{name}@example.com>\r\n\r\nx\r\n"
    ).encode()


def _told_of(worker: Worker, count: int = 1, *, seconds: float = 60) -> None:
    until(lambda: worker.metric("bridge_ingest_streamed") == count, "all mailboxes to be told of", seconds=seconds)


def _arrives(site: Site, name: str, *, to: str = ADDRESS, seconds: float = 60) -> float:
    """Deliver a mail and return after how many seconds it had left the inbox."""
    started = time.monotonic()
    site.sandbox.deliver(to, _mail(name, to))
    until(lambda: site.count(address=to) == 0, f"{name} to leave", seconds=seconds)
    return time.monotonic() - started


def _strike(site: Site, kind: str, operation: str = "GetStreamingEvents", **given: Any) -> None:
    site.sandbox.admin(
        "/faults", method="PUT", body=[{"match": {"operation": operation}, "fault": {"kind": kind, **given}}]
    )


def test_mail_is_published_when_it_comes_and_not_when_the_clock_says(site: Site) -> None:
    with _worker(site) as worker:
        _told_of(worker)
        for number in range(5):
            _arrives(site, f"mail-{number}")
        assert worker.health()[_PART]["status"] == "ok"
        # Nothing else may have waked it. A long round finds a mail whose notice then comes with that of the next one.
        assert worker.metric("bridge_ingest_wakes_total", code="notified") >= 1
        assert worker.metric("bridge_ingest_wakes_total", code="interval") == 0
        assert worker.metric("bridge_ingest_stream_heard_age_seconds", mailbox="dispatch") < 60
        assert worker.stop() == 0

    assert len(take(site.amqp_url)) == 5
    calls = site.sandbox.calls()
    assert (calls["Subscribe"]["count"], calls["Unsubscribe"]["count"]) == (1, 1)


def test_mails_that_the_bridge_moves_itself_are_no_news(site: Site) -> None:
    with _worker(site) as worker:
        _told_of(worker)
        for number in range(20):
            _arrives(site, f"mail-{number}")
        # One for each that came at the most, and none for each that left, which would make it forty.
        assert worker.metric("bridge_ingest_wakes_total", code="notified") <= 20


@pytest.mark.parametrize("fault", ["stream_missed", "stream_garbage", "stream_cut", "stream_repeated"])
def test_what_a_stream_does_not_tell_is_found_by_listing_and_published_once(site: Site, fault: str) -> None:
    _strike(site, fault)
    with _worker(site, poll="0.5", listing="2") as worker:
        _told_of(worker)
        for number in range(5):
            assert _arrives(site, f"mail-{number}") < 20
        worker.stop()

    assert len(take(site.amqp_url)) == 5


def test_a_stream_that_is_dead_without_a_word_is_noticed_and_replaced(site: Site) -> None:
    _strike(site, "stream_silent", after=1)
    with _worker(site, poll="0.5", listing="5", INGEST__STREAM_SILENCE_SECONDS="3") as worker:
        _told_of(worker)
        _arrives(site, "told")
        assert _arrives(site, "untold") < 20
        until(lambda: worker.metric("bridge_ingest_stream_ends_total", code="stream_silent") >= 1, "it to be noticed")
        site.sandbox.admin("/faults", method="DELETE")
        _told_of(worker)


@pytest.mark.parametrize(
    ("fault", "given", "code"),
    [
        ("soap_fault", {"code": "ErrorInvalidOperation"}, "stream_refused"),
        ("http_error", {"status": 405}, "stream_refused"),
        ("html_page", {}, "stream_garbled"),
    ],
)
def test_where_exchange_does_not_stream_mail_is_found_by_listing_and_people_see_it(
    site: Site, fault: str, given: dict[str, Any], code: str
) -> None:
    _strike(site, fault, **given)
    with _worker(site, poll="0.5") as worker:
        until(lambda: worker.health()[_PART]["status"] == "warning", "the warning")
        part = worker.health()[_PART]
        assert part["code"] == code
        assert "1 of 1 mailboxes" in part["detail"]
        assert worker.ready()
        assert worker.metric("bridge_ingest_streamed") == 0
        for number in range(3):
            assert _arrives(site, f"mail-{number}") < 20
        assert site.sandbox.calls()["GetStreamingEvents"]["count"] < 20


def test_a_stream_of_one_minute_is_made_anew_and_nothing_is_lost_between(site: Site) -> None:
    with _worker(site, INGEST__STREAM_MINUTES="1") as worker:
        _told_of(worker)
        until(lambda: worker.metric("bridge_ingest_stream_ends_total", code="ok") >= 1, "the end", seconds=90)
        _arrives(site, "after")
        _told_of(worker)


def test_a_restart_of_exchange_is_survived_by_the_stream(site: Site) -> None:
    with _worker(site, poll="1", listing="5") as worker:
        _told_of(worker)
        site.sandbox.kill()
        site.sandbox.start()
        until(lambda: worker.metric("bridge_ingest_streamed") == 0, "the loss")
        _told_of(worker)
        _arrives(site, "after")


def test_the_worker_that_takes_a_mailbox_over_is_told_of_it(site: Site) -> None:
    first = _worker(site)
    second = site.process("ingest", first._environment, site.directory / "second.log")
    with first:
        _told_of(first)
        with second:
            until(lambda: second.health().get(_PART, {}).get("status") == "standby", "the second to stand by")
            assert first.stop() == 0
            _told_of(second)
            _arrives(site, "after")

    calls = site.sandbox.calls()
    assert (calls["Subscribe"]["count"], calls["Unsubscribe"]["count"]) == (2, 1)


@contextlib.contextmanager
def _fleet(tmp_path: Path, broker_url: str, count: int, back_ends: int) -> Iterator[tuple[Site, list[str]]]:
    """Mailboxes on so many servers, that are only read."""
    addresses = [f"m{number}@example.org" for number in range(count)]
    mailboxes = [{"alias": one.partition("@")[0], "address": one, "send": False} for one in addresses]
    with SandboxProcess(tmp_path / "sandbox", mailboxes=addresses) as sandbox:
        sandbox.admin("/settings", method="PUT", body={"back_ends": back_ends})
        environment = {
            "BRIDGE_CONFIG": str(sandbox.directory / "bridge.toml"),
            "BRIDGE_MAILBOXES": json.dumps(mailboxes),
            "BRIDGE_RABBITMQ__URLS": broker_url,
        }
        assert bridge("topology", "apply", environment=environment).returncode == 0
        yield Site(tmp_path, sandbox, broker_url, environment), addresses


@pytest.mark.parametrize(("count", "back_ends"), [(40, 1), (24, 4)])
def test_as_many_connections_as_exchange_has_servers(
    tmp_path: Path, broker_url: str, count: int, back_ends: int
) -> None:
    with _fleet(tmp_path, broker_url, count, back_ends) as (site, addresses), _worker(site) as worker:
        started = time.monotonic()
        _told_of(worker, count, seconds=180)
        print(f"{count} mailboxes on {back_ends} servers are told of after {time.monotonic() - started:.1f} s")

        assert worker.metric("bridge_ingest_stream_connections") == back_ends
        assert worker.metric("bridge_ingest_stream_subscriptions") == count
        for address in addresses[:: count // 8]:
            _arrives(site, address.partition("@")[0], to=address)
        assert worker.metric("bridge_ingest_wakes_total", code="interval") == 0
        assert worker.stop() == 0


def test_a_mailbox_that_moves_to_another_server_is_told_of_there(tmp_path: Path, broker_url: str) -> None:
    with _fleet(tmp_path, broker_url, 4, 8) as (site, addresses), _worker(site, poll="1") as worker:
        _told_of(worker, 4)
        opened = len(worker.told("ingest.stream_opened"))
        site.sandbox.admin(f"/mailboxes/{addresses[0]}/move", method="POST", body={"seconds": 1})
        # The loss itself may be over between two looks at the metric; the stream that follows it is logged.
        until(lambda: len(worker.told("ingest.stream_opened")) > opened, "a stream at the other server")
        _told_of(worker, 4)
        for address in addresses:
            _arrives(site, address.partition("@")[0], to=address)
