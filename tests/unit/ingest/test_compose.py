"""A mail of which nothing but its bytes goes out is told to the operator too."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.system.parser_subprocess import ParserSubprocesses
from bridge.domain.mail import FetchedMail, MailRef
from bridge.ingest.compose import Composer
from bridge.telemetry.ingest_events import MailUnread
from bridge.telemetry.metrics import Metrics
from bridge.wire import event_v1, inbound_build, inbound_messages
from tests.support.mails import sample

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bridge.domain.mail import UnconvertibleMail
    from bridge.telemetry.events import Event
    from bridge.wire.claims import ClaimRules
    from bridge.wire.inbound_messages import Composed


@pytest.mark.parametrize("size", [100, 300_000])
def test_a_mail_that_could_not_be_read_is_announced_to_the_operator(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(_raw: bytes) -> None:
        raise RecursionError

    monkeypatch.setattr(inbound_build, "parse", parse)
    told: list[Event] = []
    mail = FetchedMail(MailRef("m" * 40, "item", datetime(2026, 1, 1, tzinfo=UTC), size, "IPM.Note"), b"x" * size)

    async def read() -> int:
        # The process aside has the parser as it is; one that ends at once leaves the mail to what is patched here.
        aside = ParserSubprocesses(child=("-c", ""))
        return len(await Composer("dispatch", aside, told.append, largest_body_bytes=1 << 24)(mail))

    assert asyncio.run(read()) == 1
    assert told == [MailUnread("dispatch", "m" * 40, "parser_failed")]
    metrics = Metrics()
    for event in told:
        event.record(metrics)
    counted = {"mailbox": "dispatch", "code": "parser_failed"}
    assert metrics.registry.get_sample_value("bridge_ingest_unread_mails_total", counted) == 1


class _Noting(ParserSubprocesses):
    """Reads mails here, and notes which it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[str] = []

    async def composed(
        self, mail: FetchedMail | UnconvertibleMail, alias: str, rules: ClaimRules | None = None
    ) -> Composed:
        self.given.append(mail.ref.message_id)
        return inbound_messages.composed(mail, alias, seconds=10.0, rules=rules)


async def test_a_mail_is_read_aside_from_256_kb_on_and_a_smaller_one_is_not() -> None:
    aside = _Noting()
    composer = Composer("dispatch", aside, lambda _: None, largest_body_bytes=1 << 24)
    head = b"Subject: x\r\n\r\n"

    for size in ((256 << 10) - 1, 256 << 10):
        ref = MailRef(f"of-{size}", "item", datetime(2026, 1, 1, tzinfo=UTC), size, "IPM.Note")
        assert len(await composer(FetchedMail(ref, head.ljust(size, b"x")))) == 1

    assert aside.given == ["of-262144"]


@contextlib.asynccontextmanager
async def _an_aside() -> AsyncIterator[ParserSubprocesses]:
    aside = ParserSubprocesses()
    try:
        yield aside
    finally:
        await aside.close()


_INTERNAL = b"X-MS-Exchange-Organization-AuthAs: Internal\r\n"
_ANONYMOUS = b"X-MS-Exchange-Organization-AuthAs: Anonymous\r\n"
_DMARC = b"Authentication-Results: mail.example.org; dmarc=pass header.from=example.org\r\n"


@pytest.mark.parametrize(
    ("fields", "trusted", "confidence"),
    [
        (b"", True, "unverified"),
        (_INTERNAL, True, "verified"),
        (_INTERNAL, False, "unverified"),
        (_ANONYMOUS, True, "unverified"),
        (_INTERNAL + _ANONYMOUS, True, "unverified"),  # one of the two came with the mail
        (_ANONYMOUS + _INTERNAL, True, "unverified"),
        (_INTERNAL + _INTERNAL, True, "unverified"),
        (b"X-MS-Exchange-Organization-AuthAs: Internal, says the sender\r\n", True, "unverified"),
        (_DMARC, True, "unverified"),  # anybody passes that, for a domain of his own
    ],
)
async def test_a_bounce_is_verified_only_by_the_own_exchange_and_where_it_is_trusted(
    fields: bytes, *, trusted: bool, confidence: str
) -> None:
    mime = fields + sample("09-bounce-delivery-status")
    mail = FetchedMail(MailRef("m" * 40, "item", None, len(mime), "IPM.Note"), mime)
    async with _an_aside() as aside:
        *events, _ = await Composer(
            "dispatch", aside, lambda _: None, largest_body_bytes=1 << 24, trust_internal=trusted
        )(mail)

    assert [event_v1.from_json(one.body).confidence for one in events] == [confidence] * 2


async def test_what_a_forged_bounce_quotes_of_an_internal_mail_verifies_nothing() -> None:
    """The field stands in the part that returns the mail, and not above the bounce."""
    mime = sample("09-bounce-delivery-status").replace(b"X-Bridge-Request-Id:", _INTERNAL + b"X-Bridge-Request-Id:")
    mail = FetchedMail(MailRef("m" * 40, "item", None, len(mime), "IPM.Note"), mime)
    async with _an_aside() as aside:
        *events, _ = await Composer("dispatch", aside, lambda _: None, largest_body_bytes=1 << 24, trust_internal=True)(
            mail
        )

    assert _INTERNAL in mime
    assert [event_v1.from_json(one.body).confidence for one in events] == ["unverified"] * 2
