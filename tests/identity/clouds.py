"""The real names of Microsoft's clouds, and how they lead to a sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.identity.place import Place, Table

HOSTS = {
    "global": ("login.microsoftonline.com", "outlook.office365.com", "graph.microsoft.com"),
    "gcc-high": ("login.microsoftonline.us", "outlook.office365.us", "graph.microsoft.us"),
    "dod": ("login.microsoftonline.us", "outlook-dod.office365.us", "dod-graph.microsoft.us"),
    "china": ("login.partner.microsoftonline.cn", "partner.outlook.cn", "microsoftgraph.chinacloudapi.cn"),
}
"""Where one signs in, where EWS is, where Graph is."""


def ports_of(place: Place, cloud: str) -> dict[str, int]:
    """Return the ports of the sandbox that the hosts of a cloud lead to."""
    urls = (place.sandbox.info[key] for key in ("authority_url", "ews_url", "graph_url"))
    return {host: int(urlsplit(url).port or 0) for host, url in zip(HOSTS[cloud], urls, strict=True)}


def cloud_of(place: Place, cloud: str, app: Mapping[str, Any]) -> Table:
    """Return the section `[entra]` for an app in a cloud: the administrator's settings and the cloud's name alone."""
    return {
        "tenant_id": place.sandbox.info["tenant_id"],
        "client_id": app["client_id"],
        "client_secret": app["client_secret"],
        "cloud": cloud,
        "ca_file": place.sandbox.ca_file,
    }
