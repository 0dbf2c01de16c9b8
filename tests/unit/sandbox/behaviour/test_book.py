"""The settings: what may be set, for whom, and that it stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bridge.sandbox.ews.behaviour import BehaviourSettings, SettingError
from bridge.sandbox.ews.behaviour.book import REALISTIC, SETTINGS
from bridge.sandbox.ews.behaviour.delays import spread_seconds

if TYPE_CHECKING:
    from pathlib import Path

_DISPATCH, _CREW = "dispatch@example.org", "crew@example.org"


def test_every_default_is_a_value_that_may_be_set() -> None:
    book, defaults = BehaviourSettings(), {name: setting.default for name, setting in SETTINGS.items()}
    before = book.report()

    book.put(defaults)

    assert book.report() == before


def test_exchange_s_limits_are_there_by_default() -> None:
    report = BehaviourSettings().report()

    assert (report["sends_per_minute"], report["recipients_per_day"], report["connections"]) == (30, 10_000, 27)
    assert (report["request_bytes"], report["find_items"], report["find_items_restricted"]) == (67_108_864, 1000, 250)


def test_a_mailbox_has_its_own_settings_in_any_case_of_letters() -> None:
    book = BehaviourSettings()
    book.put({"sends_per_minute": 10, "mailboxes": {"Dispatch@Example.org": {"sends_per_minute": None}}})

    assert (book.of("sends_per_minute", _DISPATCH), book.of("sends_per_minute", _CREW)) == (None, 10)
    book.put({"mailboxes": {_DISPATCH: {}}})
    assert book.of("sends_per_minute", _DISPATCH) == 10


def test_settings_and_moves_outlive_the_process(tmp_path: Path) -> None:
    book = BehaviourSettings(tmp_path / "behaviour.json")
    book.put({"connections": 3, "mailboxes": {_DISPATCH: {"mailbox_bytes": 0}}})
    book.move(_DISPATCH, until=12.5)

    again = BehaviourSettings(tmp_path / "behaviour.json")
    assert (again.of_all("connections"), again.of("mailbox_bytes", _DISPATCH)) == (3, 0)
    assert (again.moved(_DISPATCH).count, again.moved(_DISPATCH).until) == (1, 12.5)


@pytest.mark.parametrize(
    "given",
    [
        {"sends_a_minute": 3},
        {"sends_per_minute": 0},
        {"sends_per_minute": True},
        {"sends_per_minute": "30"},
        {"request_bytes": None},
        {"find_items": 1.5},
        {"realistic": "yes"},
        {"sent_copy_delay_seconds": [1, 0.5]},
        {"sent_copy_delay_seconds": [1]},
        {"sent_copy_delay_seconds": [0, True]},
        {"batch_seconds": -1},
        {"batch_seconds": float("nan")},
        {"throttled_mail_waits_in": "inbox"},
        {"throttled_mail_waits_in": None},
        {"conversion_refused": {"subjects": ["("]}},
        {"conversion_refused": {"subject": []}},
        {"conversion_refused": []},
        {"allowed_app_ids": "x"},
        {"user_agent_policy": "Block"},
        {"user_agents": [""]},
        {"ews_enabled": None},
        {"back_ends": 0},
        {"mailboxes": []},
        {"mailboxes": {_DISPATCH: None}},
        {"mailboxes": {_DISPATCH: {"find_items": 3}}},
        {"mailboxes": {_DISPATCH: {"mailboxes": {}}}},
    ],
)
def test_what_makes_no_sense_is_refused_whole(given: dict[str, Any]) -> None:
    book = BehaviourSettings()
    before = book.report()

    with pytest.raises(SettingError):
        book.put({"connections": 3, **given})

    assert book.report() == before


def test_whoever_listens_hears_of_each_change() -> None:
    book, heard = BehaviourSettings(), []
    book.listen(lambda: heard.append(1))

    book.put({"connections": 3})
    book.move(_DISPATCH, until=1)

    assert len(heard) == 2


def test_a_realistic_world_has_other_defaults_and_what_was_set_stays(tmp_path: Path) -> None:
    path = tmp_path / "behaviour.json"
    BehaviourSettings(path).put(
        {"named_properties_indexed": True, "mailboxes": {_CREW: {"sent_copy_delay_seconds": 0}}}
    )

    book = BehaviourSettings(path, realistic=True)
    report = book.report()

    unkind = {name: value for name, value in REALISTIC.items() if name != "named_properties_indexed"}
    assert {name: report[name] for name in unkind} == unkind
    assert report["realistic"]
    assert report["named_properties_indexed"]
    assert book.of("sent_copy_delay_seconds", _CREW) == 0
    assert book.of("sent_copy_delay_seconds", _DISPATCH) == REALISTIC["sent_copy_delay_seconds"]
    assert BehaviourSettings(path).of_all("sent_copy_delay_seconds") == 0  # not kept: the next start decides anew


def test_a_world_becomes_realistic_while_it_runs_and_kind_again() -> None:
    book = BehaviourSettings()

    book.put({"realistic": True})
    unkind = book.of_all("named_properties_indexed")
    book.put({"realistic": False})

    assert (unkind, book.of_all("named_properties_indexed")) == (False, True)


def test_what_a_realistic_world_has_are_settings_that_may_be_set() -> None:
    BehaviourSettings().put(REALISTIC)


def test_a_spread_wait_is_within_its_bounds_and_the_same_each_time() -> None:
    waits = [spread_seconds([1, 3], "copy", number) for number in range(1_000)]

    assert waits == [spread_seconds([1, 3], "copy", number) for number in range(1_000)]
    assert 1 <= min(waits) < 1.1
    assert 2.9 < max(waits) <= 3
    assert spread_seconds(0.5, "copy", 1) == 0.5
