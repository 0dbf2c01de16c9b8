"""What the sandbox says on standard error: its own words and the kind and place of errors, never content."""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp.http_exceptions import HttpProcessingError

if TYPE_CHECKING:
    from types import TracebackType

    _ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

# A client that hangs up, or speaks no HTTP, has its answer or wants none; nothing is wrong with the sandbox.
_CLIENT_S_OWN = (ConnectionError, HttpProcessingError)


def configure_logging() -> None:
    """Send warnings and errors to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_KindAndPlace("sandbox: %(levelname)s %(message)s"))
    handler.addFilter(_is_ours)
    logging.basicConfig(handlers=[handler], level=logging.WARNING)


class _KindAndPlace(logging.Formatter):
    """Writes an exception as its class and the line that raised it: texts and traces can quote mails and tokens."""

    def formatException(self, ei: _ExceptionInfo) -> str:  # noqa: N802 - the base class's name
        frames = traceback.extract_tb(ei[2])
        where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
        return f"  {ei[0].__name__ if ei[0] else 'no exception'}{where}"


def _is_ours(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], _CLIENT_S_OWN))
