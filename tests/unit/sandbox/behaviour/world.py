"""A store with its mail flow, by a clock that the test moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.sandbox.ews.behaviour import BehaviourSettings, ServerBehaviour
from bridge.sandbox.mailflow import MailFlow
from bridge.sandbox.tenant import new_tenant

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.sandbox.store import Store

DISPATCH, CREW = "dispatch@example.org", "crew@example.org"


@dataclass
class World:
    """What outlives a process is in the store, and with a path in the book of settings."""

    store: Store
    path: Path | None = None
    now: float = 1_800_000_000.0

    def __post_init__(self) -> None:
        """Begin with the settings that are kept."""
        self.book = BehaviourSettings(None if self.path is None else self.path / "behaviour.json")
        self.open()

    def open(self) -> None:
        """Begin as a process does that finds the store of an earlier one."""
        self.behaviour = ServerBehaviour(self.book, self.store, now=lambda: self.now)
        tenant = new_tenant()
        tenant.add_users([DISPATCH, CREW])
        self.flow = MailFlow(self.store, tenant, server="sandbox.localhost", behaviour=self.behaviour)
