"""
Which certificates HTTP trusts: those of a file, as it is now, and never what the environment says.

A file that is replaced counts for the connections that are made after that. While it is half written, gone or no PEM,
what was read before goes on.
"""

from __future__ import annotations

import ssl
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.util.ssl_ import create_urllib3_context

from bridge.adapters.http_deadline import DeadlineAdapter

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

BUNDLE: Final = Path(DEFAULT_CA_BUNDLE_PATH)
"""What is trusted where no file is configured: the bundle that comes with the HTTP library, not the system's."""
_SETTLED_SECONDS: Final = 1.0
"""A file counts once it has stayed the same for so long: bundles are written in pieces."""

_Signature = tuple[int, int, int, int]


class Trust:
    """The certificates to trust for one side; shared by all connections to it, and safe in many threads."""

    def __init__(
        self,
        ca_file: str | None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = Path(ca_file) if ca_file is not None else None
        self._monotonic, self._wall_clock = monotonic, wall_clock
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None
        self._read: _Signature | None = None
        self._seen: tuple[_Signature | None, float] = (None, 0.0)

    def context(self) -> ssl.SSLContext:
        """
        Return what a new connection verifies with; the same object until the file changes.

        Raises:
            OSError: There never was a file that could be used.
        """
        with self._lock:
            if self._context is None:
                self._read = self._signature()
                self._context = self._load()
            elif self._path is not None:
                self._look(self._context)
            return self._context

    def _look(self, current: ssl.SSLContext) -> None:
        signature, now = self._signature(), self._monotonic()
        if signature is None or signature == self._read:
            return
        if signature != self._seen[0]:
            self._seen = (signature, now)
        # Nobody may have looked for half an hour: then the file itself tells when it was written.
        written_seconds_ago = self._wall_clock() - signature[3] / 1e9
        if now - self._seen[1] < _SETTLED_SECONDS and written_seconds_ago < _SETTLED_SECONDS:
            return
        self._read = signature  # good or bad, it is read once
        try:
            self._context = self._load()
        except OSError:
            self._context = current

    def _signature(self) -> _Signature | None:
        if self._path is None:
            return None
        try:
            found = self._path.stat()  # of what a link leads to: Kubernetes swaps a link to a directory above it
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def _load(self) -> ssl.SSLContext:
        context = create_urllib3_context()
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(cafile=str(self._path or BUNDLE))
        except ssl.SSLError:
            raise
        except OSError as error:
            raise OSError("the file of the CA certificates cannot be read: no CA certificate") from error
        return context


class TrustingAdapter(DeadlineAdapter):
    """Sends requests over connections that a `Trust` verifies, whatever `verify` or the environment say."""

    def __init__(self, trust: Trust, **named: Any) -> None:
        self._trust = trust
        super().__init__(**named)

    def build_connection_pool_key_attributes(
        self,
        request: requests.PreparedRequest,
        verify: Any,  # noqa: ANN401, ARG002 - as overridden
        cert: Any = None,  # noqa: ANN401 - as overridden
    ) -> tuple[Any, Any]:
        """Return what tells one pool of connections from another: a new file makes new ones."""
        host, pool = super().build_connection_pool_key_attributes(request, True, cert)  # noqa: FBT003 - as overridden
        if host["scheme"] == "https":
            pool["ssl_context"] = self._trust.context()
        return host, pool

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ANN401, ARG002 - as overridden
        """Leave the certificates to the context: requests would have its own bundle trusted as well."""
        conn.cert_reqs = "CERT_REQUIRED"
