"""The guess about how full a mailbox is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.adapters.ews.folder_ids import distinguished, folder_ids
from bridge.adapters.ews.soap import element
from bridge.probe import requests_ews as ews
from bridge.probe.guesses import Seen, step

if TYPE_CHECKING:
    from bridge.probe.context import ProbeContext

_LIMITS: Final = {"receiving": "0x666A", "sending": "0x666E"}


@step(157, "the root folder tells the mailbox's quotas, any folder how much it holds")
def quotas(probe: ProbeContext) -> Seen:
    tags = [ews.tag(tag, "Integer") for tag in _LIMITS.values()]
    fields = element("t:AdditionalProperties", *tags, ews.tag("0x0E08", "Long"))
    shape = element("m:FolderShape", element("t:BaseShape", text="IdOnly"), fields)
    folders = folder_ids("m:FolderIds", distinguished("root"), distinguished("inbox"))
    answer = probe.ok(element("m:GetFolder", shape, folders))
    root, inbox = answer.all("Folder")[:2]
    limits = {name: ews.value_of(root, tag) for name, tag in _LIMITS.items()}
    told = [f"{name}: {'not told' if limit is None else 'a number'}" for name, limit in limits.items()]
    size = ews.value_of(inbox, "0x0E08")
    told.append(f"size of the inbox: {'not told' if size is None else 'a number'}")
    return Seen(None not in {*limits.values(), size}, ", ".join(told))
