"""The account of a chaos run notices what it is there to notice."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.chaos import account as accounts
from tests.chaos.account import Account, Folders
from tests.chaos.deliveries import Deliveries, Mail

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.chaos.plant import Plant

_ALIAS = "dispatch"
_SENT = ("outbound.sent", "e-1", "")


@pytest.mark.parametrize(
    ("wanted", "sends", "ends", "figures"),
    [
        ("sent", 1, [_SENT], {}),
        ("any", 0, [("outbound.expired", "e-1", "expired")], {}),
        ("failed", 0, [("outbound.failed", "e-1", "invalid_request")], {}),
        ("sent", 0, [], {"without_event": 1}),
        ("sent", 1, [_SENT, ("outbound.failed", "e-2", "x")], {"without_event": 1}),
        ("sent", 1, [_SENT, ("outbound.sent", "e-2", "")], {"without_event": 1}),
        ("sent", 0, [_SENT], {"without_event": 1}),
        ("any", 1, [("outbound.expired", "e-1", "expired")], {"without_event": 1}),
        ("sent", 0, [("outbound.failed", "e-1", "x")], {"without_event": 1}),
        ("sent", 1, [("outbound.unknown", "e-1", "outcome_unknown")], {"unknown": 1}),
        ("sent", 2, [_SENT], {"sent_twice": 1, "without_event": 1}),
    ],
)
def test_a_request_with_another_end_than_its_one_true_one_is_a_problem(
    monkeypatch: pytest.MonkeyPatch,
    wanted: str,
    sends: int,
    ends: Sequence[tuple[str, str, str]],
    figures: dict[str, int],
) -> None:
    events = [
        ("", json.dumps({"event": event, "event_id": event_id, "code": code or None, "request_id": "r-1"}).encode())
        for event, event_id, code in ends
    ]
    monkeypatch.setattr(accounts, "_drain", lambda *_: events)
    account = Account()

    account.take_outbound(_plant(sends=["r-1"] * sends), {"r-1": wanted})

    assert bool(account.problems) is bool(figures)
    assert {name: count for name, count in account.figures().items() if name in _JUDGED and count} == figures


@pytest.mark.parametrize(("unknown", "sends", "problem"), [(2, 0, False), (2, 1, False), (3, 1, True), (1, 2, True)])
def test_few_requests_may_end_as_unknown_after_three_calls_without_an_answer(
    monkeypatch: pytest.MonkeyPatch, unknown: int, sends: int, problem: bool
) -> None:
    ids = [f"r-{number}" for number in range(unknown)]
    told = {"event": "outbound.unknown", "code": "outcome_unknown", "detail": "Exchange was asked 3 times to send it"}
    events = [("", json.dumps({**told, "event_id": one, "request_id": one}).encode()) for one in ids]
    monkeypatch.setattr(accounts, "_drain", lambda *_: events)
    account = Account()

    account.take_outbound(_plant(sends=ids * sends), dict.fromkeys(ids, "sent"))
    account.judge_unknown()

    assert bool(account.problems) is problem


_JUDGED = {"sent_twice", "unknown", "without_event"}


@pytest.mark.parametrize(
    ("arrived", "left", "figures", "told"),
    [
        (["m-1 a", "m-2 b", "m-3 c"], "", {"published": 3, "mails": 3}, ""),
        (["m-1 a", "m-1 a", "m-2 b", "m-3 c"], "", {"published": 3, "mails": 3, "repeated": 1}, "out of order"),
        (["m-1 a", "m-3 c", "m-2 b"], "", {"published": 3, "mails": 3}, "out of order"),
        (["m-1 a", "m-2 b"], "", {"published": 2, "mails": 3, "lost": 1}, "gone from the inbox"),
        (["m-1 a", "m-2 b"], "c", {"published": 2, "mails": 3, "lost": 1}, "still in the inbox"),
        (["m-1 a", "m-2 b", "m-3 b"], "", {"published": 3, "mails": 3, "lost": 1}, "published 2 times"),
        (["m-1 a", "m-2 b", "m-3 c", "m-4 c"], "", {"published": 4, "mails": 3}, "published 2 times"),
        (["m-1 a", "m-2 b", "m-3 c", "m-4 d"], "", {"published": 4, "mails": 3}, "nobody sent"),
    ],
)
@pytest.mark.parametrize("after_publish", ["deleted_items", "hard_delete"])
def test_a_mail_that_is_missing_repeated_or_out_of_order_is_a_problem(
    monkeypatch: pytest.MonkeyPatch,
    arrived: list[str],
    left: str,
    figures: dict[str, int],
    told: str,
    *,
    after_publish: str,
) -> None:
    """The mailbox itself need not know of it any more."""
    removed = "" if after_publish == "hard_delete" else "abc".replace(left or " ", "")
    _exchange(monkeypatch, arrived, inbox=left, removed=removed)
    account = Account()

    account.take_inbound(_plant(after_publish=after_publish), _delivered("abc", in_calm="abc"))

    assert {name: count for name, count in account.figures().items() if count} == figures
    assert Counter({one.message_id: one.copies for one in account.arrivals}) == Counter(
        one.split()[0] for one in arrived
    )
    assert any(told in problem for problem in account.problems) if told else not account.problems


@pytest.mark.parametrize(
    ("arrived", "removed", "figures"),
    [
        (["m-1 a", "m-2 a"], "aa", {"published": 2, "mails": 2}),
        (["m-1 a"], "a", {"published": 1, "mails": 1}),
        (["m-1 a"], "aa", {"published": 1, "mails": 2, "lost": 1}),
        ([], "", {"mails": 1, "lost": 1}),
    ],
)
def test_a_mail_whose_answer_was_lost_may_be_there_once_more_and_must_be_there_once(
    monkeypatch: pytest.MonkeyPatch, arrived: list[str], removed: str, figures: dict[str, int]
) -> None:
    _exchange(monkeypatch, arrived, removed=removed)
    account = Account()
    deliveries = _delivered("a")
    deliveries.offered[_mail("a")] += 1

    account.take_inbound(_plant(), deliveries)

    assert {name: count for name, count in account.figures().items() if count} == figures
    assert bool(account.problems) is ("lost" in figures)


@pytest.mark.parametrize(
    ("after_publish", "removed", "problem"),
    [
        ("deleted_items", "a", False),
        ("deleted_items", "", True),
        ("hard_delete", "", False),
        ("hard_delete", "a", True),
    ],
)
def test_a_mail_that_was_removed_in_another_way_than_configured_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, after_publish: str, removed: str, *, problem: bool
) -> None:
    _exchange(monkeypatch, ["m-1 a"], removed=removed)
    account = Account()

    account.take_inbound(_plant(after_publish=after_publish), _delivered("a"))

    assert account.lost == 0
    assert any("not removed by" in one for one in account.problems) is problem


@pytest.mark.parametrize(("parked", "lost"), [("b", 0), ("", 1)])
def test_a_mail_that_is_parked_is_not_lost(monkeypatch: pytest.MonkeyPatch, parked: str, lost: int) -> None:
    _exchange(monkeypatch, ["m-1 a"], removed="a", parked=parked)
    account = Account()

    account.take_inbound(_plant(), _delivered("ab"))

    assert (account.lost, account.parked) == (lost, len(parked))


@pytest.mark.parametrize(("stored", "lost"), [(b"a", 0), (b"Received: by x;\r\n y\r\na", 0), (b"b", 1), (None, 1)])
def test_a_mail_whose_blob_is_gone_or_has_other_bytes_is_lost(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stored: bytes | None, lost: int
) -> None:
    if stored is not None:
        (tmp_path / "raw").write_bytes(stored)
    raw = {"content": None, "blob": {"url": f"file://{tmp_path}/raw"}}
    payload = json.dumps({"mailbox": _ALIAS, "raw": raw, "received_at": "2026-11-24T03:00:00Z"}).encode()
    _exchange(monkeypatch, [], removed="a")
    monkeypatch.setattr(accounts, "_drain", lambda *_: [("m-1", payload)])
    account = Account()

    account.take_inbound(_plant(), _delivered("a"))

    assert account.lost == lost


def _exchange(
    monkeypatch: pytest.MonkeyPatch, arrived: Sequence[str], *, inbox: str = "", removed: str = "", parked: str = ""
) -> None:
    """A queue that holds `message_id text` each, and folders with these mails of one letter."""
    payloads = [(one.split()[0], _payload(one.split()[1])) for one in arrived]
    folders = Folders(
        *(Counter(_mail(text).internet_message_id for text in texts) for texts in (inbox, removed, parked))
    )
    monkeypatch.setattr(accounts, "_drain", lambda *_: payloads)
    monkeypatch.setattr(accounts, "ALIASES", (_ALIAS,))
    monkeypatch.setattr(Folders, "of", lambda *_: folders)


def _delivered(texts: str, in_calm: str = "") -> Deliveries:
    mails = [_mail(text) for text in texts]
    return Deliveries(Counter(mails), Counter(mails), [_mail(text) for text in in_calm])


def _mail(text: str) -> Mail:
    return Mail(_ALIAS, f"<{text}@example.com>", hashlib.sha256(text.encode()).hexdigest())


def _payload(text: str) -> bytes:
    raw = {"content": base64.b64encode(text.encode()).decode(), "blob": None}
    return json.dumps({"mailbox": _ALIAS, "raw": raw, "received_at": "2026-11-24T03:00:00Z"}).encode()


def _plant(sends: Sequence[str] = (), after_publish: str = "deleted_items") -> Plant:
    class Sandbox:
        def sends(self) -> list[dict[str, Any]]:
            return [{"request_id": request_id} for request_id in sends]

    return cast("Plant", SimpleNamespace(sandbox=Sandbox(), after_publish=after_publish))
