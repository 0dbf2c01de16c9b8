"""Guesses about the schema version that a request asks for. They read nothing of the mailbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.adapters.ews.folder_ids import distinguished, folder_ids
from bridge.adapters.ews.soap import element
from bridge.probe.guesses import Seen, step
from bridge.probe.requests_ews import field, find

if TYPE_CHECKING:
    from lxml import etree

    from bridge.probe.context import ProbeContext

_OLD: Final = "Exchange2010_SP2"
_TO_COME: Final = "V2030_01_01"


def _folder(name: str) -> etree._Element:
    shape = element("m:FolderShape", element("t:BaseShape", text="IdOnly"))
    return element("m:GetFolder", shape, folder_ids("m:FolderIds", distinguished(name)))


@step(70, "a property newer than the version asked for is ErrorInvalidPropertyRequest")
def newer_property(probe: ProbeContext) -> Seen:
    body = find(distinguished("inbox"), fields=[field("item:Flag")], limit=1)
    old, own = probe.wire.call(body, version=_OLD).code, probe.code(body)
    return Seen((old, own) == ("ErrorInvalidPropertyRequest", "NoError"), f"as {_OLD}: {old}; as now: {own}")


@step(71, "an operation or a folder newer than the version asked for is the fault ErrorIncorrectSchemaVersion")
def newer_operation(probe: ProbeContext) -> Seen:
    # The id is none, so nothing is marked where the version does not matter.
    ids = element("m:ItemIds", element("t:ItemId", Id="AAAA"))
    operation = probe.wire.call(element("m:MarkAsJunk", ids, IsJunk="true", MoveItem="false"), version=_OLD).code
    folder = probe.wire.call(_folder("syncissues"), version=_OLD).code
    same = operation == folder == "ErrorIncorrectSchemaVersion"
    return Seen(same, f"MarkAsJunk: {operation}; GetFolder of syncissues: {folder}")


@step(73, "a version by date that is to come is ErrorInvalidServerVersion, on-premises ErrorInvalidRequest")
def version_to_come(probe: ProbeContext) -> Seen:
    code = probe.wire.call(_folder("inbox"), version=_TO_COME).code
    wanted = "ErrorInvalidServerVersion" if probe.wire.target.tokens is not None else "ErrorInvalidRequest"
    return Seen(code == wanted, f"as {_TO_COME}: {code}")
