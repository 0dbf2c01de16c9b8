"""Events become metrics and log lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.telemetry.logging import LEVELS, logger

if TYPE_CHECKING:
    from bridge.telemetry.events import Event
    from bridge.telemetry.metrics import Metrics


class Emitter:
    """Records each event in the metrics and writes it to the log; the `emit` that workers are given."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._log = logger()

    def __call__(self, event: Event) -> None:
        """Count and write one event."""
        event.record(self._metrics)
        self._log.log(LEVELS[event.level], event.name, **event.as_fields())
