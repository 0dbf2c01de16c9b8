"""A sandbox under hostile clients: raw bytes in, whatever comes back, and then it must be as well as before."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests

from tests.support.soap import EwsClient

if TYPE_CHECKING:
    from tests.support.sandbox import SandboxProcess

MAILBOX = "dispatch@example.org"
EWS_PATH = "/EWS/Exchange.asmx"
PING = (
    "<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape><m:FolderIds>"
    '<t:DistinguishedFolderId Id="inbox"/></m:FolderIds></m:GetFolder>'
)


class Besieged:
    """One sandbox, a client that means well, and the means for those that do not."""

    def __init__(self, sandbox: SandboxProcess) -> None:
        """Get a token while all is well."""
        self.sandbox = sandbox
        self.ews = EwsClient(sandbox, MAILBOX)
        self.context = ssl.create_default_context(cafile=sandbox.info["ca_file"])
        self._said = len(sandbox.stderr)

    # The means

    def smtp(self) -> socket.socket:
        """Return a connection to the SMTP port, its greeting read."""
        host, _, port = self.sandbox.info["smtp"].rpartition(":")
        connection = socket.create_connection((host, int(port)), 30)
        assert connection.recv(1000).startswith(b"220 ")
        return connection

    def admin(self) -> socket.socket:
        """Return a connection to the admin port."""
        url = urlsplit(self.sandbox.info["admin_url"])
        return socket.create_connection((str(url.hostname), int(url.port or 0)), 30)

    def https(self) -> ssl.SSLSocket:
        """Return an encrypted connection to EWS."""
        url = urlsplit(self.sandbox.info["ews_url"])
        plain = socket.create_connection((str(url.hostname), int(url.port or 0)), 30)
        return self.context.wrap_socket(plain, server_hostname=str(url.hostname))

    def head(self, *lines: str, path: str = EWS_PATH, method: str = "POST") -> bytes:
        """Return the head of an EWS request that may come in, with more lines."""
        fixed = (
            f"{method} {path} HTTP/1.1",
            "Host: localhost",
            f"Authorization: Bearer {self.ews.token}",
            "Content-Type: text/xml; charset=utf-8",
            f"X-AnchorMailbox: {MAILBOX}",
        )
        return ("\r\n".join((*fixed, *lines)) + "\r\n\r\n").encode("latin-1")

    def post(self, body: bytes, content_type: str = "text/xml; charset=utf-8") -> requests.Response:
        """Return the answer to any body."""
        headers = {"Authorization": f"Bearer {self.ews.token}", "X-AnchorMailbox": MAILBOX}
        if content_type:
            headers["Content-Type"] = content_type
        return self.ews.session.post(self.sandbox.info["ews_url"], data=body, headers=headers, timeout=100)

    # How it is afterwards

    def memory_mb(self) -> int:
        """Return the most memory that it ever had in use."""
        return self._status("VmHWM:")

    def forget_peak(self) -> int:
        """Let the peak begin anew, and return what is in use now."""
        with suppress(OSError):
            Path(f"/proc/{self.sandbox.pid}/clear_refs").write_text("5")
        return self._status("VmRSS:")

    def must_be_well(self) -> None:
        """It answers on every port, and said nothing on standard error."""
        assert self.sandbox.running
        started = time.monotonic()
        answer = self.ews.post(PING)
        assert answer.status_code == HTTPStatus.OK, answer.text[:500]
        assert time.monotonic() - started < 5
        assert self.sandbox.calls()
        with self.smtp() as connection:
            connection.sendall(b"NOOP\r\n")
            assert connection.recv(100).startswith(b"250")
        before, self._said = self._said, len(self.sandbox.stderr)
        assert self.sandbox.stderr[before:] == ""

    def _status(self, name: str) -> int:
        status = Path(f"/proc/{self.sandbox.pid}/status").read_text()
        return int(status.partition(name)[2].split()[0]) // 1024


def everything(connection: socket.socket, *, seconds: float = 3.0) -> bytes:
    """Return all that comes until the other side closes or is silent for so long."""
    connection.settimeout(seconds)
    parts = []
    with suppress(OSError):
        while part := connection.recv(65_536):
            parts.append(part)
    return b"".join(parts)
