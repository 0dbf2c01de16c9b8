"""What Kubernetes' workload identity puts into the environment, for apps that have no other credential."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.config.given import Given

TOKEN_FILE = "AZURE_FEDERATED_TOKEN_FILE"  # noqa: S105 - a variable's name
CLIENT_ID, TENANT_ID, AUTHORITY = "AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_AUTHORITY_HOST"
_OTHER_FORMS = ("client_secret", "client_secret_file", "certificate_file", "managed_identity")
_CLOUDS = {
    "login.microsoftonline.com": "global",
    "login.microsoftonline.us": "gcc-high",
    "login.partner.microsoftonline.cn": "china",
    "login.chinacloudapi.cn": "china",
}


def fill_from_kubernetes(given: Given, environ: Mapping[str, str]) -> None:
    """
    Set what an app with a federated token, or with no credential at all, leaves open.

    Nothing is taken where the pod has no token: AZURE_CLIENT_ID and the like may be there for somebody else's sake.
    """
    ews = given.tree.get("ews")
    if isinstance(ews, dict) and str(ews.get("auth", "oauth")) != "oauth":
        return
    if environ.get(TOKEN_FILE, "").strip() and not isinstance(given.tree.get("entra"), dict):
        given.tree.setdefault("entra", {})
    entra = given.tree.get("entra")
    if not isinstance(entra, dict):
        return
    named = {name: table for name, table in entra.items() if isinstance(table, dict)}
    if set(entra) - set(named) or not named or _wanted_by_a_mailbox(given):
        _fill(given, ("entra",), entra, environ)
    for name, table in named.items():
        _fill(given, ("entra", name), table, environ)


def _wanted_by_a_mailbox(given: Given) -> bool:
    mailboxes = given.tree.get("mailboxes")
    return isinstance(mailboxes, list) and any(isinstance(one, dict) and not one.get("entra") for one in mailboxes)


def _fill(given: Given, at: tuple[str, ...], table: dict[str, Any], environ: Mapping[str, str]) -> None:
    if any(table.get(key) not in (None, "", False, "false") for key in _OTHER_FORMS):
        return
    if not table.get("federated_token_file") and not environ.get(TOKEN_FILE, "").strip():
        return
    for key, variable in (("federated_token_file", TOKEN_FILE), ("client_id", CLIENT_ID), ("tenant_id", TENANT_ID)):
        _set(given, (*at, key), table, environ.get(variable, ""), variable)
    host = environ.get(AUTHORITY, "").strip().rstrip("/")
    if not host or table.get("authority_url") or table.get("cloud"):
        return
    cloud = _CLOUDS.get(host.removeprefix("https://").lower())
    if cloud is None:
        _set(given, (*at, "authority_url"), table, host, AUTHORITY)
    else:
        _set(given, (*at, "cloud"), table, cloud, AUTHORITY)


def _set(given: Given, key: tuple[str, ...], table: dict[str, Any], value: str, variable: str) -> None:
    if value.strip() and not table.get(key[-1]):
        table[key[-1]] = value.strip()
        given.places[key] = variable
