"""The bound on publishes of one mail holds over every hour, and costs nobody else anything."""

from __future__ import annotations

import random
from itertools import pairwise

from bridge.domain.publish_brake import PUBLISHES_PER_HOUR, PublishBrake

HOUR = 3600.0


def published_at(brake: PublishBrake, moments: list[float], message_id: str = "m") -> list[float]:
    """When a mail goes out that somebody wants to publish at each of these moments."""
    gone = []
    for moment in moments:
        if brake.allows(message_id, moment):
            brake.count(message_id, moment)
            gone.append(moment)
    return gone


def most_in_an_hour(moments: list[float]) -> int:
    return max(sum(first <= one <= first + HOUR for one in moments) for first in moments)


def test_no_hour_has_more_publishes_of_a_mail_than_stated_however_they_are_spread() -> None:
    for seed in range(20):
        rng = random.Random(seed)
        moments, now = [], 0.0
        for _ in range(3_000):
            now += rng.expovariate(1 / rng.choice([0.1, 1.0, 30.0, 400.0]))
            moments.append(now)

        gone = published_at(PublishBrake(), moments)

        assert most_in_an_hour(gone) <= PUBLISHES_PER_HOUR


def test_half_of_an_hours_publishes_may_come_at_once_and_then_one_every_six_minutes() -> None:
    gone = published_at(PublishBrake(), [float(second) for second in range(4 * 3600)])

    assert gone[:10] == [float(second) for second in range(10)]
    assert len([moment for moment in gone if moment < HOUR]) in {19, 20}
    assert {round(later - earlier) for earlier, later in pairwise(gone[10:])} == {360}


def test_other_mails_are_not_stopped() -> None:
    brake = PublishBrake()
    published_at(brake, [0.0] * 100, "loops")

    assert not brake.allows("loops", 1.0)
    assert brake.allows("another", 1.0)


def test_publishes_that_left_no_copy_stop_nothing() -> None:
    brake = PublishBrake()
    for second in range(1_000):
        assert brake.allows("unwanted", float(second))
        brake.count("unwanted", float(second))
        brake.take_back("unwanted")

    assert len(published_at(brake, [1_000.0] * 100, "unwanted")) == 10


def test_a_publish_that_is_taken_back_takes_none_of_the_earlier_ones_with_it() -> None:
    """A mail that comes back again and again, and meanwhile finds no queue once, is counted on."""
    brake = PublishBrake()
    published_at(brake, [0.0] * 9)

    brake.count("m", 0.0)
    brake.take_back("m")

    assert len(published_at(brake, [0.0] * 100)) == 1


def test_a_loop_of_more_mails_than_are_remembered_does_not_run_on_uncounted() -> None:
    """Whoever forgot the oldest would meet each of them again just after it was forgotten."""
    brake = PublishBrake(room=100)
    gone = sum(len(published_at(brake, [float(n)], f"m{mail}")) for n in range(50) for mail in range(150))

    stopped = [mail for mail in range(150) if not brake.allows(f"m{mail}", 50.0)]
    assert stopped == list(range(100))
    assert gone == 100 * 10 + 50 * 50


def test_memory_is_bounded_and_there_is_room_again_once_mails_are_forgotten() -> None:
    brake = PublishBrake(room=100)
    for mail in range(1_000):
        published_at(brake, [0.0], f"m{mail}")
    assert len(brake._forgotten_at) == 100

    later = 2 * HOUR
    assert len(published_at(brake, [later] * 100, "new")) == 10
    assert len(brake._forgotten_at) == 1
