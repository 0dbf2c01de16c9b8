"""Whoever stands by knows within a minute that nobody works, and is not alarmed by a worker of an older release."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bridge.domain import roster, standby
from bridge.domain.roster import Announcement, Holding, Roster
from bridge.domain.standby import Standby

OWN, OTHER = "0" * 32, "1" * 32


@dataclass
class Bench:
    """A worker that stands by, looked at once a second."""

    now: float = 1000.0
    hears: bool = True
    answered: bool = True

    def __post_init__(self) -> None:
        self.roster = Roster(OWN, frozenset({"dispatch"}), lambda: self.now)
        self.standby = Standby(self.roster, "egress", "dispatch")
        self.undone: list[str] | None = []
        self.looks = 0

    def pass_time(self, seconds: int, *, holder: str | None = None) -> list[str]:
        """Let time pass in which the holder announces itself with this status; return each verdict, once in a row."""
        verdicts = list[str]()
        for _ in range(seconds):
            self.now += 1
            if self.now % roster.ANNOUNCE_SECONDS == 0:
                self.announce(holder)
            self.standby.begin()
            if self.standby.wants_a_look:
                self.looks += 1
                self.standby.looking()
                if self.answered:
                    self.standby.looked(self.undone)
            if not verdicts or verdicts[-1] != self.standby.verdict():
                verdicts.append(self.standby.verdict())
        return verdicts

    def announce(self, holder: str | None) -> None:
        if self.hears:
            self.roster.hear(Announcement(OWN, "1", "egress", [], [], []), 10)
            if holder is not None:
                held = [Holding("egress", "dispatch", holder, "code", 1.0)]
                self.roster.hear(Announcement(OTHER, "1", "egress", [], [], held), 10)


@pytest.mark.parametrize("status", ["ok", "starting", "warning", "trouble"])
def test_as_long_as_the_holder_is_heard_somebody_works_and_nothing_is_looked_at(status: str) -> None:
    """A holder in trouble says so itself, where the reason is known."""
    bench = Bench()
    bench.undone = ["mail"]

    assert bench.pass_time(3600, holder=status) == ["somebody"]
    assert bench.looks == 0


@pytest.mark.parametrize("after", [None, "stale"], ids=["silent", "hung"])
def test_a_holder_that_was_heard_and_is_no_more_does_not_work(after: str | None) -> None:
    bench = Bench()
    bench.pass_time(100, holder="ok")

    assert bench.pass_time(29, holder=after)[-1] == "somebody"
    assert bench.pass_time(6, holder=after)[-1] == "nobody"

    assert bench.pass_time(6, holder="ok")[-1] == "somebody"


def test_what_this_worker_had_itself_and_nobody_announces_since_is_nobody_s() -> None:
    """Its broker node froze with the lease: no worker has it, and no worker can."""
    bench = Bench()
    bench.pass_time(100)
    bench.standby.end(owned=True)
    bench.pass_time(10)

    assert bench.pass_time(30)[-1] == "nobody"


def test_a_holder_that_never_announced_itself_is_doubted_and_alarms_nobody_as_long_as_the_work_is_done() -> None:
    """A worker of an older release while it is being replaced; each look finds another mail, or none."""
    bench = Bench()

    assert bench.pass_time(40) == ["somebody", "unknown"]
    for number in range(20):
        bench.undone = [f"mail-{number}"]
        assert bench.pass_time(15) == ["unknown"]


def test_a_holder_that_never_announced_itself_and_leaves_work_undone_does_not_work() -> None:
    bench = Bench()
    bench.pass_time(300)
    bench.undone = ["mail"]

    assert bench.pass_time(25) == ["unknown"]
    assert bench.pass_time(21) == ["unknown", "nobody"]

    bench.undone = ["a later mail"]
    assert bench.pass_time(16)[-1] == "unknown"


def test_work_that_was_left_undone_before_is_told_within_a_minute_of_standing_by() -> None:
    bench = Bench()
    bench.undone = ["mail"]

    assert bench.pass_time(46) == ["somebody", "unknown", "nobody"]


def test_where_nothing_can_be_seen_silence_is_what_counts_if_others_would_be_heard() -> None:
    bench = Bench()
    bench.undone = None

    assert bench.pass_time(45) == ["somebody", "nobody"]


def test_whoever_can_hear_nobody_goes_by_what_it_sees() -> None:
    bench = Bench(hears=False)
    bench.undone = None
    assert bench.pass_time(45) == ["somebody", "unknown"]

    bench.undone = ["mail"]
    assert bench.pass_time(45)[-1] == "nobody"


def test_a_gap_in_hearing_is_not_held_against_the_holder() -> None:
    bench = Bench()
    bench.pass_time(100, holder="ok")
    bench.hears = False
    bench.pass_time(300, holder="ok")
    bench.hears = True

    # The holder's next announcement comes some seconds after one's own.
    assert bench.pass_time(9)[-1] == "somebody"
    assert bench.pass_time(60, holder="ok") == ["somebody"]


def test_a_look_that_does_not_come_back_proves_nothing() -> None:
    bench = Bench()
    bench.undone = ["mail"]
    bench.pass_time(16)
    assert bench.looks == 1

    bench.answered = False

    assert bench.pass_time(60)[-1] == "unknown"


def test_a_mailbox_is_looked_at_a_few_times_a_minute_at_most() -> None:
    bench = Bench()

    bench.pass_time(600)

    assert bench.looks <= 600 / standby.LOOK_EVERY_SECONDS + 1


def test_what_was_seen_before_the_broker_was_away_is_no_proof_after_it() -> None:
    """An older release's worker has had no time to go on."""
    bench = Bench()
    bench.undone = ["mail"]
    bench.pass_time(20)
    bench.standby.end()
    bench.now += 600

    assert bench.pass_time(28)[-1] == "somebody"


def test_a_look_without_an_answer_in_time_makes_nobody_of_no_holder() -> None:
    """It may have waited for this worker's own other calls."""
    bench = Bench(answered=False)
    bench.pass_time(20)
    bench.standby.late()

    assert bench.pass_time(60)[-1] == "unknown"

    bench.answered, bench.undone = True, None
    assert bench.pass_time(16)[-1] == "nobody"


def test_a_mail_that_rightly_stays_pages_nobody_while_others_pass() -> None:
    """A worker of an older release leaves what no queue wants, and carries the rest."""
    bench = Bench()

    for number in range(20):
        bench.undone = ["unwanted", f"mail-{number}", f"mail-{number + 1}"]
        assert "nobody" not in bench.pass_time(15)

    bench.undone = ["unwanted", "mail-20"]
    assert bench.pass_time(46)[-1] == "nobody"


def test_mail_that_only_arrives_is_no_work() -> None:
    bench = Bench()
    bench.undone = ["mail"]
    for number in range(5):
        bench.undone.append(f"mail-{number}")
        verdict = bench.pass_time(15)[-1]

    assert verdict == "nobody"
