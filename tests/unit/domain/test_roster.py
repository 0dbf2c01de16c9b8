"""Who works on what, as far as workers tell each other."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bridge.domain import roster
from bridge.domain.roster import Announcement, Direction, Holding, Roster

OWN, OTHER, THIRD = "0" * 32, "1" * 32, "2" * 32


@dataclass
class Bench:
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.roster = Roster(OWN, frozenset({"dispatch"}), lambda: self.now)

    def hear(
        self,
        worker: str = OTHER,
        *,
        status: str | None = None,
        mailbox: str = "dispatch",
        direction: Direction = "ingest",
        sends: tuple[str, ...] = (),
        size_bytes: int = 100,
    ) -> None:
        holds = [] if status is None else [Holding(direction, mailbox, status, status, 1.0)]
        self.roster.hear(Announcement(worker, "1.0", "run", [], list(sends), holds), size_bytes)

    def hear_oneself(self, seconds: float) -> None:
        """Let so much time pass, in which one's own announcements come back."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + roster.ANNOUNCE_SECONDS)
            self.hear(OWN)


@pytest.mark.parametrize("status", ["ok", "warning", "starting", "trouble", "a_later_word"])
def test_who_says_that_it_has_a_mailbox_gives_a_sign_of_life_for_it(status: str) -> None:
    bench = Bench()

    bench.hear(status=status)

    claim = bench.roster.live_claim("ingest", "dispatch")
    assert claim is not None
    assert (claim.worker, claim.heard_at) == (OTHER, bench.now)
    assert bench.roster.live_claim("egress", "dispatch") is None


def test_a_hung_holder_says_itself_that_its_work_shows_no_life() -> None:
    bench = Bench()
    bench.hear(status="ok")
    heard_at = bench.now
    bench.now += 50

    bench.hear(status="stale")

    live, last = bench.roster.live_claim("ingest", "dispatch"), bench.roster.claim("ingest", "dispatch")
    assert live is not None
    assert live.heard_at == heard_at
    assert last is not None
    assert last.holding.status == "stale"


def test_what_it_says_itself_is_no_sign_of_anybody_else() -> None:
    bench = Bench()

    bench.hear(OWN, status="ok", sends=("dispatch", "fleet"))

    assert bench.roster.live_claim("ingest", "dispatch") is None
    assert bench.roster.others == 0
    bench.hear_oneself(roster.GATHER_SECONDS)
    assert bench.roster.sends("fleet") is False


def test_of_mailboxes_that_are_not_its_own_it_remembers_no_holder() -> None:
    bench = Bench()

    bench.hear(status="ok", mailbox="fleet")

    assert bench.roster.live_claim("ingest", "fleet") is None


def test_hearing_is_proved_by_its_own_announcements_alone() -> None:
    bench = Bench()
    bench.hear(OTHER)
    assert not bench.roster.hearing

    bench.hear(OWN)
    assert bench.roster.hearing
    bench.hear_oneself(20)
    assert bench.roster.hearing_seconds == 20

    bench.now += roster.HEARING_SECONDS + 1
    assert not bench.roster.hearing
    bench.hear(OWN)
    assert bench.roster.hearing_seconds == 0


def test_an_alias_is_nobody_s_only_after_everybody_had_the_time_to_announce_itself() -> None:
    bench = Bench()
    assert bench.roster.sends("fleet") is None
    bench.hear(OWN)
    bench.hear_oneself(roster.GATHER_SECONDS - 1)
    assert bench.roster.sends("fleet") is None

    bench.hear_oneself(1)

    assert bench.roster.sends("fleet") is False


def test_an_alias_that_a_worker_announced_stays_known_while_that_worker_restarts() -> None:
    bench = Bench()
    bench.hear(OTHER, sends=("fleet",))
    bench.hear_oneself(300)
    assert bench.roster.others == 0

    assert bench.roster.sends("fleet") is True

    bench.hear_oneself(400)
    bench.hear(THIRD)
    assert bench.roster.sends("fleet") is False


def test_the_last_other_worker_is_forgotten_as_well_though_nobody_follows_it() -> None:
    """Requests for its mailboxes would go round for ever otherwise, and never be told as failed."""
    bench = Bench()
    bench.hear(OTHER, sends=("fleet",))

    bench.hear_oneself(700)

    assert bench.roster.sends("fleet") is False


def test_whoever_hears_nothing_does_without_after_a_minute() -> None:
    """The right is missing, or the exchange: as before there were announcements."""
    bench = Bench()
    bench.now += 59
    assert bench.roster.sends("fleet") is None

    bench.now += 1

    assert bench.roster.sends("fleet") is False


def test_a_gap_in_hearing_makes_an_alias_uncertain_again() -> None:
    bench = Bench()
    bench.hear_oneself(roster.GATHER_SECONDS + 5)
    assert bench.roster.sends("fleet") is False

    bench.now += roster.HEARING_SECONDS + 1

    assert bench.roster.sends("fleet") is None


def test_a_flood_of_made_up_workers_is_bounded_and_the_latest_are_kept() -> None:
    bench = Bench()
    for number in range(1000):
        bench.hear(f"{number:032x}", sends=(f"alias-{number}",), size_bytes=1 << 20)

    known = [number for number in range(1, 1000) if bench.roster.sends(f"alias-{number}")]

    assert known == list(range(1000 - 64, 1000))


def test_who_sends_for_a_mailbox_says_nothing_of_who_reads_it() -> None:
    bench = Bench()

    bench.hear(OTHER, status="ok", direction="ingest")
    bench.hear(THIRD, status="stale", direction="egress")

    reads, sends = bench.roster.live_claim("ingest", "dispatch"), bench.roster.claim("egress", "dispatch")
    assert reads is not None
    assert sends is not None
    assert (reads.worker, reads.holding.status) == (OTHER, "ok")
    assert (sends.worker, sends.holding.status) == (THIRD, "stale")
    assert bench.roster.live_claim("egress", "dispatch") is None


def test_of_two_workers_that_are_there_each_counts() -> None:
    bench = Bench()

    bench.hear(OTHER, status="ok")
    bench.hear(THIRD, status="ok", mailbox="of-others")
    bench.hear(THIRD, status="ok", mailbox="of-others")

    assert bench.roster.others == 2
    claim = bench.roster.claim("ingest", "dispatch")
    assert claim is not None
    assert claim.worker == OTHER
