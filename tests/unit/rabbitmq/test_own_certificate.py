"""The client certificate's end is seen early, and a renewed one is believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.rabbitmq.own_certificate import OwnCertificate, ends_at
from bridge.telemetry.broker_events import BrokerCertificateExpires
from bridge.telemetry.health import Health
from bridge.telemetry.metrics import Metrics
from tests.support.certificates import TestAuthority

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.telemetry.events import Event

_DAY = 86_400.0


@dataclass
class _Time:
    now: float = 0.0


def _status(health: Health) -> tuple[str, str]:
    state = health.state("broker:certificate")
    assert state is not None
    return state.status, state.code


async def test_the_end_is_told_at_thirty_seven_and_one_days_and_when_it_has_come(tmp_path: Path) -> None:
    """Once at each; health warns all along, and a worker stays ready."""
    file = TestAuthority(tmp_path).issue("bridge-run")
    end = ends_at(file)
    assert end is not None
    wall, told, health, metrics = _Time(end - 31 * _DAY), list[BrokerCertificateExpires](), Health(), Metrics()

    def emit(event: Event) -> None:
        assert isinstance(event, BrokerCertificateExpires)
        told.append(event)

    ticks = iter(range(0, 10**6, 61))
    own = OwnCertificate(file, emit, wall_clock=lambda: wall.now, monotonic=lambda: float(next(ticks)))
    seen = []
    for left in (31, 29, 28, 6, 0.5, -1):
        wall.now = end - left * _DAY
        await own.show(health, metrics)
        seen.append(_status(health))

    assert [event.days for event in told] == [30, 7, 1, 0]
    assert [status for status, _ in seen] == ["ok", *["warning"] * 5]
    assert seen[-1][1] == "broker_certificate_expired"
    name = "bridge_broker_certificate_expiry_timestamp_seconds"
    assert metrics.registry.get_sample_value(name, {"credential": "certificate"}) == end


async def test_a_renewed_certificate_ends_the_warning_and_an_unusable_file_changes_nothing(tmp_path: Path) -> None:
    """It is empty for a moment, as files are while they are written."""
    authority, told, health, metrics = TestAuthority(tmp_path), list[object](), Health(), Metrics()
    file = authority.issue("bridge-run", expired=True)
    ticks = iter(range(0, 10**6, 61))
    own = OwnCertificate(file, told.append, monotonic=lambda: float(next(ticks)))

    await own.show(health, metrics)
    assert _status(health) == ("warning", "broker_certificate_expired")
    renewed = authority.issue("bridge-run").read_bytes()
    file.write_bytes(b"")
    await own.show(health, metrics)
    assert _status(health) == ("warning", "broker_certificate_expired")
    file.write_bytes(renewed)
    await own.show(health, metrics)

    # The test's authority gives a day.
    assert _status(health) == ("warning", "broker_certificate_expires_soon")
    assert len(told) == 2


@pytest.mark.parametrize("content", [b"", b"hello", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_file_without_a_certificate_has_no_end(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "c.pem"
    file.write_bytes(content)

    assert ends_at(file) is None
    assert ends_at(tmp_path / "none") is None
