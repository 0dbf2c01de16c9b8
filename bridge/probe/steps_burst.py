"""Guesses about more mail than a mailbox may send in a minute: one burst, to the mailbox itself, for all steps."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.adapters.ews.folder_ids import distinguished
from bridge.adapters.ews.soap import T
from bridge.probe import requests_ews as ews
from bridge.probe.errors import NotCheckable
from bridge.probe.guesses import Needs, Seen, step

if TYPE_CHECKING:
    from lxml import etree

    from bridge.probe.context import ProbeContext

_MAILS: Final = 40
_RATE: Final = 30
_MINUTE_SECONDS: Final = 55.0
"""Somewhat less, so that the first mails of the next minute are not counted to this one."""
_LOOK_SECONDS: Final = 1.0
_LONGEST_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class _Burst:
    in_outbox: int
    """How many waited there right after all had been accepted."""
    in_drafts: int
    submitted: int
    """How many of those in Drafts showed that they are submitted."""
    in_first_minute: int
    """How many had arrived by its end."""
    seconds: float
    """When the last one had arrived."""


@step(28, "IsSubmitted shows on a draft that was submitted and waits in Drafts", needs=Needs.THOROUGH)
def submitted_drafts(probe: ProbeContext) -> Seen:
    found = _burst(probe)
    if not found.in_drafts:
        raise NotCheckable(f"of {_MAILS} mails none waited in Drafts, {found.in_outbox} in the Outbox")
    return Seen(
        found.submitted == found.in_drafts, f"of {found.in_drafts} that waited there, {found.submitted} show it"
    )


@step(32, "no more than thirty mails leave in a minute; the others wait in the Outbox or in Drafts",
      needs=Needs.THOROUGH)  # fmt: skip
def rate(probe: ProbeContext) -> Seen:
    found = _burst(probe)
    waited = found.in_outbox + found.in_drafts
    same = waited > 0 and found.in_first_minute <= _RATE and found.seconds > _MINUTE_SECONDS
    words = (
        f"of {_MAILS} mails {found.in_outbox} waited in the Outbox and {found.in_drafts} in Drafts; "
        f"{found.in_first_minute} arrived in a minute, the last one after {found.seconds:.0f} s"
    )
    return Seen(same, words)


def _burst(probe: ProbeContext) -> _Burst:
    found = probe.shared.get("burst")
    if not isinstance(found, _Burst):
        found = probe.shared["burst"] = _send_many(probe)
    return found


def _send_many(probe: ProbeContext) -> _Burst:
    ground = probe.ground
    before = len(ground.arrivals(ground.name))
    drafts = [(subject := ground.next_name(), ground.draft(ground.mail(subject))) for _ in range(_MAILS)]
    started = time.monotonic()
    for subject, draft in drafts:
        ground.send(draft, subject)
    wanted = {subject for subject, _ in drafts}
    in_outbox = len(_waiting(probe, distinguished("outbox"), wanted))
    waiting = [*_waiting(probe, distinguished("drafts"), wanted), *_waiting(probe, ground.folder(), wanted)]
    submitted = sum(item.findtext(f"{T}IsSubmitted") == "true" for item in waiting)
    in_first_minute = arrived = 0
    while arrived < _MAILS:
        arrived = len(ground.arrivals(ground.name)) - before
        seconds = time.monotonic() - started
        if seconds <= _MINUTE_SECONDS:
            in_first_minute = arrived
        if seconds > _LONGEST_SECONDS:
            raise NotCheckable(f"of {_MAILS} mails {arrived} arrived in {_LONGEST_SECONDS:.0f} s")
        if arrived < _MAILS:
            time.sleep(_LOOK_SECONDS)
    return _Burst(in_outbox, len(waiting), submitted, in_first_minute, seconds)


def _waiting(probe: ProbeContext, folder: etree._Element, wanted: set[str]) -> list[etree._Element]:
    """Return the mails of these subjects in a folder."""
    fields = [ews.field("item:Subject"), ews.field("item:IsSubmitted")]
    restriction = ews.contains("item:Subject", probe.ground.name)
    answer = probe.ok(ews.find(folder, restriction, fields=fields, limit=250))
    return [item for item in answer.all("Message") if item.findtext(f"{T}Subject") in wanted]
