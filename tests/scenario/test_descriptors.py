"""A worker that may open few files and connections more: who asks for its health takes none from its work."""

from __future__ import annotations

import contextlib
import http.client
import json
import resource
import socket
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.scenario.conftest import ADDRESS
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.scenario.conftest import Site
    from tests.support.workers import Worker

_HALF_REQUESTS = 300
_ROOM = 60
"""For connections and files beyond those at rest: fewer than half requests could take, more than a worker needs."""
_NONE = 3
"""What is open stays so, and there is no number for anything else."""
_LARGEST_LOG_BYTES = 100_000
_CLOSED = "bridge_process_closed_http_connections_total"
_MAIL = b"From: cad@example.com\r\nSubject: page\r\nMessage-ID: <page@example.com>\r\n\r\nx\r\n"


def _limit(worker: Worker, descriptors: int) -> None:
    _, hard = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (descriptors, hard))


def _highest(worker: Worker) -> int:
    return max(int(link.name) for link in Path(f"/proc/{worker.pid}/fd").iterdir())


@contextlib.contextmanager
def _half_requests(url: str) -> Iterator[None]:
    parts = urlsplit(url)
    with contextlib.ExitStack() as stack:
        for _ in range(_HALF_REQUESTS):
            one = stack.enter_context(socket.create_connection((parts.hostname, parts.port), 10))
            with contextlib.suppress(OSError):
                one.sendall(b"GET /health HTTP/1.1\r\nHost: worker\r\n")
        yield


def _codes(worker: Worker) -> set[str]:
    return {part["code"] for part in worker.health().values()}


def test_three_hundred_half_requests_for_health_do_nothing(site: Site) -> None:
    site.fork_server = None  # what it has open at its start is counted
    with site.worker("ingest", INGEST__LISTING_INTERVAL_SECONDS="1") as worker:
        until(worker.ready, "the worker to read")
        log = site.directory / "ingest.log"
        before = log.stat().st_size
        _limit(worker, _highest(worker) + _ROOM)

        with _half_requests(worker.url()):
            seen = [_codes(worker)]
            site.sandbox.deliver(ADDRESS, _MAIL)
            until(lambda: site.count() == 0, "the page to pass")
            with _half_requests(worker.url()):
                seen.append(_codes(worker))
                # Each look takes the place of one of them.
                until(lambda: worker.metric(_CLOSED, code="too_slow") > 0, "their end", look_seconds=2.0)
            seen.append(_codes(worker))

        # A busy machine may make Exchange's answers late; that is told as what it is.
        assert not set().union(*seen) & {"secret_unreadable", "ca_file_unusable", "descriptors_exhausted"}
        assert worker.metric(_CLOSED, code="too_many") >= _HALF_REQUESTS
        assert log.stat().st_size - before < _LARGEST_LOG_BYTES


def test_a_lack_of_descriptors_is_told_as_that_and_passes_with_it(site: Site) -> None:
    site.fork_server = None  # as above
    with site.worker("ingest", INGEST__LISTING_INTERVAL_SECONDS="1") as worker:
        until(worker.ready, "the worker to read")
        log = site.directory / "ingest.log"
        before = log.stat().st_size
        parts = urlsplit(worker.url())
        # Made before: there is no descriptor for another.
        asking = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
        seen: list[set[str]] = []

        def told() -> bool:
            asking.request("GET", "/health")
            seen.append({part["code"] for part in json.loads(asking.getresponse().read())["parts"]})
            return "descriptors_exhausted" in seen[-1]

        assert not told()
        _limit(worker, _NONE)
        with contextlib.ExitStack() as stack:
            for _ in range(20):  # they wait to be accepted
                stack.enter_context(socket.create_connection((parts.hostname, parts.port), 10))
            until(told, "the lack to be told")
            until(lambda: told() and len(seen) > 20, "the lack to be told for some time", look_seconds=1.0)
        _limit(worker, 1_000)
        until(lambda: not told(), "the lack to pass")
        site.sandbox.deliver(ADDRESS, _MAIL)
        until(lambda: site.count() == 0, "the page to pass")
        until(lambda: _codes(worker) == {"ok"}, "all parts to work")

        assert not set().union(*seen) & {"secret_unreadable", "ca_file_unusable"}
        assert log.stat().st_size - before < _LARGEST_LOG_BYTES
