"""An exchangelib account on a sandbox. Nothing else of the sandbox imports exchangelib; it is the test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exchangelib import IMPERSONATION, Account, Build, Configuration, FailFast, Version
from exchangelib.credentials import OAuth2AuthorizationCodeCredentials
from exchangelib.protocol import BaseProtocol
from exchangelib.transport import OAUTH2
from requests.adapters import HTTPAdapter

if TYPE_CHECKING:
    from bridge.sandbox.testing.process import SandboxProcess

_TRUSTED: dict[str, str] = {}
"""The CA file by the beginning of the URLs that it is for."""


def account_of(sandbox: SandboxProcess, address: str) -> Account:
    """Return an account that opens a mailbox with a token of now; it lives as long as a token does, about an hour."""
    endpoint = str(sandbox.info["ews_url"])
    _TRUSTED[endpoint.removesuffix("EWS/Exchange.asmx")] = sandbox.ca_file
    _trust_sandboxes()
    token = {"access_token": sandbox.token(), "token_type": "Bearer", "expires_in": 3599}
    credentials = OAuth2AuthorizationCodeCredentials(client_id=sandbox.info["client_id"], access_token=token)
    configuration = Configuration(
        service_endpoint=endpoint,
        auth_type=OAUTH2,
        version=Version(Build(15, 20)),
        retry_policy=FailFast(),
        credentials=credentials,
    )
    return Account(address, config=configuration, autodiscover=False, access_type=IMPERSONATION)


def _trust_sandboxes() -> None:
    """
    Have exchangelib trust the CA of sandboxes for the URLs of sandboxes, and reach them past any proxy.

    The class of its adapters is a switch for the whole process: for all other URLs the one before goes on.
    """
    before = BaseProtocol.HTTP_ADAPTER_CLS
    if getattr(before, "knows_sandboxes", False):
        return

    class SandboxAdapter(before):  # type: ignore[misc, valid-type]  # whatever class is in force
        knows_sandboxes = True

        def send(self, request: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the class above
            if _ca_of(request.url) is not None:
                kwargs["proxies"] = {}
            return super().send(request, **kwargs)

        def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ANN401
            super().cert_verify(conn, url, _ca_of(url) or verify, cert)

    assert issubclass(before, HTTPAdapter)  # noqa: S101 - what both methods rest on
    BaseProtocol.HTTP_ADAPTER_CLS = SandboxAdapter


def _ca_of(url: str) -> str | None:
    return next((ca_file for beginning, ca_file in _TRUSTED.items() if url.startswith(beginning)), None)
