"""The settings: what may be set, for whom, and that it stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bridge.sandbox.temper import SettingError, TemperBook
from bridge.sandbox.temper.book import SETTINGS

if TYPE_CHECKING:
    from pathlib import Path

_DISPATCH, _CREW = "dispatch@example.org", "crew@example.org"


def test_every_default_is_a_value_that_may_be_set() -> None:
    book, defaults = TemperBook(), {name: setting.default for name, setting in SETTINGS.items()}
    before = book.report()

    book.put(defaults)

    assert book.report() == before


def test_exchange_s_limits_are_there_by_default() -> None:
    report = TemperBook().report()

    assert (report["sends_per_minute"], report["recipients_per_day"], report["connections"]) == (30, 10_000, 27)
    assert (report["request_bytes"], report["find_items"], report["find_items_restricted"]) == (67_108_864, 1000, 250)


def test_a_mailbox_has_its_own_settings_in_any_case_of_letters() -> None:
    book = TemperBook()
    book.put({"sends_per_minute": 10, "mailboxes": {"Dispatch@Example.org": {"sends_per_minute": None}}})

    assert (book.of("sends_per_minute", _DISPATCH), book.of("sends_per_minute", _CREW)) == (None, 10)
    book.put({"mailboxes": {_DISPATCH: {}}})
    assert book.of("sends_per_minute", _DISPATCH) == 10


def test_settings_and_moves_outlive_the_process(tmp_path: Path) -> None:
    book = TemperBook(tmp_path / "temper.json")
    book.put({"connections": 3, "mailboxes": {_DISPATCH: {"mailbox_bytes": 0}}})
    book.move(_DISPATCH, until=12.5)

    again = TemperBook(tmp_path / "temper.json")
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
    book = TemperBook()
    before = book.report()

    with pytest.raises(SettingError):
        book.put({"connections": 3, **given})

    assert book.report() == before


def test_whoever_listens_hears_of_each_change() -> None:
    book, heard = TemperBook(), []
    book.listen(lambda: heard.append(1))

    book.put({"connections": 3})
    book.move(_DISPATCH, until=1)

    assert len(heard) == 2
