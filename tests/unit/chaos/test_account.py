"""The account of a chaos run notices what it is there to notice."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from bridge.sandbox.store.remade import remade
from tests.chaos import account as accounts
from tests.chaos.account import Account, Folders
from tests.chaos.deliveries import Deliveries, Mail
from tests.chaos.plant import CREW
from tests.chaos.requests import Request

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.chaos.plant import Plant


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


_ALIAS = "dispatch"
_AT = datetime(2026, 11, 24, 3, tzinfo=UTC)
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

    account.take_outbound(_sandbox_that_sent(monkeypatch, ["r-1"] * sends), {"r-1": replace(_REQUEST, wanted=wanted)})

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

    account.take_outbound(_sandbox_that_sent(monkeypatch, ids * sends), dict.fromkeys(ids, _REQUEST))
    account.judge_unknown()

    assert bool(account.problems) is problem


_JUDGED = {"sent_twice", "unknown", "without_event"}
_REQUEST = Request("sent", "dispatch@example.org", (CREW,), "subject", "some\ntext\n", (("a.txt", _digest("a")),))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, None),
        ({"text": "some\r\ntext"}, None),
        ({"text": ""}, "r-1: sent with another text"),
        ({"text": "some"}, "r-1: sent with another text"),
        ({"subject": "another"}, "r-1: sent with another subject"),
        ({"sender": "charter@example.org"}, "r-1: sent in another name"),
        ({"to": "dispatch@example.org"}, "r-1: sent to others"),
        ({"cc": "dispatch@example.org"}, "r-1: sent to others"),
        ({"attachments": []}, "r-1: sent with other attachments"),
        ({"attachments": [("b.txt", b"a")]}, "r-1: sent with other attachments"),
        ({"attachments": [("a.txt", b"b")]}, "r-1: sent with other attachments"),
        ({"attachments": [("a.txt", b"a"), ("a.txt", b"a")]}, "r-1: sent with other attachments"),
    ],
)
@pytest.mark.parametrize("folder", ["inbox", "sentitems"])
def test_a_mail_that_went_out_with_another_content_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], told: str | None, folder: str
) -> None:
    monkeypatch.setattr(accounts, "_drain", lambda *_: [_ended("r-1")])
    account = Account()
    plant = _sandbox_that_sent(monkeypatch, ["r-1"], {folder: _mime(**changed)})

    account.take_outbound(plant, {"r-1": _REQUEST})

    assert account.problems == ([] if told is None else [told])


@pytest.mark.parametrize(
    ("sends", "requested", "arrived", "told"),
    [
        ([("r-1", [CREW])], ["r-1"], {"<0>": 0}, "r-1: sent, and 0 times where it was sent to"),
        ([("r-1", [CREW])], ["r-1"], {"<0>": 2}, "r-1: sent, and 2 times where it was sent to"),
        ([("r-1", [CREW, "x@example.org"])], ["r-1"], {"<0>": 1}, "r-1: sent to others, 2 in all"),
        ([("r-1", [CREW]), ("r-2", [CREW])], ["r-1"], {"<0>": 1, "<1>": 1}, "sent without a request: 1"),
        ([("r-1", [CREW]), (None, [CREW])], ["r-1"], {"<0>": 1, "<1>": 1}, "sent without a request: 1"),
        ([("r-1", [CREW])], ["r-1"], {"<0>": 1, "<x>": 1}, "1 mails arrived of which Exchange sent none"),
    ],
)
def test_what_was_sent_arrives_once_where_it_was_to_go_and_nothing_besides(
    monkeypatch: pytest.MonkeyPatch,
    sends: list[tuple[str | None, list[str]]],
    requested: list[str],
    arrived: dict[str, int],
    told: str,
) -> None:
    monkeypatch.setattr(accounts, "_drain", lambda *_: [_ended("r-1")])
    copies = {name: [_mime()] * count for name, count in arrived.items()}
    monkeypatch.setattr(accounts, "_copies", lambda _, address, __: copies if address == CREW else {})
    sent = [
        {"request_id": request_id, "internet_message_id": f"<{number}>", "recipients": recipients}
        for number, (request_id, recipients) in enumerate(sends)
    ]
    account = Account()

    account.take_outbound(_plant(sent), dict.fromkeys(requested, _REQUEST))

    assert account.problems == [told]


@pytest.mark.parametrize(("told", "problem"), [(["m-1", "m-2"], False), (["m-1", "m-1"], True), ([], True)])
def test_a_mail_that_was_parked_without_an_event_of_its_own_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, told: list[str], *, problem: bool
) -> None:
    events = [
        ("", json.dumps({"event": "inbound.parked", "mailbox": _ALIAS, "message_id": one}).encode()) for one in told
    ]
    monkeypatch.setattr(accounts, "_drain", lambda *_: events)
    account = Account(parked_of={_ALIAS: 2})

    account.take_outbound(_sandbox_that_sent(monkeypatch, []), {})

    assert bool(account.problems) is problem


def _ended(request_id: str) -> tuple[str, bytes]:
    event = {"event": "outbound.sent", "event_id": "e-1", "code": None, "request_id": request_id}
    return "", json.dumps(event).encode()


def _sandbox_that_sent(
    monkeypatch: pytest.MonkeyPatch, requests: Sequence[str], other: dict[str, bytes] | None = None
) -> Plant:
    """A sandbox that sent these; `other` are the bytes that it has instead of those asked for, by folder."""
    sends: list[dict[str, Any]] = [
        {"request_id": one, "internet_message_id": f"<{number}>", "recipients": [CREW]}
        for number, one in enumerate(requests)
    ]

    def copies(_: object, address: str, folder: str) -> dict[str, list[bytes]]:
        if folder == "sentitems" and address != "dispatch@example.org":
            return {}
        return {send["internet_message_id"]: [(other or {}).get(folder, _mime())] for send in sends}

    monkeypatch.setattr(accounts, "_copies", copies)
    return _plant(sends)


def _mime(
    *,
    sender: str = "dispatch@example.org",
    to: str = CREW,
    cc: str | None = None,
    subject: str = "subject",
    text: str = "some\ntext\n",
    attachments: Sequence[tuple[str, bytes]] = (("a.txt", b"a"),),
) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, to, subject
    if cc is not None:
        mail["Cc"] = cc
    mail.set_content(text)
    for name, content in attachments:
        mail.add_attachment(content, "application", "octet-stream", filename=name)
    return mail.as_bytes()


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
    assert [one.message_id for one in account.arrivals] == [one.split()[0] for one in arrived]
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


@pytest.mark.parametrize(
    ("arrived", "told"),
    [
        (["m-1 a 1", "m-2 b 2"], ""),
        (["m-2 b 1", "m-1 a 2"], ""),
        (["m-2 b 2", "m-1 a 1"], "out of order"),
        (["m-1 a 1", "m-1 a 1", "m-2 b 2"], "repeated"),
        (["m-1 a 1", "m-3 a 1", "m-2 b 2"], "published 2 times"),
        (["m-1 a 1"], "lost: 1 of 1"),
        (["m-1 a 1", "m-2 b 2", "m-3 c 3"], "nobody sent"),
    ],
)
def test_in_a_realistic_world_what_mails_say_is_compared_and_a_repeat_is_dropped_and_none_may_be_lost_or_doubled(
    monkeypatch: pytest.MonkeyPatch, arrived: list[str], told: str
) -> None:
    deliveries = Deliveries(realistic=True)
    for text in "ab":
        mail = Mail(_ALIAS, f"<{text}@example.com>", deliveries.digest_of(_saying(text)))
        deliveries.offered[mail] = deliveries.accepted[mail] = 2
        deliveries.in_calm.append(mail)
    _exchange(monkeypatch, [], removed="ab")
    queue = [
        (name, _payload(remade(_saying(text), at=_AT).decode(), second))
        for name, text, second in map(str.split, arrived)
    ]
    monkeypatch.setattr(accounts, "_drain", lambda *_: queue)
    account = Account()

    account.take_inbound(_plant(), deliveries)

    assert any(told in problem for problem in account.problems) if told else not account.problems


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
    return Mail(_ALIAS, f"<{text}@example.com>", _digest(text))


def _payload(text: str, second: str = "0") -> bytes:
    raw = {"content": base64.b64encode(text.encode()).decode(), "blob": None}
    return json.dumps({"mailbox": _ALIAS, "raw": raw, "received_at": f"2026-11-24T03:00:0{second}Z"}).encode()


def _saying(text: str) -> bytes:
    return f"Message-ID: <{text}@example.com>\nContent-Disposition: attachment\n\n{text}\n".encode()


def _plant(sends: Sequence[dict[str, Any]] = (), after_publish: str = "deleted_items") -> Plant:
    class Sandbox:
        def sends(self) -> list[dict[str, Any]]:
            return list(sends)

    return cast("Plant", SimpleNamespace(sandbox=Sandbox(), after_publish=after_publish))
