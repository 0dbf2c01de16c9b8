"""A mail of which nothing but its bytes goes out is told to the operator too."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.system.aside import Aside
from bridge.adapters.system.composer import Composer
from bridge.domain.mail import FetchedMail, MailRef
from bridge.telemetry.ingest_events import MailUnread
from bridge.wire import inbound_build

if TYPE_CHECKING:
    from bridge.telemetry.events import Event


@pytest.mark.parametrize("size", [100, 300_000])
def test_a_mail_that_could_not_be_read_is_announced_to_the_operator(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(_raw: bytes) -> None:
        raise RecursionError

    monkeypatch.setattr(inbound_build, "parse", parse)
    told: list[Event] = []
    mail = FetchedMail(MailRef("m" * 40, "item", datetime(2026, 1, 1, tzinfo=UTC), size, "IPM.Note"), b"x" * size)

    async def read() -> int:
        # The process aside has the parser as it is; one that ends at once leaves the mail to what is patched here.
        aside = Aside(child=("-c", ""))
        return len(await Composer("dispatch", aside, told.append, largest_body_bytes=1 << 24)(mail))

    assert asyncio.run(read()) == 1
    assert told == [MailUnread("dispatch", "m" * 40, "parser_failed")]
