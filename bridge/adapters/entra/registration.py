"""
What Entra says of an app's own registration, where the app may read it: when its client secret ends.

Entra tells the ends of all secrets, never their values; which is which shows by the first three characters.
"""

from __future__ import annotations

import random
from datetime import datetime
from typing import TYPE_CHECKING, Final

from bridge.errors import BridgeError
from bridge.ports.elapsed import elapsed_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bridge.adapters.entra.app import EntraApp
    from bridge.adapters.entra.client import EntraClient
    from bridge.adapters.entra.credential import Credential

_FIRST_SECONDS: Final = 60.0
_ASKED_SECONDS: Final = 86_400.0
_HINT_LENGTH: Final = 3


class Registration:
    """Asks about a minute after the start, then once a day. Not for several threads at a time."""

    def __init__(
        self,
        app: EntraApp,
        client: EntraClient,
        *,
        elapsed: Callable[[], float] = elapsed_seconds,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._app, self._client = app, client
        self._elapsed, self._chance = elapsed, chance
        self._ask_at = elapsed() + _FIRST_SECONDS * (1 + chance())
        self._asked_for: frozenset[str] | None = None
        self._ends: dict[str, float] = {}

    def expiry_of(self, credential: Credential) -> float | None:
        """Return when a credential ends, as far as Entra has told it."""
        return self._ends.get(credential.fingerprint)

    def look(self, accepted: Credential, credentials: Sequence[Credential]) -> None:
        """
        Ask if it is time, signed in with a credential that Entra accepts; never raises what the other side answers.

        What is wanted is the ends of those secrets that have none configured.
        """
        wanted = [one for one in credentials if one.secret and one.expires_at is None]
        if self._app.graph_url is None or not wanted:
            return
        now = self._elapsed()
        names = frozenset(one.fingerprint for one in wanted)
        renewed = self._asked_for is not None and self._asked_for != names
        if now < self._ask_at and not renewed:
            return
        self._asked_for = names
        self._ask_at = now + _ASKED_SECONDS * (0.75 + 0.5 * self._chance())
        try:
            token = self._client.ask(accepted, self._app.graph_scope).token
            where = f"/v1.0/applications(appId='{self._app.client_id}')?$select=passwordCredentials"
            status, fields = self._client.get(f"{self._app.graph_url}{where}", token)
        except BridgeError:
            return  # the app may have no right to any of this; nothing depends on it
        if status == 200:
            self._ends = {one.fingerprint: end for one in wanted if (end := _end_of(one, fields)) is not None}


def _end_of(credential: Credential, fields: Mapping[str, object]) -> float | None:
    """Return the end of the secret that begins like this one; the nearest, where several do."""
    told = fields.get("passwordCredentials")
    ends = [
        end
        for one in (told if isinstance(told, list) else [])
        if isinstance(one, dict)
        and one.get("hint") == credential.secret[:_HINT_LENGTH]
        and (end := _time(one.get("endDateTime"))) is not None
    ]
    return min(ends, default=None)


def _time(text: object) -> float | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found.timestamp() if found.tzinfo is not None else None
