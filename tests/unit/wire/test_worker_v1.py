"""What workers announce to each other is read back, and what is no announcement is refused as a whole."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.domain.roster import Announcement, Holding
from bridge.wire import worker_v1

ANNOUNCEMENT = Announcement(
    worker="0123456789abcdef" * 2,
    release="1.2.3",
    role="run",
    reads=["dispatch", "fleet-2"],
    sends=["dispatch"],
    holds=[Holding("ingest", "dispatch", "ok", "ok", 1.5), Holding("egress", "dispatch", "stale", "stalled", 61.0)],
)


def changed(**fields: Any) -> bytes:
    return json.dumps({**json.loads(worker_v1.to_json(ANNOUNCEMENT)), **fields}).encode()


def test_an_announcement_is_read_back_as_it_was() -> None:
    assert worker_v1.from_json(worker_v1.to_json(ANNOUNCEMENT)) == ANNOUNCEMENT


def test_two_thousand_mailboxes_with_long_names_fit() -> None:
    aliases = [f"{'a' * 50}-{number:04}" for number in range(2000)]
    holds = [Holding(direction, alias, "ok", "ok", 4.0) for alias in aliases for direction in ("ingest", "egress")]

    body = worker_v1.to_json(Announcement("0" * 32, "1.2.3", "run", aliases, aliases, holds))

    assert len(worker_v1.from_json(body).holds) == 4000


def test_fields_of_a_later_release_are_no_obstacle() -> None:
    held = {"direction": "ingest", "mailbox": "dispatch", "status": "resting", "code": "ok", "silent_seconds": 0}

    read = worker_v1.from_json(changed(holds=[{**held, "share": 3}], capacity=12))

    assert [one.status for one in read.holds] == ["resting"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        changed(schema="mail.worker.v2"),
        changed(worker="not an id"),
        changed(reads=["Dispatch@example.org"]),
        changed(sends="dispatch"),
        changed(sends=["a"] * 20_001),
        changed(release="x" * 65),
        changed(holds=[{"direction": "sideways", "mailbox": "a", "status": "ok", "code": "ok", "silent_seconds": 0}]),
        changed(holds=[{"direction": "ingest", "mailbox": "a", "status": "ok", "code": "ok", "silent_seconds": -1}]),
        changed().replace(b"61.0", b"1e999"),
        changed(more="x" * worker_v1.LARGEST_BYTES),
    ],
)
def test_what_is_no_announcement_is_refused_without_a_word_of_it(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"things in it|larger than") as refused:
        worker_v1.from_json(body)

    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    assert "example.org" not in str(refused.value)
