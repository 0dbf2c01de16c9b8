"""By what an app proved who it is: what tokens and the record of them say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Proof:
    """A kind of proof, and the token's `appidacr`: how strongly the app was authenticated."""

    name: str
    context_class: str


NO_PROOF: Final = Proof("none", "0")
BY_SECRET: Final = Proof("secret", "1")
BY_CERTIFICATE: Final = Proof("certificate", "2")
BY_FEDERATION: Final = Proof("federated", "2")
BY_MACHINE: Final = Proof("managed_identity", "2")
