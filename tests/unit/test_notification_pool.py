"""What health and metrics say of the notification streams of one process."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from bridge.bootstrap.notifications import PART, NotificationStreamPool
from bridge.config import load
from bridge.telemetry.health import Health, reading_part
from bridge.telemetry.metrics import Metrics
from bridge.telemetry.reasons import words_for

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.ingest.notifications.streams import MailboxNotifications

_SETTINGS = """\
[ews]
url = "https://exchange.example.org/EWS/Exchange.asmx"
auth = "ntlm"
[[mailboxes]]
alias = "dispatch"
address = "dispatch@example.org"
username = "EXAMPLE\\\\bridge"
password_file = "password"
[rabbitmq]
urls = ["amqp://broker/vhost"]
"""
_READER = reading_part("dispatch")


class Bench:
    """One mailbox, as its reader reports it."""

    def __init__(self, directory: Path) -> None:
        for name, text in (("password", "x"), ("bridge.toml", _SETTINGS)):
            (directory / name).write_text(text)
            (directory / name).chmod(0o600)
        settings = load(directory / "bridge.toml", {}).settings
        self.health, self.metrics = Health(), Metrics()
        self.streams = NotificationStreamPool(settings, Mock(monotonic=lambda: 0.0), Mock(), Mock())
        made = self.streams.notices(settings.mailboxes[0], Mock(), None)
        assert made is not None
        self.notices: MailboxNotifications = made
        self.health.expect(_READER)
        self.health.expect(PART)

    def said(self) -> str:
        self.streams.show(self.health, self.metrics)
        state = self.health.state(PART)
        return state.status if state is not None else ""


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_standby_is_said_only_while_another_worker_reads(bench: Bench) -> None:
    assert bench.said() == "starting"  # nobody has the mailbox yet
    bench.health.standby(_READER)
    assert bench.said() == "standby"

    bench.health.begin(_READER)
    with bench.notices.watching(Mock()):
        assert bench.said() == "starting"
        assert bench.said() == "starting"


async def test_one_mailbox_that_another_worker_reads_does_not_hide_why_this_one_reads_none(bench: Bench) -> None:
    other = reading_part("night-desk")
    bench.streams._readers.add(other)
    bench.health.standby(_READER)
    bench.health.trouble(other, "mailbox_not_found")

    assert bench.said() == "trouble"

    bench.health.standby(other)
    assert bench.said() == "standby"


async def test_who_reads_nothing_for_reasons_of_its_own_does_not_stand_by(bench: Bench) -> None:
    bench.health.trouble(_READER, "broker_unavailable")

    assert bench.said() == "trouble"
    assert not bench.health.ready


async def test_what_worked_and_has_no_mailbox_any_more_says_why_and_not_that_it_has_not_reported_yet(
    bench: Bench,
) -> None:
    """The broker is away: the reader has lost its mailbox, and nothing is wrong with notifications."""
    with bench.notices.watching(Mock()):
        bench.health.ok(PART)
        assert bench.said() == "ok"
    bench.health.trouble(_READER, "broker_unavailable")

    bench.said()

    state = bench.health.state(PART)
    assert state is not None
    assert (state.status, state.code) == ("trouble", "broker_unavailable")
    assert state.reason == words_for("broker_unavailable")
    assert state.detail == "no mailbox is read here, so no notifications are asked for"

    bench.health.ok(_READER)
    with bench.notices.watching(Mock()):
        assert bench.said() == "starting"
        bench.health.ok(PART)
        assert bench.said() == "ok"


async def test_the_telling_goes_on_as_it_was_when_nothing_changes(bench: Bench) -> None:
    bench.health.ok(PART)
    with bench.notices.watching(Mock()):
        assert bench.said() == "ok"
