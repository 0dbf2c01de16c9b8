"""The cells of the crash matrix: each step of a worker, each moment of it, and what happens to the world then."""

from __future__ import annotations

from dataclasses import dataclass

CUTS = ("kill worker", "kill broker", "kill sandbox", "cut links", "black-hole links", "freeze worker", "lose answer")
MOMENTS = {
    "before": "before the call",
    "made": "it took effect, its answer is not here",
    "after": "its answer is here",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell."""

    step: str
    moment: str
    cut: str

    def __str__(self) -> str:
        return f"{self.step}, {self.moment}: {self.cut}"


@dataclass(frozen=True, slots=True)
class Part:
    """What one test goes through."""

    title: str
    test: str
    steps: dict[str, str]
    """Steps by name, with what each does."""
    moments: dict[str, tuple[str, ...]]
    """For steps that have not all moments."""

    def cells(self) -> list[Cell]:
        """Return all cells; an answer can be lost only where there is one."""
        return [
            Cell(step, moment, cut)
            for step in self.steps
            for moment in self.moments.get(step, tuple(MOMENTS))
            for cut in CUTS
            if cut != "lose answer" or (moment == "made" and step not in self.moments)
        ]


INGEST = Part(
    "Ingest",
    "test_mail_arrives_whatever_is_cut_wherever",
    {
        "FindItem inbox": "list what waits",
        "GetItem": "fetch the MIME",
        "publish mail.inbound": "publish, and its confirm",
        "DeleteItem": "remove against the receipt",
    },
    {},
)
PARKING = Part(
    "Parking",
    "test_mail_is_parked_whatever_is_cut_wherever",
    {
        "publish mail.events": "announce, and its confirm",
        "MoveItem": "move to Bridge Parked",
        "UpdateItem": "write the reason beside it",
    },
    {},
)
EGRESS = Part(
    "Egress",
    "test_request_is_sent_once_whatever_is_cut_wherever",
    {
        "deliver": "take the request",
        "FindItem ledger": "read the ledger",
        "CreateItem drafts": "save the draft",
        "FindItem drafts": "look for drafts",
        "FindItem outbox": "look into the Outbox",
        "CreateItem ledger": "enter the begun send",
        "SendItem": "send",
        "UpdateItem": "mark it as done",
        "publish mail.events": "tell its end, and the confirm",
        "ack": "acknowledge the request",
    },
    {"deliver": ("made",), "ack": ("before", "after")},
)
PARTS = (INGEST, PARKING, EGRESS)


def may_repeat(cell: Cell) -> bool:
    """
    Whether a mail may arrive twice, always under the same message_id.

    From its publish to its removal a mail is in the queue and in the inbox; whoever loses what this worker knows, or
    takes over from it, publishes it again. A worker that goes on has its receipts, and removes without a publish.
    """
    if cell.step in {"FindItem inbox", "GetItem"} or (cell.step, cell.moment) == ("publish mail.inbound", "before"):
        return False
    others_take_over = cell.cut in {"kill worker", "black-hole links", "freeze worker"}
    if cell.step == "DeleteItem":
        return others_take_over and cell.moment == "before"
    return others_take_over or cell.cut in {"kill broker", "cut links", "lose answer"}


def outcome(part: Part, cell: Cell) -> str:
    """Return what becomes of the mail or the request, in few words."""
    if part is INGEST:
        return "may come again" if may_repeat(cell) else "once"
    return "parked once" if part is PARKING else "sent once"
