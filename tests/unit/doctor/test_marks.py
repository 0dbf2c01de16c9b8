"""What an examination leaves when it is killed is told from what another one is using."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bridge.doctor.marks import Mark, is_left_behind


def _name(age: timedelta) -> str:
    return f"Bridge Check {(datetime.now(UTC) - age).strftime('%Y%m%dT%H%M%SZ')}-0badcafe"


def test_no_two_are_the_same() -> None:
    assert Mark.new() != Mark.new()


def test_what_is_in_use_is_not_left_behind() -> None:
    mark = Mark.new()

    assert not is_left_behind(mark.folder)
    assert not is_left_behind(mark.stamp.attempt)
    assert not is_left_behind(_name(timedelta(minutes=59)))


def test_what_is_older_than_any_examination_is_left_behind() -> None:
    assert is_left_behind(_name(timedelta(minutes=61)))
    assert is_left_behind(_name(timedelta(minutes=61)).removeprefix("Bridge Check "))


@pytest.mark.parametrize("name", ["Bridge Check", "Bridge Check list", "Bridge Parked", "20200101-x", ""])
def test_what_people_name_their_own_is_left_alone(name: str) -> None:
    assert not is_left_behind(name)


@pytest.mark.usefixtures("local_zone")
def test_the_time_zone_of_the_machine_has_no_say_in_what_is_left_behind() -> None:
    assert not is_left_behind(Mark.new().folder)
    assert not is_left_behind(_name(timedelta(minutes=59)))
    assert is_left_behind(_name(timedelta(minutes=61)))
