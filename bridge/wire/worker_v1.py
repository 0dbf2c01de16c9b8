"""
`mail.worker.v1`: what a worker says of itself to the others, every few seconds, on the amqp_exchange `mail.workers`.

It is for workers alone, it is never stored, and times in it are durations: no clock has to agree with another. What
comes may be of another release, or of anybody who may publish there: what does not fit is ignored as a whole.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from bridge.domain import roster

NAME: Final = "mail.worker.v1"
CONTENT_TYPE: Final = "application/json"
LARGEST_BYTES: Final = 1 << 20
"""A worker that reads and sends for 2,000 mailboxes with long names stays below."""
_MOST: Final = 20_000

_Alias = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")]
_Word = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,64}$")]


class _Payload(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, hide_input_in_errors=True)


class HeldMailbox(_Payload):
    """A mailbox that the worker has."""

    direction: Literal["ingest", "egress"]
    mailbox: _Alias
    status: _Word
    """How the worker's `/health` tells it: `ok`, `warning`, `starting`, `trouble`, `stale` or a later word."""
    code: _Word
    silent_seconds: float = Field(ge=0, le=1e9, allow_inf_nan=False)
    """Since the work showed that it lives."""


class WorkerAnnouncement(_Payload):
    """A worker, the mailboxes that it may have, and those that it has."""

    schema_: Literal["mail.worker.v1"] = Field(default=NAME, alias="schema")
    worker: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    """Made up at each start of the process."""
    release: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z.+-]{1,64}$")]
    role: _Word
    """`ingest`, `egress` or `run`."""
    reads: Annotated[list[_Alias], Field(max_length=_MOST)]
    sends: Annotated[list[_Alias], Field(max_length=_MOST)]
    holds: Annotated[list[HeldMailbox], Field(max_length=_MOST)]


def to_json(announcement: roster.Announcement) -> bytes:
    """Return the payload."""
    return (
        WorkerAnnouncement(
            worker=announcement.worker,
            release=announcement.release,
            role=announcement.role,
            reads=list(announcement.reads),
            sends=list(announcement.sends),
            holds=[
                HeldMailbox(
                    direction=one.direction,
                    mailbox=one.mailbox,
                    status=one.status,
                    code=one.code,
                    silent_seconds=round(one.silent_seconds, 1),
                )
                for one in announcement.holds
            ],
        )
        .model_dump_json(by_alias=True)
        .encode()
    )


def from_json(body: bytes) -> roster.Announcement:
    """
    Return what a payload announces.

    Raises:
        ValueError: It is not one of these; the text holds nothing of it.
    """
    if len(body) > LARGEST_BYTES:
        raise ValueError("larger than an announcement can be")
    try:
        payload = WorkerAnnouncement.model_validate_json(body)
    except ValidationError as error:
        raise ValueError(f"{error.error_count()} things in it are not as they must be") from None
    return roster.Announcement(
        worker=payload.worker,
        release=payload.release,
        role=payload.role,
        reads=payload.reads,
        sends=payload.sends,
        holds=[
            roster.Holding(one.direction, one.mailbox, one.status, one.code, one.silent_seconds)
            for one in payload.holds
        ],
    )
