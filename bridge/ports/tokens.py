"""Access tokens for Exchange."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A bearer token and when it ends, by the clock of `elapsed_seconds`. Its text never appears in a repr."""

    value: str = field(repr=False)
    ends_at: float


class TokenSource(Protocol):
    """Gives the current token; safe to call from many threads, asks Entra once however many wait."""

    def token(self) -> AccessToken:
        """
        Return a token that is still usable; blocks while one is fetched, never longer than the token timeout.

        Raises:
            TokenUnavailable: Entra does not answer, and no usable token is left.
            CredentialsRejected: Entra refuses the credentials, and no usable token is left.
        """

    def reject(self, token: AccessToken) -> None:
        """Tell that Exchange refused this token; the next `token` asks Entra for another, at most once for each."""
