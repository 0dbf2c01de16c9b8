"""Which calls a fault strikes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.sandbox.faults.errors import FaultRuleError
from bridge.sandbox.faults.kinds import KINDS, Stage
from bridge.sandbox.faults.rules import Call, Fault, FaultBook

_GET = Call("GetItem", "dispatch@example.org", frozenset({"inbox", "AAMk"}))


@pytest.fixture
def book(tmp_path: Path) -> FaultBook:
    return FaultBook(tmp_path / "faults.json")


def _strikes(book: FaultBook, call: Call, calls: int) -> list[bool]:
    return [bool(book.begin(call).before) for _ in range(calls)]


def test_without_rules_nothing_strikes(book: FaultBook) -> None:
    strikes = book.begin(_GET)

    assert (strikes.before, strikes.after, strikes.item(1)) == ((), (), None)


@pytest.mark.parametrize(
    ("match", "struck"),
    [
        ({}, True),
        ({"operation": "GetItem"}, True),
        ({"operation": ["FindItem", "GetItem"]}, True),
        ({"operation": "FindItem"}, False),
        ({"mailbox": "DISPATCH@example.org"}, True),
        ({"mailbox": "other@example.org"}, False),
        ({"folder": "inbox"}, True),
        ({"folder": "AAMk"}, True),
        ({"folder": "sentitems"}, False),
        ({"operation": "GetItem", "folder": "sentitems"}, False),
    ],
)
def test_a_rule_strikes_the_calls_that_it_speaks_of(book: FaultBook, match: dict[str, Any], struck: bool) -> None:
    book.put([{"match": match, "fault": "cut_before"}])

    assert bool(book.begin(_GET).before) is struck


def test_a_call_without_a_mailbox_is_not_one_of_a_named_mailbox(book: FaultBook) -> None:
    book.put([{"match": {"mailbox": "dispatch@example.org"}, "fault": "cut_before"}])

    assert book.begin(Call("token")).before == []


def test_a_rule_fires_so_many_times_and_is_spent(book: FaultBook) -> None:
    book.put([{"fault": "cut_before", "times": 2}])

    assert _strikes(book, _GET, 4) == [True, True, False, False]


def test_the_nth_call_counts_matching_calls_only(book: FaultBook) -> None:
    book.put([{"match": {"operation": "GetItem", "nth": [2, 3]}, "fault": "cut_before"}])
    book.begin(Call("FindItem"))

    assert _strikes(book, _GET, 4) == [False, True, True, False]


def test_the_same_seed_strikes_the_same_calls(book: FaultBook) -> None:
    rule = {"match": {"probability": 0.5}, "fault": "cut_before", "seed": 7}
    book.put([rule])
    first = _strikes(book, _GET, 50)
    book.put([rule])

    assert _strikes(book, _GET, 50) == first
    assert 10 < sum(first) < 40


def test_another_seed_strikes_other_calls(book: FaultBook) -> None:
    book.put([{"match": {"probability": 0.5}, "fault": "cut_before", "seed": 7}])
    first = _strikes(book, _GET, 50)
    book.put([{"match": {"probability": 0.5}, "fault": "cut_before", "seed": 8}])

    assert _strikes(book, _GET, 50) != first


def test_an_item_fault_strikes_the_item_of_its_number(book: FaultBook) -> None:
    book.put([{"match": {"item": 2}, "fault": {"kind": "item_error", "code": "ErrorItemCorrupt"}}])

    strikes = book.begin(_GET)

    assert [strikes.item(number) for number in (1, 2, 3)] == [
        None,
        Fault("item_error", {"code": "ErrorItemCorrupt", "back_off_milliseconds": None}),
        None,
    ]
    assert (strikes.before, strikes.after) == ([], [])


def test_an_item_fault_counts_items_against_its_times(book: FaultBook) -> None:
    book.put([{"fault": "item_server_busy", "times": 3}])

    struck = [book.begin(_GET).item(number) is not None for number in (1, 2, 3, 4)]

    assert struck == [True, True, True, False]


def test_faults_of_several_rules_add_up_in_order(book: FaultBook) -> None:
    book.put([{"fault": {"kind": "latency", "seconds": 1}}, {"fault": "cut_before"}, {"fault": "cut_after"}])

    strikes = book.begin(_GET)

    assert [fault.kind for fault in strikes.before] == ["latency", "cut_before"]
    assert [fault.kind for fault in strikes.after] == ["cut_after"]


def test_the_report_tells_how_often_each_rule_saw_and_struck(book: FaultBook) -> None:
    rule = {"name": "second", "match": {"nth": 2}, "fault": "cut_before"}
    book.put([rule])
    _strikes(book, _GET, 3)

    assert book.report() == [{**rule, "seen": 3, "fired": 1}]


def test_a_killed_book_comes_back_with_its_rules_and_what_is_left_of_their_times(tmp_path: Path) -> None:
    book = FaultBook(tmp_path / "faults.json")
    book.put([{"fault": "cut_after", "times": 2}])
    book.begin(_GET)

    again = FaultBook(tmp_path / "faults.json")

    assert [bool(again.begin(_GET).after) for _ in range(2)] == [True, False]


def test_a_report_may_be_put_back_and_counts_begin_anew(book: FaultBook) -> None:
    book.put([{"fault": "cut_before", "times": 1}])
    _strikes(book, _GET, 2)

    book.put(book.report())

    assert _strikes(book, _GET, 2) == [True, False]


@pytest.mark.parametrize(
    ("rule", "key", "known"),
    [
        ({"fault": "cut_before", "time": 1}, "time", "times"),
        ({"match": {"operations": "GetItem"}, "fault": "cut_before"}, "match.operations", "operation"),
        ({"fault": "cut"}, "fault.kind", "cut_before"),
        ({"fault": {"kind": "latency", "seconds": 1, "second": 2}}, "fault.second", "seconds"),
        ({}, "fault", "latency"),
        ({"match": {"item": 1}, "fault": "cut_before"}, "match.item", "item_error"),
    ],
)
def test_an_unknown_key_is_refused_with_the_known_ones(
    book: FaultBook, rule: dict[str, Any], key: str, known: str
) -> None:
    with pytest.raises(FaultRuleError) as refused:
        book.put([rule])

    assert refused.value.key == key
    assert known in refused.value.known


@pytest.mark.parametrize(
    "rule",
    [
        {"fault": {"kind": "latency"}},
        {"fault": {"kind": "latency", "seconds": -1}},
        {"fault": {"kind": "latency", "seconds": True}},
        {"fault": {"kind": "latency", "seconds": "1"}},
        {"fault": {"kind": "item_error", "code": "not a code"}},
        {"fault": {"kind": "unavailable", "status": 200}},
        {"fault": "cut_before", "times": 0},
        {"fault": "cut_before", "times": 1.5},
        {"fault": "cut_before", "match": {"probability": 2}},
        {"fault": "cut_before", "match": {"nth": 0}},
        {"fault": "cut_before", "match": {"nth": []}},
        {"fault": "cut_before", "match": {"operation": []}},
        {"fault": "cut_before", "match": {"mailbox": 1}},
        {"fault": "cut_before", "match": []},
        {"fault": 7},
        "cut_before",
    ],
)
def test_a_senseless_value_is_refused_and_the_old_rules_stay(book: FaultBook, rule: object) -> None:
    book.put([{"name": "old", "fault": "cut_before"}])

    with pytest.raises(FaultRuleError):
        book.put([rule])

    assert [entry["name"] for entry in book.report()] == ["old"]


def test_rules_that_are_no_list_are_refused(book: FaultBook) -> None:
    with pytest.raises(FaultRuleError):
        book.put({"fault": "cut_before"})


def test_every_kind_has_an_effect() -> None:
    from bridge.sandbox.faults import effects

    assert {name for name, kind in KINDS.items() if kind.stage is Stage.BEFORE} == set(effects._BEFORE)
    assert {name for name, kind in KINDS.items() if kind.stage is Stage.AFTER} == set(effects._AFTER)


def test_every_kind_is_documented_as_it_is() -> None:
    page = (Path(__file__).parents[4] / "docs" / "sandbox.md").read_text()
    rows = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("| `")]
    documented = {cells[0].strip(" `"): cells[-1].strip() for cells in rows if len(cells) == 3}

    assert {name: documented.get(name) for name in KINDS} == {name: kind.meaning for name, kind in KINDS.items()}
    for name, kind in KINDS.items():
        (row,) = [cells for cells in rows if cells[0].strip(" `") == name and len(cells) == 3]
        assert all(f"`{parameter}`" in row[1] for parameter in kind.parameters)


def test_connections_and_calls_are_counted_apart(book: FaultBook) -> None:
    book.put([{"match": {"service": "ews"}, "fault": "tcp_reset", "times": 1}, {"fault": "cut_after"}])

    assert book.connect("entra") is None
    assert book.connect("ews") == Fault("tcp_reset", {})
    assert book.connect("ews") is None
    assert [fault.kind for fault in book.begin(_GET).after] == ["cut_after"]
    assert [(rule["seen"], rule["fired"]) for rule in book.report()] == [(2, 1), (1, 1)]


def test_the_first_rule_that_strikes_a_connection_wins_and_the_others_have_seen_it(book: FaultBook) -> None:
    book.put([{"match": {"nth": 2}, "fault": "tcp_reset"}, {"fault": "tls_reset"}])

    assert [fault.kind for _ in range(3) if (fault := book.connect("ews"))] == ["tls_reset", "tcp_reset", "tls_reset"]
    assert [(rule["seen"], rule["fired"]) for rule in book.report()] == [(3, 1), (3, 2)]


def test_a_rule_for_a_service_leaves_the_calls_of_the_other_alone(book: FaultBook) -> None:
    book.put([{"match": {"service": "entra"}, "fault": "cut_before"}])

    assert not book.begin(Call("GetItem", service="ews")).before
    assert book.begin(Call("token", service="entra")).before


def test_what_was_seen_survives_a_kill_also_where_nothing_fired(tmp_path: Path) -> None:
    book = FaultBook(tmp_path / "faults.json")
    book.put([{"match": {"nth": 3}, "fault": "cut_before"}])
    _strikes(book, _GET, 2)

    assert _strikes(FaultBook(tmp_path / "faults.json"), _GET, 2) == [True, False]


def test_rules_of_different_names_throw_different_dice(book: FaultBook) -> None:
    match = {"probability": 0.5}
    book.put([{"name": name, "match": match, "fault": "cut_before"} for name in ("one", "two")])

    struck = [len(book.begin(_GET).before) for _ in range(50)]

    assert {0, 1, 2} == set(struck)


def test_every_kind_of_connection_has_an_effect_or_a_certificate() -> None:
    from bridge.sandbox.faults import lines

    of_connections = {name for name, kind in KINDS.items() if kind.stage is Stage.CONNECTION}
    assert of_connections == set(lines._EFFECTS) | set(lines.WRONG_CERTIFICATES)
