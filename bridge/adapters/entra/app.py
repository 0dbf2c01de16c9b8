"""Which app asks Entra, and where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EntraApp:
    """Which app asks, and where."""

    authority_url: str
    """With the tenant as its path: https://login.microsoftonline.com/TENANT"""
    client_id: str
    scope: str
    ca_file: str | None = None
    timeout_seconds: float = 15.0
    graph_url: str | None = None
    """Where the app looks for its own registration; None: nowhere."""
    graph_scope: str = "https://graph.microsoft.com/.default"
