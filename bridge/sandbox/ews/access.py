"""In which mailbox a call acts: impersonation and the anchor mailbox, and what Exchange says when they are wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.ews.errors import FaultError

if TYPE_CHECKING:
    from bridge.sandbox.ews.hooks import Caller
    from bridge.sandbox.store import Mailbox, Store


def mailbox_of_call(
    store: Store, caller: Caller, impersonated: tuple[str, str] | None, anchor: str | None
) -> Mailbox | None:
    """
    Return the mailbox that a call acts in; None for an account without one that impersonates nobody.

    Raises:
        FaultError: An application impersonates nobody or names no anchor mailbox
            (ErrorInvalidExchangeImpersonationHeaderData), the one impersonated does not exist
            (ErrorNonExistentMailbox), or may not be impersonated (ErrorImpersonateUserDenied).
    """
    if impersonated is None:
        if caller.must_impersonate:
            raise FaultError("ErrorInvalidExchangeImpersonationHeaderData")
        return store.find_mailbox(address=caller.mailbox) if caller.mailbox else None
    if caller.must_impersonate and not (anchor or "").strip():
        # Microsoft's instructions want the header of every app-only call; the wording of the refusal is a guess.
        raise FaultError(
            "ErrorInvalidExchangeImpersonationHeaderData",
            "X-AnchorMailbox HTTP header must be present for this type of OAuth token.",
        )
    mailbox = _find(store, *impersonated)
    if mailbox is None:
        raise FaultError("ErrorNonExistentMailbox")
    own = caller.mailbox is not None and caller.mailbox.lower() == mailbox.address.lower()
    if not own and not caller.may_impersonate(mailbox.address):
        raise FaultError("ErrorImpersonateUserDenied")
    return mailbox


def _find(store: Store, kind: str, text: str) -> Mailbox | None:
    if kind == "SID":
        return store.find_mailbox(sid=text)
    found = store.find_mailbox(address=text)
    if found is None and kind == "PrincipalName":
        found = store.find_mailbox(username=text)
    return found
