"""Who may use EWS at all: the switches of the organisation and of a mailbox, the app list, the user agent lists."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bridge.sandbox.ews.behaviour.book import BehaviourSettings
    from bridge.sandbox.ews.hooks import Caller

HEADER: Final = "X-EWS-Policy-Reason"
DISABLED: Final = "EWS is disabled for this user or tenant"
BLOCKED: Final = "EWS is blocked by policy for this user or tenant"


def refusal(book: BehaviourSettings, *, app_id: str | None, user_agent: str, mailbox: str | None = None) -> str | None:
    """
    Return why a request gets HTTP 403, as `X-EWS-Policy-Reason` says it; None if it may pass.

    All must allow it: organisation, mailbox, app list (for apps), user agent policy. An app list that is empty allows
    no app. The two lists are not told apart (learn.microsoft.com, "control access to EWS").
    """
    if not book.of_all("ews_enabled") or (mailbox is not None and not book.of("ews_enabled", mailbox)):
        return DISABLED
    apps = book.of_all("allowed_app_ids")
    if apps is not None and app_id is not None and app_id.lower() not in {app.lower() for app in apps}:
        return BLOCKED
    policy = book.of_all("user_agent_policy")
    listed = any(fnmatchcase(user_agent.lower(), pattern.lower()) for pattern in book.of_all("user_agents"))
    if (policy == "EnforceAllowList" and not listed) or (policy == "EnforceBlockList" and listed):
        return BLOCKED
    return None


TOO_MANY_CONNECTIONS: Final = (
    "You have exceeded the available concurrent connections for your account.  Try again once your other requests have "
    "completed."
)


SERVER_BUSY: Final = "The server cannot service this request right now. Try again later."


def over_connections(limit: int | None) -> dict[str, str]:
    """Return what the MessageXml of ErrorExceededConnectionCount says."""
    return {
        "Policy": "MaxConcurrency",
        "MaxConcurrencyLimit": str(limit),
        "ErrorMessage": f"This operation exceeds the throttling budget for policy part 'MaxConcurrency', policy value "
        f"'{limit}',  Budget type: 'Ews'.  Suggested backoff time 0 ms.",
    }


def app_id_of(caller: Caller) -> str | None:
    """Return the client id of a caller that is an app, None for a user."""
    client_id = getattr(getattr(caller, "app", None), "client_id", None)
    return None if client_id is None else str(client_id)


def budget_of(caller: Caller, mailbox: str | None) -> tuple[str, str]:
    """Return what a call is charged to: with impersonation each mailbox has a budget of its own for each app."""
    return app_id_of(caller) or (caller.mailbox or "").lower(), (mailbox or "").lower()
