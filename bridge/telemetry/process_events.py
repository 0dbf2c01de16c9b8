"""What is told of work that a bug ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.telemetry.events import Event

if TYPE_CHECKING:
    from bridge.telemetry.metrics import Metrics


@dataclass(frozen=True)
class WorkEnded(Event):
    """A bug ended the work of one part; that of the others goes on. It is begun again after `wait_seconds`."""

    name = "process.work_ended"
    level = "error"

    part: str
    code: str
    error: str
    """The kinds of the exception and its causes, without their texts, which may quote a mail."""
    where: str
    """The lines of the bridge's own code, innermost first."""
    wait_seconds: float

    def record(self, metrics: Metrics) -> None:
        """Count it by part."""
        metrics.work_ended.labels(self.part).inc()


@dataclass(frozen=True)
class WorkResumed(Event):
    """The work of a part that a bug ended is begun again."""

    name = "process.work_resumed"

    part: str
