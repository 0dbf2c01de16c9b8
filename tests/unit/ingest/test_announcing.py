"""What a worker says of itself is what its health says of the mailboxes that it has."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from bridge.domain.roster import Roster
from bridge.errors import BrokerAccessRefused
from bridge.telemetry.broker_events import AnnouncementHeard
from bridge.worker.announcing import PART, Announcing
from tests.unit.ingest.doubles import a_mail
from tests.unit.ingest.test_ownership import LEASE, QUICK, eventually, running
from tests.unit.ingest.test_reader import Bench

if TYPE_CHECKING:
    from bridge.domain.roster import Claim

OWN, OTHER = "0" * 32, "1" * 32


class Announced:
    """A worker that reads a mailbox, and another one that hears it."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.own = Roster(OWN, frozenset({"dispatch"}), bench.clock.monotonic)
        self.other = Roster(OTHER, frozenset({"dispatch"}), bench.clock.monotonic)
        self.announcing = self._of(self.own)
        self.hearing = self._of(self.other)

    def _of(self, roster: Roster) -> Announcing:
        return Announcing(
            roster,
            release="1.0",
            role="ingest",
            readers=[self.bench.reader],
            senders=[],
            health=self.bench.health,
            emit=self.bench.events.append,
        )

    def said(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.announcing.say())
        return said

    def heard(self) -> Claim | None:
        self.hearing.hear(self.announcing.say())
        return self.other.claim("ingest", "dispatch")


async def test_a_worker_says_what_it_may_have_and_what_it_has() -> None:
    bench = Bench(a_mail(1), options=QUICK)
    announced = Announced(bench)
    assert announced.said()["reads"] == ["dispatch"]
    assert announced.said()["holds"] == []

    async with running(bench):
        await eventually(lambda: announced.said()["holds"] != [])
        await eventually(lambda: announced.said()["holds"][0]["status"] == "ok")
        claim = announced.heard()
        assert claim is not None
        assert (claim.worker, claim.holding.mailbox) == (OWN, "dispatch")

        bench.publisher.taken.add(LEASE)
        bench.publisher.leases[LEASE].set()
        await eventually(lambda: announced.said()["holds"] == [])


def test_ones_own_announcement_proves_that_others_are_heard_and_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    announced = Announced(bench)
    said = announced.announcing.say()

    def read(_: bytes) -> None:
        raise AssertionError("it was read")

    monkeypatch.setattr("bridge.wire.worker_v1.from_json", read)
    assert not announced.own.hearing
    announced.announcing.hear(said)

    assert announced.own.hearing
    assert bench.events[-1] == AnnouncementHeard("ok", 0)


async def test_a_worker_whose_reading_hangs_says_so_although_it_lives() -> None:
    bench = Bench(a_mail(1), options=QUICK)
    announced = Announced(bench)
    hangs = asyncio.Event()

    async def never(*_: object, **__: object) -> None:
        hangs.set()
        await asyncio.Event().wait()

    bench.inbox.list_waiting = never  # type: ignore[method-assign,assignment]
    async with running(bench):
        await hangs.wait()
        assert announced.heard() is not None
        assert announced.other.live_claim("ingest", "dispatch") == announced.other.claim("ingest", "dispatch")
        live = announced.other.live_claim("ingest", "dispatch")

        bench.clock.seconds += 60

        claim = announced.heard()
        assert claim is not None
        assert (claim.holding.status, claim.holding.silent_seconds) == ("stale", 60.0)
        assert [one.code for one in bench.health.report() if one.part == bench.reader.part] == ["stalled"]
        assert announced.other.live_claim("ingest", "dispatch") == live


async def test_what_is_no_announcement_is_counted_and_changes_nothing() -> None:
    announced = Announced(Bench())

    announced.announcing.hear(b'{"schema": "mail.worker.v1", "worker": "somebody@example.org"}')

    [event] = announced.bench.told(AnnouncementHeard)
    assert event == AnnouncementHeard("garbled", 0)
    assert not announced.own.hearing


async def test_health_tells_whether_announcements_get_through_and_work_goes_on_without_them() -> None:
    bench = Bench()
    announced = Announced(bench)
    bench.health.forget(bench.reader.part)

    def shown(error: BrokerAccessRefused | None) -> tuple[str, str, bool]:
        announced.announcing.show(error)
        state = bench.health.state(PART)
        assert state is not None
        return state.status, state.code, bench.health.ready

    refused = BrokerAccessRefused("no right", code="broker_right_missing")
    assert shown(refused) == ("warning", "broker_right_missing", True)
    assert shown(None) == ("warning", "announcements_unheard", True)
    announced.announcing.hear(announced.announcing.say())
    assert shown(None) == ("ok", "ok", True)
