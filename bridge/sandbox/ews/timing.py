"""A bound on how long one search may take: the database is asked to stop, whatever it is looking at."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews.errors import EwsError

if TYPE_CHECKING:
    from collections.abc import Iterator

_STEPS_BETWEEN_LOOKS: Final = 1_000


@contextmanager
def within(db: sqlite3.Connection, seconds: float | None) -> Iterator[None]:
    """
    Let the block search for so long; None sets no bound.

    Raises:
        EwsError: ErrorTimeoutExpired, it was not done by then.
    """
    if seconds is None:
        yield
        return
    end = time.monotonic() + seconds
    db.set_progress_handler(lambda: time.monotonic() > end, _STEPS_BETWEEN_LOOKS)
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        raise EwsError("ErrorTimeoutExpired", "The search took too long and was ended.") from error
    finally:
        db.set_progress_handler(None, 0)
