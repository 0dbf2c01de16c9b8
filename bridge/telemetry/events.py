"""
What the bridge tells about itself: every event that is logged or counted derives from `Event`.

Nothing private is a field of an event: no subject, body, address, attachment name, token or secret.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from bridge.telemetry.metrics import Metrics


@dataclass(frozen=True)
class Event:
    """Something that happened. Named area.noun_participle."""

    name: ClassVar[str]
    level: ClassVar[Literal["debug", "info", "warning", "error"]] = "info"

    def record(self, metrics: Metrics) -> None:
        """Count it; most events have something to count."""

    def as_fields(self) -> dict[str, object]:
        """Return the fields for a log line."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


Emit = Callable[[Event], None]
