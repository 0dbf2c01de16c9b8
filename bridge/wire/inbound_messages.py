"""From a fetched mail to all messages that tell of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from bridge.wire import bounce_events, inbound_build

if TYPE_CHECKING:
    from bridge.domain.mail import FetchedMail, UnconvertibleMail
    from bridge.mime.defects import Defect
    from bridge.ports.broker import Message

_UNREAD: tuple[Defect, ...] = ("parser_failed", "parse_time_exceeded")


class Composed(NamedTuple):
    """What is to be published of one mail."""

    messages: list[Message]
    """The mail's own is the last."""
    unread: str | None
    """The defect that says why nothing but the mail's bytes is told; None for a mail that was read."""


def composed(mail: FetchedMail | UnconvertibleMail, alias: str, *, seconds: float) -> Composed:
    """Return the messages for a mail; one that takes longer to read goes out with its bytes alone."""
    payload = inbound_build.compose(mail, alias, seconds=seconds)
    events = bounce_events.messages_of(payload, datetime.now(UTC))
    unread = next((defect for defect in _UNREAD if defect in payload.defects), None)
    return Composed([*events, inbound_build.message_of(payload)], unread)


def composed_unread(mail: FetchedMail, alias: str, defect: Defect) -> Composed:
    """Return the message for a mail that cannot be read: its bytes, and why there is nothing else."""
    return Composed([inbound_build.message_of(inbound_build.unread(mail, alias, defect))], defect)
