"""Every step of ingest, cut before it, after it took effect and before its answer, and after the answer."""

from __future__ import annotations

import base64
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.matrix.site import CUTS, MOMENTS

if TYPE_CHECKING:
    from tests.matrix.site import Cell

_MAILS = 3
STEPS = ("FindItem inbox", "GetItem", "publish mail.inbound", "DeleteItem")
PARKING_STEPS = ("publish mail.events", "MoveItem", "UpdateItem")


def cells(steps: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """Return step, moment and cut; an answer can be lost only where there is one."""
    return [
        (step, moment, cut)
        for step in steps
        for moment in MOMENTS
        for cut in CUTS
        if cut != "lose answer" or moment == "made"
    ]


def _mail(number: int, size: int = 500) -> bytes:
    return f"From: cad@example.com\r\nSubject: {number}\r\n\r\n{'x' * size}\r\n".encode()


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("step", "moment", "cut"), cells(STEPS))
def test_mail_arrives_whatever_is_cut_wherever(cell: Cell, step: str, moment: str, cut: str) -> None:
    """Each is in the queue under one message_id, and out of the inbox; twice only where that cannot be helped."""
    delivered = [_mail(number) for number in range(_MAILS)]
    for mail in delivered:
        cell.sandbox.deliver(cell.address, mail)
    worker = cell.start("ingest", point=f"{step} {moment}")
    cell.await_point()

    cell.happen(cut, worker, "ingest", lambda: not cell.folder())

    cell.end()
    arrived = cell.taken("mail.inbound")
    by_id = {one["message_id"]: base64.b64decode(one["raw"]["content"]) for one in arrived}
    assert Counter(by_id.values()) == Counter(delivered)
    assert len(cell.folder("deleteditems")) == _MAILS
    repeats = len(arrived) - len(by_id)
    if step in STEPS[:2] or (step, moment) == ("publish mail.inbound", "before"):
        assert repeats == 0
    assert repeats <= _MAILS


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("step", "moment", "cut"), cells(PARKING_STEPS))
def test_mail_is_parked_whatever_is_cut_wherever(cell: Cell, step: str, moment: str, cut: str) -> None:
    """It is announced under one event id, lies in Bridge Parked once, and the mail behind it arrives."""
    big, small = _mail(0, 400_000), _mail(1)
    cell.sandbox.deliver(cell.address, big)
    cell.sandbox.deliver(cell.address, small)
    cell.settings = {"BRIDGE_RABBITMQ__LARGEST_BODY_BYTES": "300000"}
    worker = cell.start("ingest", point=f"{step} {moment}")
    cell.await_point()

    cell.happen(cut, worker, "ingest", lambda: not cell.folder())

    cell.end()
    [folder] = [one for one in cell.sandbox.folders(cell.address) if one["name"] == "Bridge Parked"]
    [parked] = cell.folder(folder["id"])
    assert cell.sandbox.mime(cell.address, parked["item_id"], folder["id"]) == big
    assert {base64.b64decode(one["raw"]["content"]) for one in cell.taken("mail.inbound")} == {small}
    events = cell.taken("mail.events")
    assert len({event["event_id"] for event in events}) == 1
    assert {event["event"] for event in events} == {"inbound.parked"}
