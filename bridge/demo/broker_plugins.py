"""The plugins that a broker node is shown, where it need not see all that are installed."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_SERVER = "rabbit"
_NEEDED = re.compile(r"\{\s*applications\s*,\s*\[([^\]]*)\]")


def only(names: Iterable[str], *, scripts: Path, into: Path) -> Path | None:
    """
    Return a directory that holds these plugins, the server itself, and what they need; None where that is not known.

    A node reads the files of each plugin that it is shown at every start, switched on or not, which is half the work
    of a start. None: RabbitMQ is installed in another way than as a directory for each; the node is to see them all.
    """
    installed = (scripts / "rabbitmq-server").resolve().parent.parent / "plugins"
    found: dict[str, Path] = {}
    wanted = [_SERVER, *names]
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        folders = sorted(installed.glob(f"{name}-[0-9]*/ebin/{name}.app"))
        if not folders:
            continue  # a part of Erlang, or not there: then the node says so
        found[name] = folders[-1].parent.parent
        needed = _NEEDED.search(folders[-1].read_text("utf-8"))
        wanted += re.findall(r"\w+", needed[1]) if needed else []
    if _SERVER not in found:
        return None
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir()
    for folder in found.values():
        (into / folder.name).symlink_to(folder)
    return into
