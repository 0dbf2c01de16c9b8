"""The proxy that HTTP goes through from here: the environment's, read as the HTTP library reads it."""

from __future__ import annotations

from requests.utils import get_environ_proxies, select_proxy


def proxy_for(url: str) -> str | None:
    """Return the proxy (HTTPS_PROXY, ALL_PROXY) that requests to a URL go through; None where NO_PROXY excepts it."""
    proxy = select_proxy(url, get_environ_proxies(url, no_proxy=None))
    if not proxy:
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
