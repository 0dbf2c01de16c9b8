"""Which tokens were issued to whom: never the tokens themselves."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bridge.sandbox.tenant import App, Tenant

_KEPT: Final = 1000


@dataclass(frozen=True, slots=True)
class IssuedRecord:
    """One token; times are in seconds since the epoch, `proof` is what the app proved itself by."""

    number: int
    client_id: str
    app: str
    audience: str
    roles: tuple[str, ...]
    proof: str
    at: float
    expires_at: float
    generation: int
    user: str = ""
    """Whom the app got it for; empty for one of its own."""
    scopes: tuple[str, ...] = ()

    def state(self, *, now: float, generation: int) -> str:
        """Return `expired`, `revoked` for one that was made to expire before its time, or `valid`."""
        if now >= self.expires_at:
            return "expired"
        return "valid" if self.generation >= generation else "revoked"


class IssuedTokens:
    """The last 1,000 tokens since the sandbox started. For the event loop's thread alone."""

    def __init__(self) -> None:
        """Begin with none."""
        self._records: deque[IssuedRecord] = deque(maxlen=_KEPT)
        self._numbers = count(1)

    def add(
        self,
        tenant: Tenant,
        app: App,
        *,
        audience: str,
        proof: str,
        roles: tuple[str, ...] = (),
        now: float,
        expires_in: int,
        user: str = "",
        scopes: tuple[str, ...] = (),
    ) -> None:
        """Record a token that was just issued; with a `user` it is for a user, and carries `scopes`, no `roles`."""
        self._records.append(
            IssuedRecord(
                next(self._numbers),
                app.client_id,
                app.name,
                audience,
                roles,
                proof,
                now,
                now + expires_in,
                tenant.token_generation,
                user,
                scopes,
            )
        )

    def recent(self) -> list[IssuedRecord]:
        """Return the tokens, the latest first."""
        return list(reversed(self._records))

    def latest(self) -> int:
        """Return the number of the latest token, 0 for none."""
        return self._records[-1].number if self._records else 0
