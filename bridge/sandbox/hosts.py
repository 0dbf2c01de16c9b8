"""
The names under which Microsoft's clouds are reached, and paths of what stands beside Entra here.

Who comes to the sandbox by one of the names is answered by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LOGIN: Final[Mapping[str, str]] = {
    "login.microsoftonline.com": "global",
    "login.microsoftonline.us": "us",
    "login.partner.microsoftonline.cn": "china",
}
"""Where apps sign in, and the directory that answers there: one serves both clouds of the US government."""

GRAPH: Final[Mapping[str, str]] = {
    "graph.microsoft.com": "global",
    "graph.microsoft.us": "us",
    "dod-graph.microsoft.us": "us",
    "microsoftgraph.chinacloudapi.cn": "china",
}

EXCHANGE: Final[Mapping[str, str]] = {
    "outlook.office365.com": "global",
    "outlook.office.com": "global",
    "outlook.com": "global",
    "ps.outlook.com": "global",
    "outlook.office365.us": "us",
    "outlook-dod.office365.us": "us",
    "webmail.apps.mil": "us",
    "partner.outlook.cn": "china",
}

CLOUDS: Final = ("global", "us", "china")

ALL: Final = tuple(sorted({*LOGIN, *GRAPH, *EXCHANGE}))
"""What the servers' certificate is for, beside loopback: a proxy may bring a client here under these names."""

WORKLOAD_PATH: Final = "/kubernetes"
"""Where the cluster's issuer is, on Entra's port."""

MACHINE_PATH: Final = "/metadata/identity/oauth2/token"
SERVICE_PATH: Final = "/msi/token"
"""Where managed identities' tokens are, on the metadata port: as on a virtual machine, and as on App Service."""
