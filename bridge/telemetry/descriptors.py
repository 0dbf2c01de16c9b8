"""A process that may open no more files and connections: told as that, and as nothing that it only looks like."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bridge.telemetry.health import Health

CODE: Final = "descriptors_exhausted"
PART: Final = "process:descriptors"
_NONE_LEFT: Final = frozenset({errno.EMFILE, errno.ENFILE})


def says_none_left(error: BaseException) -> bool:
    """Return whether an error says that there are no descriptors left, of the process or of the machine."""
    return isinstance(error, OSError) and error.errno in _NONE_LEFT


def none_left() -> bool:
    """Return whether there are none now, by taking one: errors of name resolution, for one, do not say."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return says_none_left(error)
    return False


def show(health: Health) -> None:
    """Bring health up to date."""
    if none_left():
        health.trouble(PART, CODE)
    else:
        health.forget(PART)
