"""
Which credential is shown to Entra: the one that is proved, and what stands beside it.

There are two places: the first, and its successor (`client_secret_next_file` and the like). What is new in either is
tried by a request of its own, off the mail path; only what Entra takes replaces anything. A credential that Entra
refuses is kept beside the others, for Entra refuses also what it does not know yet.

Only for who holds the lock of `SignIn`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from bridge.domain.disposition import RetryPolicy
from bridge.errors import BridgeError, CredentialsRejected, TokenUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.adapters.entra.credential import Credential
    from bridge.adapters.entra.credentials import CredentialSource

_WAITS: Final = RetryPolicy(first_seconds=5.0, longest_seconds=300.0, spread_factors=(1.0, 1.0))
_MISSED_LOOKS: Final = 10
"""So often in a row a file may be missing: it is being replaced. Then it is told."""

Name = Literal["first", "next"]
NAMES: Final[tuple[Name, Name]] = ("first", "next")
_UNREADABLE: Final = {"client secret": "secret_unreadable", "certificate": "certificate_unusable"}


@dataclass(slots=True)
class StoredCredential:
    """One place for a credential, and what is known of what is in it."""

    name: Name
    source: CredentialSource
    loaded: Credential | None = None
    accepted: bool | None = None
    """Whether Entra took `loaded`; None while it was not tried."""
    trouble: BridgeError | None = None
    """Why what is in the place now cannot be used; the last refusal, or what is wrong with the file."""
    try_at: float | None = None
    """When to try `loaded`; None where there is nothing to try."""
    tries: int = 0
    missed: int = 0
    """For how many looks in a row the file has been missing or empty."""
    raw: bytes | None = field(default=None, repr=False)
    """What `loaded` or `trouble` was made of."""
    seen: bytes | None = field(default=None, repr=False)
    """What the last look saw."""

    def look(self, now: float) -> bool:
        """Read the place if it has changed and has settled; return whether there is something new."""
        try:
            raw = self.source.raw()
        except TokenUnavailable:
            return False  # the file may be as good as ever
        # A file that is written in pieces is another at each look; half a secret would be refused, and told.
        settled, self.seen = raw == self.seen, raw
        if raw is None:
            self._missed()
            return False
        if self.missed > _MISSED_LOOKS and raw == self.raw:
            self.trouble = None
        self.missed = 0
        if raw == self.raw or not settled:
            return False
        self.read()
        self.try_at, self.tries = now, 0
        return self.loaded is not None

    def read(self) -> None:
        """Take what is in the place."""
        try:
            self.raw = self.seen = self.source.raw()
            found = self.source.load()
        except BridgeError as error:
            self.trouble = error
            return
        self.trouble = None
        if found is not None and not self.holds(found):
            self.loaded, self.accepted = found, None

    def holds(self, credential: Credential) -> bool:
        """Return whether this is the credential in the place."""
        return self.loaded is not None and self.loaded.fingerprint == credential.fingerprint

    def wait(self, now: float) -> None:
        """Have the credential tried again later, ever more rarely."""
        self.tries += 1
        self.try_at = now + _WAITS.wait_seconds(self.tries)

    def _missed(self) -> None:
        self.missed += 1
        if self.missed != _MISSED_LOOKS + 1:
            return
        if self.name == "first":
            self.trouble = missing(self.source)
        else:  # taken away again, which is how a successor ends
            self.loaded = self.accepted = self.trouble = self.try_at = self.raw = None


class CredentialStore:
    """The places of one app."""

    def __init__(self, sources: Sequence[CredentialSource]) -> None:
        self.all = [StoredCredential(name, source) for name, source in zip(NAMES, sources, strict=False)]
        for slot in self.all:
            slot.read()
            if slot.name == "next" and slot.loaded is not None:
                slot.try_at = float("-inf")  # before it is needed
        self.active: Credential | None = None
        self._active_slot = self.all[0]
        self.refused: BridgeError | None = None
        """Why Entra refused the active one; None where it did not."""

    def go_on_with(self, before: CredentialStore, now: float) -> None:
        """Use what was proved before, until what these places hold is."""
        self.active, self.refused = before.active, before.refused
        for slot in self.all:
            slot.try_at = now

    def order(self) -> list[tuple[StoredCredential, Credential]]:
        """
        Return what can be shown, in the order to try: what is proved before what may be better.

        Raises:
            BridgeError: There is nothing to show.
        """
        if self.active is None:
            for slot in self.all:
                if slot.source.raw() != slot.raw:
                    slot.read()
        found = [(self._active_slot, self.active)] if self.active is not None else []
        active = self.active
        found += [(s, s.loaded) for s in self.all if s.loaded is not None and not (active and s.holds(active))]
        if found:
            return found
        raise self.all[0].trouble or missing(self.all[0].source)

    def to_try(self, now: float) -> list[tuple[StoredCredential, Credential]]:
        """Return what is new, or was refused a while ago, and waits to be tried."""
        found = []
        for slot in self.all:
            if slot.loaded is None or slot.try_at is None or now < slot.try_at:
                continue
            if self.active is not None and slot.holds(self.active):
                # It is in use already: put back after a mistake, or moved here from the other place.
                slot.try_at, slot.accepted = None, self.refused is None
                if slot.name == "first" or not self._active_slot.holds(self.active):
                    self._active_slot = slot
            else:
                found.append((slot, slot.loaded))
        return found

    def took(self, slot: StoredCredential, credential: Credential, now: float) -> bool:
        """Note that Entra took a credential; return whether that is news."""
        news = False
        if slot.holds(credential):
            news = slot.accepted is not True
            slot.accepted, slot.trouble, slot.try_at, slot.tries = True, None, None, 0
        if self.active is not None and self.active.fingerprint == credential.fingerprint:
            self.refused = None
            return news
        # The successor waits until it is needed; what is new in the first place is what is wanted.
        if self.active is None or self.refused is not None or slot.name == "first":
            if self.active is not None and self.refused is not None and self._active_slot.holds(self.active):
                self._active_slot.wait(now)
            self.active, self._active_slot, self.refused = credential, slot, None
            return True
        return news

    def refuse(self, slot: StoredCredential, credential: Credential, error: BridgeError, now: float) -> bool:
        """Note that Entra refused a credential; return whether that is news."""
        news = False
        if slot.holds(credential):
            news = slot.accepted is not False or slot.trouble is None or slot.trouble.code != error.code
            slot.accepted, slot.trouble = False, error
        if self.active is not None and self.active.fingerprint == credential.fingerprint:
            news = news or self.refused is None
            self.refused = error
        else:
            slot.wait(now)
        return news

    def warning(self) -> tuple[BridgeError, str] | None:
        """Return what a person should know though tokens still come, and of which credential; None if nothing."""
        if self.refused is not None:
            return self.refused, "the credential in use"
        for slot in self.all:
            if slot.trouble is not None:
                return slot.trouble, self._which(slot)
        return None

    def _which(self, slot: StoredCredential) -> str:
        if slot.name == "next":
            return "the next credential cannot take over"
        if self._active_slot is slot:
            return "what is new in the file is not used, the credential before it goes on"
        return "the first credential is not used, the next one is"


def missing(source: CredentialSource) -> BridgeError:
    """Return what it means that there is no credential where one should be."""
    code = _UNREADABLE.get(source.kind, "credentials_rejected")
    return CredentialsRejected(f"the file of the {source.kind} is missing or empty", code=code)
