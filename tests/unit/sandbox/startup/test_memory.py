"""What a sandbox does not hold while it rests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bridge.sandbox import firsttime
from bridge.sandbox.certificatefiles import are_checked
from bridge.sandbox.certificates import ensure_certificates, expire_certificate, renew_certificate

if TYPE_CHECKING:
    from pathlib import Path

_LOADED = "import sys; {}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
_MAKES_CERTIFICATES = {"cryptography", "jwt", "_cffi_backend"}
_READS_COMMANDS = {"typer", "click", "rich", "pydantic", "structlog", "exchangelib", "pika"}
_OPERATIONS_LOADED = """
import sys
import bridge.sandbox.__main__

print(*(name for name in sys.modules if name.startswith("bridge.sandbox.ews.operations.")))
"""
_LOOKED_AT = """
import json, os, pathlib
import bridge.sandbox.__main__
from aiohttp import connector

print(json.dumps({
    "trusted": connector._SSL_CONTEXT_VERIFIED.cert_store_stats()["x509"],
    "libstdc++": "libstdc++" in pathlib.Path("/proc/self/maps").read_text(),
    "SSL_CERT_FILE": os.environ.get("SSL_CERT_FILE"),
    "frozenlist": os.environ.get("FROZENLIST_NO_EXTENSIONS"),
}))
"""


def _loaded(statements: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", _LOADED.format(statements)], check=True, capture_output=True)
    return set(done.stdout.decode().split())


def test_a_sandbox_is_loaded_without_what_makes_certificates_and_without_the_other_commands() -> None:
    loaded = _loaded("import bridge.sandbox.__main__")

    assert not loaded & (_MAKES_CERTIFICATES | _READS_COMMANDS)


def test_the_command_loads_no_more_than_the_sandbox() -> None:
    loaded = _loaded(
        "import atexit, bridge.cli, bridge.sandbox.__main__ as sandbox; sandbox.main = lambda argv: 0;"
        "sys.argv = ['bridge', 'sandbox', '--dir', 'x'];"
        "atexit.register(lambda: print(*sorted({name.split('.')[0] for name in sys.modules}))); bridge.cli.main()"
    )

    assert "asyncio" in loaded
    assert not loaded & (_MAKES_CERTIFICATES | _READS_COMMANDS)


def test_a_sandbox_is_loaded_without_authorities_to_trust_and_without_the_runtime_of_c_plus_plus() -> None:
    """Libraries would load them for uses that a sandbox does not have; the environment is as it was afterwards."""
    done = subprocess.run(
        [sys.executable, "-c", _LOOKED_AT], check=True, capture_output=True, env=os.environ | {"SSL_CERT_FILE": "/mine"}
    )

    assert json.loads(done.stdout) == {"trusted": 0, "libstdc++": False, "SSL_CERT_FILE": "/mine", "frozenlist": None}


def test_a_sandbox_is_loaded_without_operations_that_nobody_called() -> None:
    done = subprocess.run([sys.executable, "-c", _OPERATIONS_LOADED], check=True, capture_output=True)

    assert done.stdout.split() == []


def test_certificates_and_key_of_a_directory_are_made_once_by_a_process_of_their_own(tmp_path: Path) -> None:
    firsttime.prepare(tmp_path)

    certificates = firsttime.certificates_of(tmp_path)
    assert are_checked(certificates)
    made = {path: path.read_bytes() for path in (certificates / "server.pem", firsttime.signing_key_of(tmp_path))}
    firsttime.prepare(tmp_path)
    assert {path: path.read_bytes() for path in made} == made


@pytest.mark.parametrize("name", ["ca.pem", "ca.key", "server.pem", "server.key", "checked.json"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"null"])
def test_certificates_that_somebody_touched_are_looked_at_again(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    ensure_certificates(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)

    assert not are_checked(tmp_path)


def test_a_certificate_that_is_expired_on_purpose_stays_until_it_is_renewed(tmp_path: Path) -> None:
    ensure_certificates(tmp_path)
    expire_certificate(tmp_path)
    assert not are_checked(tmp_path)
    ensure_certificates(tmp_path)
    expired = (tmp_path / "server.pem").read_bytes()
    assert are_checked(tmp_path)

    renew_certificate(tmp_path)

    assert not are_checked(tmp_path)
    ensure_certificates(tmp_path)
    assert are_checked(tmp_path)
    assert (tmp_path / "server.pem").read_bytes() != expired
