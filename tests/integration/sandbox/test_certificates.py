"""The certificates that the sandbox's HTTPS ports show: they expire, are renewed, and their authority changes."""

from __future__ import annotations

import ssl
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support.raw_client import RawClient
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PORTS = ("ews_url", "authority_url")


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path / "sandbox") as running:
        yield running


def _connect(sandbox: SandboxProcess, *, ca: str | None = None) -> None:
    """Make a connection to each HTTPS port; `ca` is what a client knew of ca.pem when it started."""
    for port in _PORTS:
        url = urlsplit(sandbox.info[port])
        raw = RawClient(str(url.hostname), int(url.port or 0), sandbox.info["ca_file"])
        context = ssl.create_default_context(cadata=ca) if ca else None
        plain = raw.connect()
        with closing(plain):
            raw.secured(plain, context)


def _known(sandbox: SandboxProcess) -> str:
    return (sandbox.directory / "certificates" / "ca.pem").read_text()


def test_an_expired_certificate_is_shown_also_after_a_kill_until_a_fresh_one_is_issued(sandbox: SandboxProcess) -> None:
    ca = _known(sandbox)
    sandbox.admin("/expire", method="POST", body={"what": "certificate"})
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate has expired"):
        _connect(sandbox)
    sandbox.restart()
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate has expired"):
        _connect(sandbox)

    sandbox.admin("/issue", method="POST", body={"what": "certificate"})

    _connect(sandbox, ca=ca)
    sandbox.restart()
    _connect(sandbox, ca=ca)


def test_an_authority_changes_without_an_outage_for_clients_that_read_ca_pem_in_time(sandbox: SandboxProcess) -> None:
    old = _known(sandbox)
    sandbox.admin("/issue", method="POST", body={"what": "ca"})
    both = _known(sandbox)
    _connect(sandbox, ca=old)
    _connect(sandbox, ca=both)

    sandbox.admin("/issue", method="POST", body={"what": "certificate"})
    _connect(sandbox, ca=both)
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer certificate"):
        _connect(sandbox, ca=old)

    sandbox.admin("/expire", method="POST", body={"what": "ca"})
    new = _known(sandbox)
    sandbox.restart()
    _connect(sandbox, ca=new)
    assert new in both
    assert new not in old


def test_a_start_finishes_a_change_of_authority_that_a_crash_broke_off(sandbox: SandboxProcess) -> None:
    """The key and the certificate of the new one are in ca.key first; ca.pem follows."""
    old = _known(sandbox)
    sandbox.admin("/issue", method="POST", body={"what": "ca"})
    both = _known(sandbox)
    sandbox.kill()
    (sandbox.directory / "certificates" / "ca.pem").write_text(old)

    sandbox.start()

    assert _known(sandbox) == both
