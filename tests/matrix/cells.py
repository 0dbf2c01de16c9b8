"""The cells of the crash matrix: each step of a worker, each moment of it, and what happens to the world then."""

from __future__ import annotations

from dataclasses import dataclass, field

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
    cuts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """For steps that are not cut in all ways, those in which they are."""
    not_cut: str = ""
    """Why not in the others."""

    def cells(self) -> list[Cell]:
        """Return all cells; an answer can be lost only where there is a call."""
        return [
            Cell(step, moment, cut)
            for step in self.steps
            for moment in self.moments.get(step, tuple(MOMENTS))
            for cut in self.cuts.get(step, CUTS)
            if cut != "lose answer" or (moment == "made" and "before" in self.moments.get(step, MOMENTS))
        ]

    def cells_of(self, day: int) -> list[Cell]:
        """
        Return the choice of one day: each step at each moment, cut in one way, and each cut somewhere in the part.

        Neighbouring steps and moments are cut in different ways, and on the next day each in another: as many days in
        a row as there are cuts have every cell.
        """
        every, chosen = self.cells(), list[Cell]()
        for number, step in enumerate(self.steps):
            for other, moment in enumerate(MOMENTS):
                there = [cell for cell in every if (cell.step, cell.moment) == (step, moment)]
                if there:  # most have six cuts: in strides of five, twelve steps come to all of them
                    chosen.append(there[(5 * number + other + day) % len(there)])
        for cut in CUTS:
            there = [cell for cell in every if cell.cut == cut]
            if there and cut not in {cell.cut for cell in chosen}:
                chosen.append(there[day % len(there)])
        return chosen


INGEST = Part(
    "Ingest",
    "test_mail_arrives_whatever_is_cut_wherever",
    {
        "lease": "take the mailbox",
        "token": "get a token",
        "FindItem inbox": "list what waits",
        "GetItem": "fetch the MIME",
        "publish mail.inbound": "publish, and its confirm",
        "DeleteItem": "remove against the receipt",
    },
    {"lease": ("before", "after")},
)
MOVING = Part(
    "Ingest that moves what it published",
    "test_mail_is_moved_whatever_is_cut_wherever",
    {"MoveItem": "move against the receipt"},
    {},
)
PROPERTIES = Part(
    "A mail without MIME",
    "test_mail_without_mime_arrives_whatever_is_cut_wherever",
    {"GetItem properties": "fetch its properties"},
    {},
)
LARGE = Part(
    "A large mail",
    "test_large_mail_arrives_whatever_is_cut_wherever",
    {
        "GetItem streamed": "fetch the MIME into a file",
        "write blob": "write a blob",
        "verify blob": "read it back, before it has its name",
    },
    {"GetItem streamed": ("made",), "verify blob": ("before", "after")},
    {
        "GetItem streamed": ("kill worker", "cut links", "freeze worker"),
        "write blob": ("kill worker", "kill broker", "black-hole links", "freeze worker", "lose answer"),
        "verify blob": ("kill worker",),
    },
    "a directory is the store, which no link leads to and neither sandbox nor broker have a part in; the rest of "
    "a fetch, and of a publish, is as with any mail",
)
PARKING = Part(
    "Parking",
    "test_mail_is_parked_whatever_is_cut_wherever",
    {
        "publish mail.events": "announce, and its confirm",
        "CreateFolder": "make Bridge Parked",
        "MoveItem": "move to Bridge Parked",
        "UpdateItem": "write the reason beside it",
    },
    {},
)
EGRESS = Part(
    "Egress",
    "test_request_is_sent_once_whatever_is_cut_wherever",
    {
        "lease": "take the queues",
        "token": "get a token",
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
    {"lease": ("before", "after"), "deliver": ("made",), "ack": ("before", "after")},
)
FOLDER = Part(
    "The first request of a mailbox",
    "test_first_request_is_sent_once_whatever_is_cut_wherever",
    {
        "CreateFolder": "make Bridge Sends",
        "CreateItem birth": "enter since when it is whole",
    },
    {},
)
IN_PARTS = Part(
    "A request that is too large for one call",
    "test_draft_in_parts_is_sent_once_and_whole_whatever_is_cut_wherever",
    {
        "CreateAttachment": "give the draft an attachment",
        "UpdateItem": "write its stamp",
    },
    {"UpdateItem": ("before", "made")},
    {"UpdateItem": ("kill worker", "freeze worker", "lose answer")},
    "a stamp is written by a call as any other, and what follows is as with a draft that was made in one call",
)
DISCARDING = Part(
    "A request that was sent before",
    "test_repeated_request_is_not_sent_again_whatever_is_cut_wherever",
    {"DeleteItem": "delete the draft that is not needed"},
    {},
)
BOUNCES = Part(
    "A mail that came back",
    "test_bounce_is_announced_whatever_is_cut_wherever",
    {"publish mail.events": "announce it with its request, and the confirm"},
    {},
)
ENDING = Part(
    "A request that expired",
    "test_expired_request_is_ended_whatever_is_cut_wherever",
    {
        "CreateItem ledger": "enter it as ended",
        "publish mail.events": "tell its end, and the confirm",
    },
    {},
)
FAILING = Part(
    "A request that fails for good",
    "test_bad_request_is_kept_whatever_is_cut_wherever",
    {"publish mail.dead": "keep it in mail.dead, and the confirm"},
    {},
)
WAITING = Part(
    "A request that has to wait",
    "test_request_that_waits_is_sent_once_whatever_is_cut_wherever",
    {"publish mail.outbound.retry.5s": "into the retry queue, and the confirm"},
    {},
)
TAKING_OVER = Part(
    "A request that another worker had begun",
    "test_begun_request_is_sent_once_whatever_is_cut_wherever",
    {
        "UpdateItem": "void the draft of the other",
        "FindItem sentitems": "look into Sent Items",
    },
    {},
)
SWEEPING = Part(
    "The sweep of the ledger",
    "test_what_is_old_is_swept_whatever_is_cut_wherever",
    {
        "FindItem old": "look for what is old",
        "DeleteItem": "delete it",
    },
    {"FindItem old": ("after",), "DeleteItem": ("before", "made")},
    {
        "FindItem old": ("freeze worker",),
        "DeleteItem": ("kill worker", "kill sandbox", "black-hole links", "freeze worker", "lose answer"),
    },
    "no call to the broker is part of the sweep, a link that is cut is an answer that is lost, a read that fails is "
    "made again by the next sweep, and nothing follows the answer of the deletion",
)
PARTS = (
    INGEST,
    MOVING,
    PROPERTIES,
    LARGE,
    PARKING,
    BOUNCES,
    EGRESS,
    FOLDER,
    ENDING,
    FAILING,
    WAITING,
    TAKING_OVER,
    IN_PARTS,
    DISCARDING,
    SWEEPING,
)


_BEFORE_PUBLISH = {
    "FindItem inbox",
    "GetItem",
    "GetItem properties",
    "GetItem streamed",
    "write blob",
    "verify blob",
}


def may_repeat(cell: Cell) -> bool:
    """
    Whether a mail may arrive twice, always under the same message_id.

    From its publish to its removal a mail is in the queue and in the inbox; whoever loses what this worker knows, or
    takes over from it, publishes it again. A worker that goes on has its receipts, and removes without a publish.
    """
    if cell.step in _BEFORE_PUBLISH or (cell.step, cell.moment) == ("publish mail.inbound", "before"):
        return False
    others_take_over = cell.cut in {"kill worker", "black-hole links", "freeze worker"}
    if cell.step in {"DeleteItem", "MoveItem"}:
        return others_take_over and cell.moment == "before"
    return others_take_over or cell.cut in {"kill broker", "cut links", "lose answer"}


def outcome(part: Part, cell: Cell) -> str:
    """Return what becomes of the mail or the request, in few words."""
    if part.title in {INGEST.title, MOVING.title, PROPERTIES.title, LARGE.title}:
        return "may come again" if may_repeat(cell) else "once"
    told = {PARKING.title: "parked once", BOUNCES.title: "told once", ENDING.title: "expired", FAILING.title: "failed"}
    told[SWEEPING.title] = "swept"
    return told.get(part.title, "sent once")
