"""From a fetched mail to all messages that tell of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bridge.wire import bounce_events, inbound_build

if TYPE_CHECKING:
    from bridge.domain.mail import FetchedMail, UnconvertibleMail
    from bridge.mime.defects import Defect
    from bridge.ports.broker import Message


def messages_of(mail: FetchedMail | UnconvertibleMail, alias: str, *, seconds: float) -> list[Message]:
    """Return the messages for a mail, its own last; one that takes longer to read goes out with its bytes alone."""
    payload = inbound_build.compose(mail, alias, seconds=seconds)
    return [*bounce_events.messages_of(payload, datetime.now(UTC)), inbound_build.message_of(payload)]


def unread_messages_of(mail: FetchedMail, alias: str, defect: Defect) -> list[Message]:
    """Return the message for a mail that cannot be read: its bytes, and why there is nothing else."""
    return [inbound_build.message_of(inbound_build.unread(mail, alias, defect))]
