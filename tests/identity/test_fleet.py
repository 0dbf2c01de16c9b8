"""
Many workers that start at the same moment, as after a restart of a whole cluster: how often is Entra asked?

Each is a process of its own with the token source that a worker has, forked so that all of them really start at once on
a small machine; what else a worker does asks Entra nothing.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.entra.identities import Identities
from bridge.config import load
from bridge.config.entra import DEFAULT_APP
from bridge.errors import TokenUnavailable
from tests.support.workers import until

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier, Event

    from bridge.config.entra import EntraSettings
    from tests.identity.place import Place, Table

_FORK = multiprocessing.get_context("fork")


def _member(entra: EntraSettings, folder: Path, start: Barrier, stop: Event) -> None:
    """Start with the others, want a token as a worker does that polls, and tell when there was one."""
    start.wait()
    identities = Identities({DEFAULT_APP: entra}, lambda _: None)
    identities.start()
    tokens = identities[DEFAULT_APP].tokens()
    began = time.monotonic()
    first: float | None = None
    while not stop.wait(0.2):
        try:
            tokens.token()
        except TokenUnavailable:
            continue
        first = time.monotonic() - began if first is None else first
        (folder / str(os.getpid())).write_text(json.dumps(first))


def _fleet(place: Place, count: int, *, seconds: float, served: bool) -> list[float]:
    """Run so many for so long, counted from when all are served if they are to be; return how long each had to wait."""
    app = place.app("fleet", place.mailbox("fleet"))
    mailboxes: list[Table] = [{"alias": "fleet", "address": "fleet@example.org"}]
    environment = place.config("fleet", mailboxes, entra=place.entra(app, client_secret=app["client_secret"]))
    entra = load(None, environment).settings.entra
    assert entra is not None
    folder = place.directory / "tokens"
    folder.mkdir()
    start, stop = _FORK.Barrier(count + 1), _FORK.Event()
    members = [_FORK.Process(target=_member, args=(entra, folder, start, stop), daemon=True) for _ in range(count)]
    for member in members:
        member.start()
    start.wait(60)
    if served:
        until(lambda: len(list(folder.iterdir())) == count, "all to have a token")
    until_then = time.monotonic() + seconds
    while time.monotonic() < until_then:
        time.sleep(0.1)  # a window of time is what is looked at
    stop.set()
    for member in members:
        member.join(30)
        assert member.exitcode == 0
    return [json.loads(file.read_text()) for file in folder.iterdir()]


@pytest.fixture
def fleet(pytestconfig: pytest.Config) -> int:
    """How many start at once."""
    return int(pytestconfig.getoption("--fleet", 50))


def test_each_worker_of_a_fleet_asks_once(place: Place, fleet: int) -> None:
    before = place.token_requests()

    waits = _fleet(place, fleet, seconds=3, served=True)

    asked = place.token_requests() - before
    print(f"{fleet} workers started at once: {asked} token requests; the last had one after {max(waits):.1f} s")
    assert len(waits) == fleet
    assert asked == fleet


def test_a_fleet_is_polite_to_an_entra_that_asks_for_less(place: Place, fleet: int) -> None:
    """For eight seconds Entra answers 429 to everyone: those who ask go on ever more slowly, and not all at once."""
    rule = {"name": "busy", "match": {"operation": "token"}, "fault": {"kind": "unavailable", "status": 429}}
    place.sandbox.add_fault(rule)
    before = place.token_requests()

    waits = _fleet(place, fleet, seconds=8, served=False)

    asked = place.token_requests() - before
    place.sandbox.remove_fault("busy")
    print(f"{fleet} workers against an Entra that answers 429: {asked} token requests in 8 s")
    assert not waits
    assert asked <= 5 * fleet
