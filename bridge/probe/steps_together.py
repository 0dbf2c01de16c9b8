"""Guesses about calls that requests share: many drafts, ids and comparisons in one call, each with an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.adapters.ews import stamps
from bridge.adapters.ews.folder_ids import distinguished, folder_ids
from bridge.adapters.ews.soap import T, element
from bridge.probe import requests_ews as ews
from bridge.probe.guesses import Needs, Seen, step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lxml import etree

    from bridge.probe.context import ProbeContext
    from bridge.probe.requests_ews import ItemId

_MOST: Final = 32
_COMPARED: Final = 33
_DRAFT_BYTES: Final = 96 << 10
"""In base64 32 of them are 4 MiB."""
_LINE: Final = b"x" * 74 + b"\r\n"


def _drafts(
    probe: ProbeContext, subjects: Sequence[str], folder: etree._Element, *, body: bytes = b""
) -> tuple[list[str], list[ItemId]]:
    """Return the codes and the ids that one CreateItem of drafts answers; each bears its subject as request id."""
    messages = [
        ews.mime_message(probe.ground.mail(subject) + body, *stamps.written({stamps.REQUEST_ID: subject}))
        for subject in subjects
    ]
    answer = probe.call(ews.create(folder, *messages))
    return answer.codes, [ews.id_of(one) for one in answer.all("ItemId")]


def _subject(probe: ProbeContext, draft: ItemId) -> str | None:
    return probe.ground.item(draft, ews.field("item:Subject")).findtext(f"{T}Subject")


@step(154, "one CreateItem of 4 MiB saves 32 drafts, and answers each in their order", needs=Needs.WRITE)
def drafts_of_many(probe: ProbeContext) -> Seen:
    subjects = [probe.ground.next_name() for _ in range(_MOST)]
    body = _LINE * (_DRAFT_BYTES // len(_LINE))
    codes, made = _drafts(probe, subjects, probe.ground.subfolder(), body=body)
    ordered = len(made) == _MOST and all(_subject(probe, made[at]) == subjects[at] for at in (0, _MOST // 2, -1))
    same = codes == ["NoError"] * _MOST and ordered
    return Seen(same, f"{len(codes)} answers, {codes.count('NoError')} of them NoError; in order: {ordered}")


@step(155, "a restriction finds what one of 33 comparisons of a named property fits", needs=Needs.WRITE)
def long_restriction(probe: ProbeContext) -> Seen:
    folder = probe.ground.subfolder()
    subjects = [probe.ground.next_name() for _ in range(_COMPARED)]
    there = [subjects[0], subjects[_COMPARED // 2], subjects[-1]]
    _, made = _drafts(probe, [*there, probe.ground.next_name()], folder)
    answer = probe.call(ews.find(folder, stamps.one_of(stamps.REQUEST_ID, subjects)))
    found = {ews.id_of(one)[0] for one in answer.all("ItemId")}
    same = len(made) == len(there) + 1 and found == {one[0] for one in made[:-1]}
    return Seen(same, f"{answer.code}, {len(found)} found of {len(there)}")


@step(156, "one SendItem takes 32 ids; those whose change key is an old one are refused, the others are sent",
      needs=Needs.WRITE)  # fmt: skip
def sends_of_many(probe: ProbeContext) -> Seen:
    subjects = [probe.ground.next_name() for _ in range(_MOST)]
    _, made = _drafts(probe, subjects, probe.ground.folder())
    sent = (0, len(made) - 1)
    for at, draft in enumerate(made):
        if at not in sent:
            probe.ok(ews.update(draft, stamps.uri(stamps.STATE), stamps.written({stamps.STATE: "probed"})[0]))
    probe.ground.announce("writing: sends two mails to the mailbox itself, removed at the end")
    for at in sent:
        probe.ground.will_arrive(subjects[at])
    codes = probe.call(
        element(
            "m:SendItem",
            element("m:ItemIds", *(ews.item_id(draft) for draft in made)),
            folder_ids("m:SavedItemFolderId", distinguished("sentitems")),
            SaveItemToFolder="true",
        )
    ).codes
    wanted = [code == "NoError" for code in codes] == [at in sent for at in range(_MOST)]
    kinds = ", ".join(sorted(set(codes[1:-1])))
    return Seen(wanted, f"{len(codes)} answers; the two with the key of now: {codes[0]}, {codes[-1]}; others: {kinds}")
