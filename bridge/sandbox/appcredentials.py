"""What an app may prove itself by, as the directory keeps it: secrets, certificates, federated credentials."""

from __future__ import annotations

import secrets
import time
import uuid
from dataclasses import dataclass
from typing import Final

TOKEN_EXCHANGE: Final = "api://AzureADTokenExchange"  # noqa: S105 - an audience
"""The audience that federated credentials have unless said otherwise."""

# What the portal offers at most.
_SECRET_LIVES_SECONDS: Final = 730 * 86_400


@dataclass(slots=True)
class Secret:
    """A client secret. The id is what the portal shows beside it, and what people paste by mistake."""

    secret_id: str
    value: str
    expired: bool = False
    """Whether it was made to expire before its time."""
    name: str = ""
    starts_at: float = 0.0
    expires_at: float | None = None
    """When it ends, in seconds since 1970; secrets of earlier versions of the sandbox have no end."""

    def has_expired(self, now: float) -> bool:
        """Return whether it is no longer taken."""
        return self.expired or (self.expires_at is not None and now >= self.expires_at)


@dataclass(frozen=True, slots=True)
class Certificate:
    """The public half of a key that may sign an app's assertions. Nothing of the file is kept but what is asked for."""

    key_id: str
    name: str
    """The subject, as `CN=…`."""
    thumbprint: str
    """SHA-1 of the certificate, in hexadecimal digits as the portal shows it."""
    thumbprint_sha256: str
    modulus: str
    """The key's modulus, and its exponent, in base64url as in a JSON Web Key."""
    exponent: str
    starts_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class Federated:
    """Whose tokens an app may show in place of a secret: all three must be those of the token, letter for letter."""

    federated_id: str
    name: str
    issuer: str
    subject: str
    audience: str = TOKEN_EXCHANGE


def new_secret(*, name: str = "", expires_at: float | None = None) -> Secret:
    """Return a secret of Entra's shape: forty characters with a `~` in the fourth place, for two years unless said."""
    text = secrets.token_urlsafe(48).replace("_", ".")
    now = time.time()
    ends = now + _SECRET_LIVES_SECONDS if expires_at is None else expires_at
    return Secret(str(uuid.uuid4()), f"{text[:3]}8Q~{text[3:37]}", name=name, starts_at=now, expires_at=ends)
