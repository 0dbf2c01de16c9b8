"""`outbound.bounced`: a bounce that came back to the mailbox, told of the request whose mail it returns."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bridge.wire import event_v1

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from bridge.ports.broker import Message
    from bridge.wire.event_v1 import Code
    from bridge.wire.inbound_v1 import Bounce, InboundMail

_MOST: Final = 500
"""Recipients of one mail that Exchange allows; a bounce that names more is none of ours."""

_CODES: Final[dict[str | None, Code]] = {
    "failed": "not_delivered",
    "delayed": "not_delivered_yet",
    None: "not_delivered",  # told from the text of a bounce without a report
}


def messages_of(mail: InboundMail, at: datetime) -> list[Message]:
    """
    Return one event for each recipient that a bounce tells of; none where the mail answers no request of ours.

    All of them are `unverified`: see `verified`.
    A mail that was delivered after all, or passed on, is no bounce of that recipient. The event names nobody: who
    was not reached stands in the mail, which follows.
    """
    if mail.kind != "bounce" or mail.bounce is None or mail.answers is None:
        return []
    return [
        event_v1.message_of(
            event_v1.build(
                "outbound.bounced",
                mailbox=mail.mailbox,
                at=at,
                request_id=mail.answers,
                message_id=mail.message_id,
                about=about,
                code=code,
                detail=status,
                confidence="unverified",
            )
        )
        for about, code, status in _failures(mail.bounce)
    ]


def verified(messages: Iterable[Message]) -> Iterator[Message]:
    """Yield messages for a mail of which the own organisation proves who wrote it: events of a bounce say so."""
    for message in messages:
        if message.type != event_v1.NAME:
            yield message
            continue
        event = event_v1.from_json(message.body)
        yield replace(message, body=event_v1.to_json(event.model_copy(update={"confidence": "verified"})))


def _failures(bounce: Bounce) -> Iterator[tuple[str, Code, str]]:
    if not bounce.recipients:
        yield "", "not_delivered", ""
    for number, recipient in enumerate(bounce.recipients[:_MOST]):
        if recipient.action in _CODES:
            yield recipient.address or str(number), _CODES[recipient.action], _status(recipient.status)


def _status(status: str | None) -> str:
    """Return an RFC 3463 code; anything else may hold what is nobody's business."""
    parts = (status or "").split(".")
    return ".".join(parts) if len(parts) == 3 and all(part.isdecimal() and len(part) <= 3 for part in parts) else ""
