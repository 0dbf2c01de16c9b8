"""What proves to Entra who the app is."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.adapters.entra.certificate import Certificate

_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

Kind = Literal["client secret", "certificate", "federated token", "managed identity"]


@dataclass(frozen=True, slots=True)
class Credential:
    """One credential as it was read; two are the same if their fingerprints are."""

    kind: Kind
    fingerprint: str
    secret: str = field(default="", repr=False)
    certificate: Certificate | None = field(default=None, repr=False)
    read_token: Callable[[], str] | None = field(default=None, repr=False)
    """Gives the federated token as it is now."""
    identity: str | None = None
    """The client id of a user-assigned managed identity."""
    expires_at: float | None = None
    """When it ends, in seconds since the epoch; None where nobody said."""

    @property
    def looks_like_id(self) -> bool:
        """Whether a client secret has the form of a secret's id."""
        return _GUID.fullmatch(self.secret) is not None
