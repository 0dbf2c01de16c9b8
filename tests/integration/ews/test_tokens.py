"""A token that Exchange takes no more is renewed within the call; one that it never takes is the operator's."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.entra.app import EntraApp
from bridge.adapters.entra.credentials import SecretSource
from bridge.adapters.entra.sign_in import SignIn
from bridge.adapters.ews.client import EwsClient, EwsConnection
from bridge.adapters.ews.inbox import EwsInbox
from bridge.errors import BridgeError, CredentialsRejected
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ADDRESS = "dispatch@example.org"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path / "sandbox", mailboxes=[_ADDRESS]) as process:
        yield process


@contextlib.contextmanager
def _client(sandbox: SandboxProcess) -> Iterator[EwsClient]:
    info = sandbox.info
    authority = f"{info['authority_url']}"
    app = EntraApp(authority, info["client_id"], "https://outlook.office365.com/.default", ca_file=info["ca_file"])
    tokens = SignIn("default", app, [SecretSource(str(info["client_secret"]), None)]).tokens()
    connection = EwsConnection(info["ews_url"], ca_file=info["ca_file"], connections=4)
    with contextlib.closing(EwsClient(connection, tokens=tokens)) as client:
        yield client


async def test_calls_go_on_when_their_token_is_revoked(sandbox: SandboxProcess) -> None:
    """Four at once, five times over: none fails, and Entra is asked for about one token each time."""
    with _client(sandbox) as client:
        inbox = EwsInbox(client, _ADDRESS)
        for _ in range(5):
            assert await asyncio.gather(*(inbox.count("inbox") for _ in range(4))) == [0] * 4
            await asyncio.to_thread(sandbox.admin, "/expire", method="POST", body={"what": "tokens"})
        assert await inbox.count("inbox") == 0

    assert sandbox.calls()["token"]["count"] <= 10


async def test_an_app_that_exchange_never_takes_is_told_and_not_stormed(sandbox: SandboxProcess) -> None:
    sandbox.admin(f"/apps/{sandbox.info['client_id']}", method="PUT", body={"roles": []})
    with _client(sandbox) as client, pytest.raises(BridgeError) as refused:
        await EwsInbox(client, _ADDRESS).count("inbox")

    assert isinstance(refused.value, CredentialsRejected) or refused.value.code == "mailbox_access_denied"
    assert sandbox.calls()["token"]["count"] <= 2
