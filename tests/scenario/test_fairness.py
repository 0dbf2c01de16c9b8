"""Mailboxes of one worker share what it has: a night's backlog in one is no reason for a page in another to wait."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import pika
import pytest

from tests.bench.prefilled import prefill
from tests.scenario.conftest import ADDRESS, Site, make_site
from tests.support.sandbox import SandboxProcess
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BACKLOG = 10_000
_PAGES = 3
_PASSED_AT_MOST = _BACKLOG // 10
"""Mails of the others that may go between Exchange's word that it has a page and the page."""


@contextlib.contextmanager
def _site(tmp_path: Path, broker_url: str, busy: list[str]) -> Iterator[Site]:
    """One mailbox for pages, and others that share a backlog."""
    mails = [_mail(f"{number}@busy") for number in range(50)]
    with SandboxProcess(tmp_path / "sandbox", mailboxes=[ADDRESS, *busy]) as sandbox:
        site = make_site(tmp_path, sandbox, broker_url)
        for address in busy:
            prefill(sandbox, address, mails, _BACKLOG // len(busy))
        yield site


def _mail(name: str) -> bytes:
    return f"From: cad@example.com\r\nSubject: {name}\r\nMessage-ID: <{name}>\r\n\r\n{'x' * 1_000}\r\n".encode()


def _routing_keys(amqp_url: str) -> list[str]:
    """Take everything out of the queue and return the routing keys in the order of the mails."""
    keys = []
    with contextlib.closing(pika.BlockingConnection(pika.URLParameters(amqp_url))) as connection:
        channel = connection.channel()
        channel.basic_qos(prefetch_count=1_000)
        for method, _, _ in channel.consume("mail.inbound", auto_ack=True, inactivity_timeout=2.0):
            if method is None:
                break
            keys.append(method.routing_key)
    return keys


@pytest.mark.parametrize("busy", [1, 5])
def test_a_page_does_not_wait_for_the_ten_thousand_mails_of_other_mailboxes(
    tmp_path: Path, broker_url: str, busy: int
) -> None:
    """Counted and not timed: how many of the others were published between its arrival and itself."""
    others = [f"busy-{number}@example.org" for number in range(busy)]
    gone_before = []
    never = {"INGEST__POLL_INTERVAL_SECONDS": "600", "INGEST__LISTING_INTERVAL_SECONDS": "600"}
    with _site(tmp_path, broker_url, others) as site, site.worker("ingest", **never) as worker:

        def published() -> int:
            return int(worker.metric("bridge_ingest_published_mails_total"))

        until(lambda: worker.metric("bridge_ingest_streamed") == busy + 1, "all mailboxes to be told of")
        until(lambda: published() > 0, "the backlog to move")
        for number in range(_PAGES):
            site.sandbox.deliver(ADDRESS, _mail(f"{number}@page"))
            gone_before.append(published())
            until(lambda: site.count(address=ADDRESS) == 0, "the page to pass")
        assert all(site.count(address=address) > 0 for address in others), "a backlog was gone before the pages were"
        assert worker.stop() == 0
        keys = _routing_keys(site.amqp_url)

    pages = [place for place, key in enumerate(keys) if key == "dispatch.mail"]
    passed = [place - before for place, before in zip(pages, gone_before, strict=True)]
    print(f"mails of others that went before each page: {passed}, of {len(keys)} that were read in all")
    assert max(passed) <= _PASSED_AT_MOST


def test_mailboxes_that_hang_hold_up_no_page_and_no_urgent_send_of_another(tmp_path: Path, broker_url: str) -> None:
    """Their calls would hang for longer than anything here waits for: none ends before the pages are through."""
    hung = [f"hung-{number}@example.org" for number in range(4)]
    patient = {"EWS__CALL_TIMEOUT_SECONDS": "600", "EWS__CONNECTIONS": "4"}
    with SandboxProcess(tmp_path / "sandbox", mailboxes=[ADDRESS, *hung]) as sandbox:
        site = make_site(tmp_path, sandbox, broker_url)
        with site.worker("run", **patient) as worker:
            until(worker.ready, "the worker to read and to drain")
            _ask(site.amqp_url, "dispatch", "first")
            until(lambda: len(sandbox.sends()) == 1, "the first send, with its proof")
            stall = {"kind": "stall_before", "seconds": 3600}
            rules = [{"match": {"mailbox": address}, "fault": stall} for address in hung]
            sandbox.admin("/faults", method="PUT", body=rules)
            for number in range(_PAGES):
                for address in hung:
                    sandbox.deliver(address, _mail(f"{number}@hung"))
                    _ask(site.amqp_url, address.partition("@")[0], f"{address}-{number}")
                sandbox.deliver(ADDRESS, _mail(f"{number}@page"))
                _ask(site.amqp_url, "dispatch.urgent", f"urgent-{number}")
                until(lambda: site.count(address=ADDRESS) == 0, "the page to pass")
                until(lambda: len(sandbox.sends()) == 2 + number, "the urgent send")  # noqa: B023 - now
            assert all(site.count(address=address) > 0 for address in hung)
            sandbox.admin("/faults", method="DELETE")


def _ask(amqp_url: str, routing_key: str, request_id: str) -> None:
    body = {"request_id": request_id, "to": [{"address": "crew@elsewhere.example"}], "subject": "x", "text": "x"}
    properties = pika.BasicProperties(message_id=request_id, content_type="application/json", delivery_mode=2)
    with contextlib.closing(pika.BlockingConnection(pika.URLParameters(amqp_url))) as connection:
        connection.channel().basic_publish("mail.outbound", routing_key, json.dumps(body).encode(), properties)
