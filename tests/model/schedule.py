"""A way through the search, written down as what each worker and the world does, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bridge.domain.send_protocol import Step
from tests.model.send_model import IDLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.model.send_model import Local, Search, Shared

_CHANGES = {
    Step.CREATE: "create",
    Step.END: "end",
    Step.VOID: "void",
    Step.ENTER: "begin",
    Step.SEND: "send",
    Step.CLOSE: "done",
    Step.DISCARD: "delete",
}


class Event(NamedTuple):
    """What happens next, and to which of the two workers; -1 is the world."""

    worker: int
    what: str
    """`begin`, `kill`, `read`, `change`; of the world `expire`, `late`, `move`."""
    verb: str = ""
    """Of a beginning, the first step; of a change, or of one that was late, its verb."""
    how: str = ""
    """Of a change: `answered`, `lost` (done, without an answer), `late` (done later, without an answer), `refused`."""


def schedule(search: Search, path: Sequence[tuple[Shared, Local, Local]]) -> Iterator[Event]:
    """Yield what happens on a path that the search found; the search does not tell its two workers apart."""
    shared, *workers = path[0]
    for after, *locals_after in path[1:]:
        if sorted(map(repr, locals_after)) == sorted(map(repr, workers)):
            yield _of_the_world(shared, after)
        else:
            number, moved = _mover(search, shared, after, workers, locals_after)
            event = _of_a_worker(number, shared, after, workers[number], moved)
            if event is not None:
                yield event
            workers[number] = moved
        shared = after


def _mover(
    search: Search, shared: Shared, after: Shared, workers: Sequence[Local], locals_after: Sequence[Local]
) -> tuple[int, Local]:
    for number, other in ((0, workers[1]), (1, workers[0])):
        for at, moved in ((0, locals_after[0]), (1, locals_after[1])):
            if locals_after[1 - at] == other and (after, moved) in set(search.worker(shared, workers[number])):
                return number, moved
    raise AssertionError("no worker can have made this step")


def _of_the_world(shared: Shared, after: Shared) -> Event:
    if after.expired and not shared.expired:
        return Event(-1, "expire")
    if len(after.on_their_way) < len(shared.on_their_way):
        [call] = set(shared.on_their_way) - set(after.on_their_way)
        return Event(-1, "late", call.verb)
    assert after.items != shared.items, "the world did something that is unknown here"
    return Event(-1, "move")


def _of_a_worker(number: int, shared: Shared, after: Shared, local: Local, moved: Local) -> Event | None:
    if local.progress is None:
        assert moved.progress is not None
        mishap = moved.progress.step in {Step.END, Step.REPORT} and not shared.expired
        return Event(number, "begin", "end" if mishap else moved.progress.step.name.lower())
    if moved == IDLE:
        return None if local.progress.step in {Step.AGAIN, Step.DEFER} else Event(number, "kill")
    if local.place is not None or local.progress.step is Step.LOOK:
        return Event(number, "read")
    verb = _CHANGES.get(local.progress.step)
    if verb is None:
        return None  # a report: the worker goes on to it by itself
    how = "answered"
    if local.progress.step is Step.SEND and moved.progress is not None and moved.progress.step is Step.END:
        how = "refused"
    elif len(after.on_their_way) > len(shared.on_their_way):
        how = "late"
    elif after.lost_left < shared.lost_left:
        how = "lost"
    return Event(number, "change", verb, how)
