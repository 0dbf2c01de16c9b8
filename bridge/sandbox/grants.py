"""What owners of mailboxes allow others: the whole mailbox, or a level of permission on a folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.sandbox.tenant import Tenant


@dataclass(frozen=True, slots=True)
class TenantGrants:
    """Reads the tenant at each call, so that a change counts at once."""

    tenant: Tenant

    def opens(self, account: str, address: str) -> bool:
        """Return whether the whole mailbox of `address` is open to `account`: its own, or one with full access."""
        owner = self.tenant.user(address)
        if owner is None:
            return False
        return account.lower() == owner.address.lower() or account.lower() in owner.full_access

    def level(self, account: str, address: str, folder: Sequence[str]) -> str:
        """Return the permission level of `account` on a folder, by whichever of its names it was given."""
        owner = self.tenant.user(address)
        if owner is None:
            return "None"
        of_folders = (owner.folder_permissions.get(name, {}) for name in folder)
        return next((levels[account.lower()] for levels in of_folders if account.lower() in levels), "None")

    def sends(self, account: str, address: str, *, on_behalf: bool) -> bool:
        """Return whether mail of `account` may say that it is from `address`; `on_behalf`, if it says by whom, too."""
        owner = self.tenant.user(address)
        if owner is None:
            return False
        allowed = owner.send_as + (owner.send_on_behalf if on_behalf else [])
        return account.lower() in allowed
