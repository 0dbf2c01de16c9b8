"""The result of one attempt: the request has ended, is retried later through the broker, or was released."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from bridge.domain.outbound_records import EndReason


@dataclass(frozen=True, slots=True)
class Ended:
    """The request is over; what its event says."""

    event: Literal["sent", "failed", "expired", "unknown"]
    code: str
    detail: str = ""
    internet_message_id: str | None = None


@dataclass(frozen=True, slots=True)
class RetryLater:
    """The request has to wait, in the broker."""

    code: str
    after_seconds: float | None = None
    """What was asked for; None where nobody said."""
    untouched: bool = False
    """This attempt has not begun to send it, and cannot have."""
    own: bool = False
    """It may be the request's own trouble although its mailbox pauses for it."""
    end_as: EndReason | None = None
    """Given: it is given up, and to be ended once its mailbox may be used again."""


@dataclass(frozen=True, slots=True)
class Released:
    """The request was put down: it belongs to somebody else by now, or this worker stops."""


AttemptResult = Ended | RetryLater | Released
