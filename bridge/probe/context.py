"""What a step is handed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml import etree

    from bridge.probe.fixture import ProbeFixture
    from bridge.probe.token_endpoint import TokenEndpoint
    from bridge.probe.wire import Answer, Wire


@dataclass(frozen=True)
class ProbeContext:
    """One run on one mailbox."""

    wire: Wire
    ground: ProbeFixture
    entra: TokenEndpoint | None
    """None where names and passwords sign in."""
    thorough: bool = False
    shared: dict[str, object] = field(default_factory=dict)
    """What one step found and another asks for as well."""

    def ok(self, body: etree._Element) -> Answer:
        """Return the answer to a call that has to work; raises `NotCheckable` as `ProbeFixture.ok`."""
        return self.ground.ok(body)

    def call(self, body: etree._Element) -> Answer:
        """Return the answer to a call."""
        return self.wire.call(body)

    def code(self, body: etree._Element) -> str:
        """Return the first response code of a call."""
        return self.wire.call(body).code

    def token_endpoint(self) -> TokenEndpoint:
        """Return Entra; only steps that need it ask."""
        assert self.entra is not None  # noqa: S101 - such steps are left out without it
        return self.entra
