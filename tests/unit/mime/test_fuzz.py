"""Thousands of hostile mails in every run; `tests/run.sh fuzz` sends a hundred thousand through the whole bridge."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.classes import CLASSES
from tests.fuzz.mails import Mails
from tests.fuzz.promises import check
from tests.fuzz.scale import cost, grows_too_fast

_SEEDS = range(4)
_MAILS = 600
_STATES = range(3)


@pytest.mark.parametrize("seed", _SEEDS)
def test_hostile_mails_are_read_in_time_keep_their_bytes_and_fit_the_schema(seed: int) -> None:
    for mail in Mails(seed, full_size=100_000).first(_MAILS):
        try:
            check(mail.raw)
        except Exception as problem:
            problem.add_note(f"seed {seed}, mail {mail.number}: {mail.name}")
            raise


def test_the_mail_of_a_seed_and_a_number_is_always_the_same() -> None:
    first, again, other = (Mails(seed, full_size=1_000) for seed in (1, 1, 2))

    assert [first[n].raw for n in range(300)] == [again[n].raw for n in reversed(range(300))][::-1]
    assert [first[n].raw for n in range(300)] != [other[n].raw for n in range(300)]


@pytest.mark.parametrize("name", list(CLASSES))
def test_twice_the_hostile_mail_takes_no_more_than_twice_the_time(name: str) -> None:
    for state in _STATES:
        costs = [
            cost(lambda size=size, state=state: CLASSES[name](random.Random(state), size))  # type: ignore[misc]
            for size in (100_000, 200_000, 400_000)
        ]

        assert not grows_too_fast(costs), (state, costs)
