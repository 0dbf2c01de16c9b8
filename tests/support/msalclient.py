"""MSAL as it is, set up against a sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msal
import requests

if TYPE_CHECKING:
    from tests.support.sandbox import SandboxProcess

SCOPES = ["https://outlook.office365.com/.default"]


class MsalHttp:
    """What MSAL wants of an HTTP client; the CA is the sandbox's, whatever the environment says."""

    def __init__(self, ca_file: str, timeout: float, *, proxy: str | None = None) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = ca_file
        self._timeout = timeout
        if proxy is not None:
            self._session.proxies = {"https": proxy}

    def get(self, url: str, **options: Any) -> requests.Response:
        """Ask as `requests` does, but not for ever."""
        return self._session.get(url, timeout=self._timeout, **options)

    def post(self, url: str, **options: Any) -> requests.Response:
        """Post as `requests` does, but do not wait for ever."""
        return self._session.post(url, timeout=self._timeout, **options)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


def msal_app(sandbox: SandboxProcess, *, timeout: float = 10, **changes: Any) -> msal.ConfidentialClientApplication:
    """Return MSAL's side of the app of sandbox.json, but for what is changed."""
    info = sandbox.info
    options: dict[str, Any] = {
        "client_id": info["client_id"],
        "client_credential": info["client_secret"],
        "authority": info["authority_url"],
        "instance_discovery": False,
        "http_client": MsalHttp(info["ca_file"], timeout),
        **changes,
    }
    return msal.ConfidentialClientApplication(**options)
