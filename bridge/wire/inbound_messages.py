"""From a fetched mail to all messages that tell of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from bridge.domain.mail import UnconvertibleMail
from bridge.mime import ParsedMail, parse
from bridge.mime.authentication import says_internal
from bridge.wire import bounce_events, inbound_build
from bridge.wire.claims import Claims

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.domain.defects import Defect
    from bridge.domain.mail import FetchedMail, MailRef
    from bridge.ports.broker import Message
    from bridge.wire.claims import ClaimRules, PendingBlob
    from bridge.wire.inbound_build import RawMime
    from bridge.wire.inbound_v1 import InboundMail

_UNREAD: tuple[Defect, ...] = ("parser_failed", "parse_time_exceeded", "payload_limit")


class Composed(NamedTuple):
    """What is to be published of one mail."""

    messages: list[Message]
    """The mail's own is the last."""
    unread: str | None
    """The defect that says why nothing but the mail's bytes is told; None for a mail that was read."""
    blobs: tuple[PendingBlob, ...] = ()
    """What must be in the store before."""
    says_internal: bool = False
    """Whether the mail's own fields say that Exchange took it from within its organisation."""


def composed(
    mail: FetchedMail | UnconvertibleMail, alias: str, *, seconds: float, rules: ClaimRules | None = None
) -> Composed:
    """Return the messages for a mail; one that takes longer to read goes out with its bytes alone."""
    if rules is None or isinstance(mail, UnconvertibleMail):
        return _messages(inbound_build.compose(mail, alias, seconds=seconds))
    mime = mail.mime
    raw = inbound_build.RawMime.of(mime)
    return composed_claimed(mail.ref, alias, raw, lambda: parse(mime), seconds=seconds, rules=rules)


def composed_claimed(
    ref: MailRef, alias: str, raw: RawMime, read: Callable[[], ParsedMail], *, seconds: float, rules: ClaimRules
) -> Composed:
    """
    Return the messages for a mail, and what of it goes to the blob store.

    Where a payload would be larger than the broker carries, all contents are blobs; where its text, HTML and headers
    alone are larger than that, its bytes alone are told.
    """
    for above_bytes in (rules.above_bytes, 0):
        claims = Claims(rules, alias, ref, above_bytes)
        payload = inbound_build.compose_mime(ref, alias, raw, read, seconds=seconds, claims=claims)
        made = _messages(payload, claims)
        if len(made.messages[-1].body) <= rules.largest_body_bytes:
            return made
    return composed_bytes_alone(ref, alias, raw, "payload_limit", rules)


def composed_bytes_alone(ref: MailRef, alias: str, raw: RawMime, defect: Defect, rules: ClaimRules | None) -> Composed:
    """Return the message for a mail that cannot be read, or shown: its bytes, and why there is nothing else."""
    claims = Claims(rules, alias, ref, rules.above_bytes) if rules is not None else None
    return _messages(inbound_build.unread(ref, alias, raw, defect, claims=claims), claims)


def composed_unread(mail: FetchedMail, alias: str, defect: Defect, rules: ClaimRules | None = None) -> Composed:
    """Return the message for a mail that cannot be read: its bytes, and why there is nothing else."""
    return composed_bytes_alone(mail.ref, alias, inbound_build.RawMime.of(mail.mime), defect, rules)


def _messages(payload: InboundMail, claims: Claims | None = None) -> Composed:
    events = bounce_events.messages_of(payload, datetime.now(UTC))
    unread = next((defect for defect in _UNREAD if defect in payload.defects), None)
    pending = tuple(claims.pending.values()) if claims is not None else ()
    internal = bool(events) and says_internal((header.name, header.value) for header in payload.headers)
    return Composed([*events, inbound_build.message_of(payload)], unread, pending, internal)
