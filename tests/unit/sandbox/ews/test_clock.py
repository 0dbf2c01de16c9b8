"""What goes by Exchange's own time, when its clock is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from lxml import etree

from bridge.sandbox.clock import EXCHANGE
from bridge.sandbox.ews import zones
from bridge.sandbox.ews.query import read_query
from bridge.sandbox.store import personal as k
from bridge.sandbox.store.icalendar import event_ics

_YEARS_AHEAD = 40


@pytest.fixture(autouse=True)
def _ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EXCHANGE, "ahead_seconds", timedelta(days=_YEARS_AHEAD * 366).total_seconds())


def _year() -> int:
    return datetime.now(UTC).year + _YEARS_AHEAD


def test_an_invitation_is_stamped_by_exchanges_clock() -> None:
    said = event_ics({k.START: 0, k.END: 0}, "REQUEST", attendees=[])

    (stamp,) = [line for line in said.splitlines() if line.startswith("DTSTAMP:")]

    assert _year() <= int(stamp.removeprefix("DTSTAMP:")[:4]) <= _year() + 1


def test_today_is_exchanges_day() -> None:
    node = etree.Element("QueryString")
    node.text = "received:today"

    found = read_query(node)

    assert found is not None
    days = [datetime.fromtimestamp(one / 1e6, UTC) for one in found.parameters if isinstance(one, int)]
    assert days
    assert {day.year for day in days} <= {_year(), _year() + 1}


def test_the_rule_of_a_zone_is_that_of_exchanges_year(monkeypatch: pytest.MonkeyPatch) -> None:
    """Iran had summer time until 2022."""
    shown = []
    for year in (2021, 2024):
        begins = datetime(year, 7, 1, tzinfo=UTC)
        monkeypatch.setattr(EXCHANGE, "ahead_seconds", (begins - datetime.now(UTC)).total_seconds())
        shown.append(zones.definition_xml("Iran Standard Time").count("<t:Period "))

    assert shown == [2, 1]
