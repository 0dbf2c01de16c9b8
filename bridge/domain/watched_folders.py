"""Which folders may be read and moved to: compared by id, since one folder has many names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.domain.parking import PARKED_FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LEDGER_FOLDER: Final = "Bridge Sends"
"""Of begun and ended sends."""
OWN_FOLDERS: Final = (PARKED_FOLDER, LEDGER_FOLDER)
"""The folders that the bridge makes for itself beside the inbox."""


def folder_conflict(
    watched: Sequence[str | None], target: str | None, *, elsewhere: Mapping[str, str], own: Mapping[str, str]
) -> str | None:
    """
    Return why mails would be published for ever, or what is no arriving mail; None where all is well.

    Given are the ids of the folders that are read, in the order of the configuration (None: it is not there), and of
    the one that published mails are moved to. `elsewhere` has the names of folders in which no mail arrives, by id,
    `own` those of the bridge itself.
    """
    seen: dict[str, int] = {}
    for number, folder in enumerate(watched):
        if folder is None:
            continue
        if (name := own.get(folder) or elsewhere.get(folder)) is not None:
            return f"folders[{number}] is {name}, where no mail arrives"
        if folder in seen:
            return f"folders[{seen[folder]}] and folders[{number}] are one folder"
        seen[folder] = number
    if target is not None and target in own:
        return f"after_publish moves mail into {own[target]}, which is the bridge's own"
    if target is not None and target in seen:
        return f"after_publish moves mail into folders[{seen[target]}], which would be published for ever"
    return None


def folder_path(name: str) -> str:
    """Return a folder's name without what makes no difference in its spelling."""
    return "/".join(part for part in name.lower().split("/") if part)
