"""An exception as it may be written down: what kind, which code, where in our own code; never what it says."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.errors import BridgeError
from bridge.telemetry import descriptors
from bridge.telemetry.descriptors import says_none_left

if TYPE_CHECKING:
    from collections.abc import Iterator

_OWN = Path(__file__).resolve().parent.parent
_DEEPEST = 12
_LONGEST_CHAIN = 8


def code_of(error: BaseException) -> str:
    """Return the error's code out of the closed set; `unexpected_error` for what nobody foresaw."""
    if says_none_left(error):
        return descriptors.CODE
    return error.code if isinstance(error, BridgeError) else "unexpected_error"


def describe(error: BaseException) -> dict[str, object]:
    """
    Return the fields that stand for an exception in a log line.

    The message of a foreign exception may quote a request, an answer or a header (exchangelib, requests and pydantic
    do), and locals hold mails: neither is read. A `BridgeError` is worded by us, without content, so its detail stays.
    """
    fields: dict[str, object] = {
        "code": code_of(error),
        "error": " < ".join(_name(link) for link in _chain(error)),
        "at": [frame for link in _chain(error) for frame in _own_frames(link)][-_DEEPEST:],
    }
    if isinstance(error, BridgeError) and error.detail:
        fields["detail"] = error.detail
    return fields


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and its causes, latest first, groups by their first member."""
    link: BaseException | None = error
    for _ in range(_LONGEST_CHAIN):
        if link is None:
            return
        yield link
        if isinstance(link, BaseExceptionGroup):
            link = link.exceptions[0]
        else:
            link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _own_frames(error: BaseException) -> Iterator[str]:
    for frame, line in traceback.walk_tb(error.__traceback__):
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(_OWN):
            yield f"{path.relative_to(_OWN.parent)}:{line} {frame.f_code.co_name}"
