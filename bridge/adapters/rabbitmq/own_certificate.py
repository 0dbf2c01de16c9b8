"""The end of the certificate that the bridge shows to the broker, seen in its file before the broker refuses it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from cryptography import x509

from bridge.domain import expiry
from bridge.telemetry.broker_events import BrokerCertificateExpires

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridge.telemetry.events import Emit
    from bridge.telemetry.health import Health
    from bridge.telemetry.metrics import Metrics

_LOOK_SECONDS: Final = 60.0
_PART: Final = "broker:certificate"


def ends_at(file: Path) -> float | None:
    """Return when the first certificate of the file ends, in seconds since the epoch; None where there is none."""
    try:
        certificates = x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError):
        return None  # in the middle of a renewal, or of no use: whoever connects says so
    return certificates[0].not_valid_after_utc.timestamp()


class OwnCertificate:
    """Tells 30, 7 and 1 days ahead, in log, health and gauge; a renewed file is seen within a minute."""

    def __init__(
        self,
        file: Path,
        emit: Emit,
        *,
        wall_clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = file
        self._emit = emit
        self._wall_clock, self._monotonic = wall_clock, monotonic
        self._look_at = float("-inf")
        self._told: tuple[float, int] | None = None

    async def show(self, health: Health, metrics: Metrics) -> None:
        """Bring health and gauge up to date; to be called often, it looks at the file once a minute."""
        if self._monotonic() < self._look_at:
            return
        self._look_at = self._monotonic() + _LOOK_SECONDS
        end = await asyncio.to_thread(ends_at, self._file)
        if end is None:
            return
        metrics.broker_certificate_expiry.labels("certificate").set(end)
        left = end - self._wall_clock()
        stage = expiry.stage(left)
        if stage is None:
            health.ok(_PART)
            return
        words = expiry.words(end, left)
        health.warn(_PART, "broker_certificate_expires_soon" if left > 0 else "broker_certificate_expired", words)
        if self._told != (end, stage):
            self._told = (end, stage)
            self._emit(BrokerCertificateExpires(stage, words))
