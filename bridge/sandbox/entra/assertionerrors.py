"""What Entra answers to an assertion that proves nothing: of a certificate's key, or of another issuer."""

from __future__ import annotations

from typing import Final

from bridge.sandbox.entra.errors import Meaning

_CERTIFICATE_PAGE: Final = "https://learn.microsoft.com/entra/identity-platform/certificate-credentials"
_FEDERATION_PAGE: Final = "https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
_WHERE_KEYS_ARE: Final = (
    "Please visit the Azure Portal, Graph Explorer or directly use MS Graph to see configured keys for app Id "
    "'{client_id}'. Review the documentation at https://docs.microsoft.com/en-us/graph/deployments to determine the "
    "corresponding service endpoint and "
    "https://docs.microsoft.com/en-us/graph/api/application-get?view=graph-rest-1.0&tabs=http to build a query request "
    "URL, such as 'https://graph.microsoft.com/beta/applications/{client_id}'"
)
_FEDERATED: Final = (
    "No matching federated identity record found for presented assertion {what} '{value}'. Check your federated "
    f"identity credential Subject, Audience and Issuer against the presented assertion. {_FEDERATION_PAGE}"
)


def _signature(text: str, reason: str, found: str = "") -> Meaning:
    return Meaning(700027, "invalid_client", 401, f"{text} [Reason - {reason}, {{used}}{found}{_WHERE_KEYS_ARE}].")


WRONG_TYPE: Final = Meaning(
    90023, "invalid_request", 400, "The client_assertion_type '{type}' is not supported. It must be '{wanted}'."
)
MALFORMED: Final = Meaning(50027, "invalid_request", 400, "JWT token is invalid or malformed.")
WRONG_HEADER_TYPE: Final = Meaning(
    5002727,
    "invalid_request",
    400,
    "Invalid JWT header type specified, must be 'JWT' or 'http://openid.net/specs/jwt/1.0'.",
)
WRONG_ALGORITHM: Final = Meaning(
    5002738,
    "invalid_request",
    400,
    "Invalid JWT token. '{algorithm}' is not a supported signature algorithm. Supported signing algorithms are: "
    "'{supported}'",
)
NO_THUMBPRINT: Final = Meaning(
    50027, "invalid_request", 400, "Invalid JWT token. No certificate thumbprint specified in token header."
)
ANOTHER_APP: Final = Meaning(
    700021,
    "invalid_client",
    401,
    "Client assertion application identifier doesn't match 'client_id' parameter. Review the documentation at "
    f"{_CERTIFICATE_PAGE} .",
)
WRONG_AUDIENCE: Final = Meaning(
    700023,
    "invalid_client",
    401,
    f"Client assertion audience claim does not match Realm issuer. Review the documentation at {_CERTIFICATE_PAGE} .",
)
OUTSIDE_TIMES: Final = Meaning(
    700024,
    "invalid_client",
    401,
    "Client assertion is not within its valid time range. Current time: {now}, assertion valid from {begins}, expiry "
    f"time of assertion {{ends}}. Review the documentation at {_CERTIFICATE_PAGE} .",
)
UNKNOWN_CERTIFICATE: Final = _signature(
    "The certificate with identifier used to sign the client assertion is not registered on application.",
    "The key was not found.",
)
EXPIRED_CERTIFICATE: Final = _signature(
    "The certificate with identifier used to sign the client assertion is expired on application.",
    "The key used is expired.",
    "Found key '{found}', ",
)
EARLY_CERTIFICATE: Final = Meaning(
    1000502, "invalid_client", 401, "The provided certificate is not within its specified validity period."
)
WRONG_SIGNATURE: Final = _signature(
    "Client assertion contains an invalid signature.",
    "The provided signature value did not match the expected signature value.",
    "Found key '{found}', ",
)
REPLAYED: Final = Meaning(
    7000281, "invalid_client", 401, "The client assertion has been used before. Each must have a 'jti' of its own."
)
NO_FEDERATION: Final = Meaning(
    70025,
    "invalid_client",
    401,
    "The client '{client_id}'({name}) has no configured federated identity credentials.",
)
UNKNOWN_ISSUER: Final = Meaning(700211, "invalid_client", 401, _FEDERATED.replace("{what}", "issuer"))
UNKNOWN_AUDIENCE: Final = Meaning(700212, "invalid_client", 401, _FEDERATED.replace("{what}", "audience"))
UNKNOWN_SUBJECT: Final = Meaning(700213, "invalid_client", 401, _FEDERATED.replace("{what}", "subject"))
ISSUER_UNREACHABLE: Final = Meaning(501661, "invalid_request", 400, "Request to External OIDC endpoint failed.")
UNKNOWN_FEDERATED_KEY: Final = Meaning(
    7000272,
    "invalid_client",
    401,
    "The certificate with identifier '{key}' used to sign the federated credential could not be found in the metadata "
    "of identity provider '{issuer}'.",
)
WRONG_FEDERATED_SIGNATURE: Final = Meaning(
    7000274,
    "invalid_client",
    401,
    "The certificate with identifier '{key}' of identity provider '{issuer}' was found, but use of the key to verify "
    "the signature of the federated credential failed.",
)
