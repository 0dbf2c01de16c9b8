"""The account of a chaos run notices what it is there to notice."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.chaos import account as accounts
from tests.chaos.account import Account

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
    ],
)
def test_a_mail_that_is_missing_repeated_or_out_of_order_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, arrived: list[str], left: str, figures: dict[str, int], told: str
) -> None:
    payloads = [(one.split()[0], _payload(one.split()[1])) for one in arrived]
    monkeypatch.setattr(accounts, "_drain", lambda *_: payloads)
    monkeypatch.setattr(accounts, "ALIASES", (_ALIAS,))
    inbox = Counter(map(_digest, left))
    monkeypatch.setattr(accounts, "_folders", lambda *_: (inbox, Counter(map(_digest, "abc")) - inbox, Counter()))
    account = Account()

    account.take_inbound(_plant(), {_ALIAS: [_digest(text) for text in "abc"]})

    assert {name: count for name, count in account.figures().items() if count} == figures
    assert Counter({one.message_id: one.copies for one in account.arrivals}) == Counter(
        one.split()[0] for one in arrived
    )
    assert any(told in problem for problem in account.problems) if told else not account.problems


@pytest.mark.parametrize(("stored", "lost"), [(b"a", 0), (b"b", 1), (None, 1)])
def test_a_mail_whose_blob_is_gone_or_has_other_bytes_is_lost(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stored: bytes | None, lost: int
) -> None:
    if stored is not None:
        (tmp_path / "raw").write_bytes(stored)
    raw = {"content": None, "blob": {"url": f"file://{tmp_path}/raw"}}
    payload = json.dumps({"mailbox": _ALIAS, "raw": raw, "received_at": "2026-11-24T03:00:00Z"}).encode()
    monkeypatch.setattr(accounts, "_drain", lambda *_: [("m-1", payload)])
    monkeypatch.setattr(accounts, "ALIASES", (_ALIAS,))
    monkeypatch.setattr(accounts, "_folders", lambda *_: (Counter(), Counter([_digest("a")]), Counter()))
    account = Account()

    account.take_inbound(_plant())

    assert account.lost == lost


def _payload(text: str) -> bytes:
    raw = {"content": base64.b64encode(text.encode()).decode(), "blob": None}
    return json.dumps({"mailbox": _ALIAS, "raw": raw, "received_at": "2026-11-24T03:00:00Z"}).encode()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _plant(sends: Sequence[str] = ()) -> Plant:
    class Sandbox:
        def sends(self) -> list[dict[str, Any]]:
            return [{"request_id": request_id} for request_id in sends]

    class Stub:
        sandbox = Sandbox()

    return cast("Plant", Stub())
