"""
Where the certificates of a sandbox lie, what a server loads of them, and whether somebody has looked at them before.

Apart from the module that makes them: the library for that takes as much memory as the whole store.
"""

from __future__ import annotations

import hashlib
import json
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from bridge.sandbox.files import write_atomically
from bridge.sandbox.hosts import ALL as CLOUD_HOSTS

if TYPE_CHECKING:
    from pathlib import Path

CA_KEY: Final = "ca.key"
EXPIRED: Final = "expired"
_CHECKED: Final = "checked.json"


@dataclass(frozen=True, slots=True)
class ServerCertificates:
    """Where the PEM files lie: the CA that clients are given, and the chain and key that servers load."""

    ca_file: Path
    chain_file: Path
    key_file: Path

    def server_context(self) -> ssl.SSLContext:
        """Return what an HTTPS server of the sandbox listens with."""
        return server_context(self.chain_file, self.key_file)


def certificate_files(directory: Path) -> ServerCertificates:
    """Return where the files of a directory lie, there or not."""
    return ServerCertificates(directory / "ca.pem", directory / "server.pem", directory / "server.key")


def server_context(chain_file: Path, key_file: Path) -> ssl.SSLContext:
    """Return what an HTTPS server listens with, to show a chain."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(chain_file, key_file)
    return context


def note_checked(directory: Path, until: datetime) -> None:
    """Leave a note that the files as they are now fit each other, and until when they will do."""
    note = {"sha256": _digest(directory), "until": until.isoformat(), "hosts": list(CLOUD_HOSTS)}
    write_atomically(directory / _CHECKED, json.dumps(note).encode(), sync=False)


def are_checked(directory: Path) -> bool:
    """Return whether the files are those that `note_checked` saw, byte for byte, and its time is not over."""
    try:
        note = json.loads((directory / _CHECKED).read_bytes())
        as_then = note["sha256"] == _digest(directory) and note["hosts"] == list(CLOUD_HOSTS)
        return bool(as_then and datetime.now(UTC) < datetime.fromisoformat(note["until"]))
    except (OSError, ValueError, KeyError, TypeError):
        return False  # a file or the note is not there, or the note is none: look again


def _digest(directory: Path) -> str:
    found = certificate_files(directory)
    whole = hashlib.sha256()
    for path in (found.ca_file, found.chain_file, found.key_file, directory / CA_KEY):
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    whole.update(b"expired" if (directory / EXPIRED).exists() else b"")
    return whole.hexdigest()
