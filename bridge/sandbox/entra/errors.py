"""What Entra answers when it gives no token: one table of codes, one form of body."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")


@dataclass(frozen=True, slots=True)
class Meaning:
    """One AADSTS code: the OAuth error it comes with, the HTTP status and the sentence."""

    code: int
    error: str
    status: int
    text: str
    suberror: str = ""


# Status, error and wording as seen in answers of the real service that people published; docs/sandbox-guesses.md says
# where a line is an inference.
NOT_POST: Final = Meaning(
    900561, "invalid_request", 400, "The endpoint only accepts POST requests. Received a {method} request."
)
MISSING_PARAMETER: Final = Meaning(
    900144, "invalid_request", 400, "The request body must contain the following parameter: '{name}'."
)
REPEATED_PARAMETER: Final = Meaning(
    90014, "invalid_request", 400, "The required field '{name}' is missing from the credential or given more than once."
)
UNSUPPORTED_GRANT: Final = Meaning(
    70003, "unsupported_grant_type", 400, "The app requested an unsupported grant type '{grant}'."
)
NO_TENANT: Final = Meaning(
    50059,
    "invalid_request",
    400,
    "No tenant-identifying information found in either the request or implied by any provided credentials.",
)
MALFORMED_TENANT: Final = Meaning(
    900023,
    "invalid_request",
    400,
    "Specified tenant identifier '{tenant}' is neither a valid DNS name, nor a valid external domain.",
)
UNKNOWN_TENANT: Final = Meaning(
    90002,
    "invalid_request",
    400,
    "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct "
    "cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the "
    "tenant.",
)
UNKNOWN_APP: Final = Meaning(
    700016,
    "unauthorized_client",
    400,
    "Application with identifier '{client_id}' was not found in the directory '{tenant}'. This can happen if the "
    "application has not been installed by the administrator of the tenant or consented to by any user in the tenant. "
    "You may have sent your authentication request to the wrong tenant.",
)
DISABLED_APP: Final = Meaning(7000112, "unauthorized_client", 400, "Application '{client_id}'({name}) is disabled.")
ANOTHER_CLOUD: Final = Meaning(
    900382, "invalid_request", 400, "Confidential Client is not supported in Cross Cloud request."
)
WRONG_SECRET: Final = Meaning(
    7000215,
    "invalid_client",
    401,
    "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the "
    "client secret ID, for a secret added to app '{client_id}'.",
)
EXPIRED_SECRET: Final = Meaning(
    7000222,
    "invalid_client",
    401,
    "The provided client secret keys for app '{client_id}' are expired. Visit the Azure portal to create new keys for "
    "your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: "
    "https://aka.ms/certCreds.",
)
NO_CREDENTIAL: Final = Meaning(
    7000216,
    "invalid_client",
    401,
    "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
)
BAD_SCOPE: Final = Meaning(
    70011,
    "invalid_scope",
    400,
    "The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' "
    "is not valid. The scope {scope} is not valid.",
)
NOT_DEFAULT_SCOPE: Final = Meaning(
    1002012,
    "invalid_scope",
    400,
    "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default "
    "suffixed to the resource identifier (application ID URI).",
)
UNKNOWN_RESOURCE: Final = Meaning(
    500011,
    "invalid_resource",
    400,
    "The resource principal named {resource} was not found in the tenant named {tenant}. This can happen if the "
    "application has not been installed by the administrator of the tenant or consented to by any user in the tenant. "
    "You might have sent your authentication request to the wrong tenant.",
)
MISSING_PROOF: Final = Meaning(
    7000218,
    "invalid_client",
    401,
    "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
)
NOT_OVER_COMMON: Final = Meaning(
    9001023,
    "invalid_request",
    400,
    "The grant type is not supported over the /common or /consumers endpoints. Please use the /organizations or "
    "tenant-specific endpoint.",
)
UNKNOWN_USER: Final = Meaning(
    50034,
    "invalid_grant",
    400,
    "The user account {user} does not exist in the {tenant} directory. To sign into this application, the account must "
    "be added to the directory.",
)
WRONG_PASSWORD: Final = Meaning(
    50126, "invalid_grant", 400, "Error validating credentials due to invalid username or password."
)
DISABLED_USER: Final = Meaning(50057, "invalid_grant", 400, "The user account is disabled.")
NO_CONSENT: Final = Meaning(
    65001,
    "invalid_grant",
    400,
    "The user or administrator has not consented to use the application with ID '{client_id}' named '{name}'. Send an "
    "interactive authorization request for this user and resource.",
    "consent_required",
)
UNKNOWN_SCOPE: Final = Meaning(
    650053,
    "invalid_client",
    400,
    "The application asked for scope '{scope}' that doesn't exist on the resource '{resource}'. Contact the app "
    "vendor.",
)
MORE_THAN_ONE_RESOURCE: Final = Meaning(
    28000,
    "invalid_request",
    400,
    "Provided value for the input parameter scope is not valid because it contains more than one resource. Scope "
    "{scope} is not valid.",
)
MALFORMED_GRANT: Final = Meaning(
    9002313, "invalid_grant", 400, "Invalid request. Request is malformed or invalid.", "bad_token"
)
OLD_GRANT: Final = Meaning(
    700082,
    "invalid_grant",
    400,
    "The refresh token has expired due to inactivity. The token was issued on {issued} and was inactive for "
    "90.00:00:00.",
    "bad_token",
)
REVOKED_GRANT: Final = Meaning(
    50173,
    "invalid_grant",
    400,
    "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have changed "
    "or reset their password. The grant was issued on '{issued}'.",
    "bad_token",
)
TOO_MANY_REQUESTS: Final = Meaning(
    90055, "temporarily_unavailable", 429, "The server has terminated the request due to excessive request rate."
)
UNAVAILABLE: Final = Meaning(90033, "temporarily_unavailable", 503, "A transient error has occurred. Please try again.")


class EntraError(Exception):
    """A request that Entra refuses."""

    def __init__(self, meaning: Meaning, **details: str) -> None:
        """Refuse with a line of the table, its gaps filled from `details`."""
        super().__init__(meaning.error)
        self.meaning = meaning
        self._details = details

    def body(self, *, trace_id: str, correlation_id: str, login_url: str, now: float) -> dict[str, Any]:
        """Return the JSON body; `now` in seconds since the epoch."""
        stamp = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        code, text = self.meaning.code, self.meaning.text.format(**self._details)
        more = {"suberror": self.meaning.suberror} if self.meaning.suberror else {}
        return {
            "error": self.meaning.error,
            "error_description": (
                f"AADSTS{code}: {text} Trace ID: {trace_id} Correlation ID: {correlation_id} Timestamp: {stamp}"
            ),
            "error_codes": [code],
            "timestamp": stamp,
            "trace_id": trace_id,
            "correlation_id": correlation_id,
            "error_uri": f"{login_url}/error?code={code}",
            **more,
        }


def correlation_id(asked: str | None) -> str:
    """Return the id that the client gave in `client-request-id`, or a new one where that is no GUID."""
    return asked.lower() if asked and _GUID.match(asked) else str(uuid.uuid4())
