"""What a worker tells of mailboxes that another connection keeps from it; each once, when it changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bridge.telemetry.events import Event


@dataclass(frozen=True)
class NobodyWorks(Event):
    """The lease of a mailbox is held, and nobody works on it."""

    name = "standby.nobody_works"
    level = "warning"

    mailbox: str
    direction: Literal["ingest", "egress"]
    detail: str
    code: str = "nobody_works"


@dataclass(frozen=True)
class HolderUnknown(Event):
    """The lease of a mailbox is held by a connection that announces nothing; its work seems to be done."""

    name = "standby.holder_unknown"
    level = "warning"

    mailbox: str
    direction: Literal["ingest", "egress"]
    detail: str
    code: str = "holder_unknown"


@dataclass(frozen=True)
class SomebodyWorks(Event):
    """A worker is heard again to work on a mailbox of which that was in doubt."""

    name = "standby.somebody_works"

    mailbox: str
    direction: Literal["ingest", "egress"]
