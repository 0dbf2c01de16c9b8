"""The EWS adapter's client, and a mailbox for it to work in, where tokens are no matter of the test."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from bridge.adapters.ews.client import EwsClient, EwsConnection
from bridge.ports.tokens import AccessToken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.sandbox import SandboxProcess


class OneToken:
    """A token that was had while nothing was wrong."""

    def __init__(self, text: str) -> None:
        self._token = AccessToken(text, time.time() + 3600)

    def token(self) -> AccessToken:
        return self._token

    def reject(self, token: AccessToken) -> None:
        raise AssertionError("Exchange took this token a moment ago")


@contextlib.contextmanager
def ews_client(sandbox: SandboxProcess, *, token: str | None = None, **options: Any) -> Iterator[EwsClient]:
    """Yield a client of a sandbox with these options of `EwsConnection`, and with a token that is there already."""
    connection = EwsConnection(sandbox.info["ews_url"], ca_file=sandbox.info["ca_file"], **options)
    with contextlib.closing(EwsClient(connection, tokens=OneToken(token or sandbox.token()))) as client:
        yield client
