"""A host is reached in the examination with the certificates that calls to it trust."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.config.settings import ExchangeSettings
from bridge.doctor.examination import Examination
from bridge.doctor.hosts import reachable
from tests.support.certificates import TestAuthority


@asynccontextmanager
async def listening(certificate: Path) -> AsyncIterator[str]:
    """Yield the address of something that speaks TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_the_environment_and_the_system_trust_no_authority_for_calls_over_http(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They verify by the HTTP library's bundle; whatever else were tried here would promise too much or too little."""
    authority = TestAuthority(tmp_path)
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(authority.file))
    examination = Examination(ExchangeSettings.model_construct())

    async with listening(authority.issue("server")) as host:
        alone = await reachable(examination, "ews", f"https://{host}/EWS/Exchange.asmx", None)
        with_file = await reachable(examination, "ews", f"https://{host}/EWS/Exchange.asmx", authority.file)

    assert (alone.state, alone.code) == ("failed", "tls_untrusted")
    assert (with_file.state, with_file.code) == ("ok", "ok")
