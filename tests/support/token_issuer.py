"""An issuer of access tokens for a broker under test: a key of its own, and its key set over HTTPS."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from bridge.ports.elapsed import elapsed_seconds
from bridge.ports.tokens import AccessToken

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

RESOURCE = "api://bridge-broker"
"""What the broker is called as a resource: the audience of its tokens."""


class TokenIssuer:
    """Signs tokens as Entra would for an app with roles; `GET /keys` gives what to verify them with."""

    def __init__(self, certificate: Path) -> None:
        self._keys = [_Key("first")]
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps({"keys": [key.public for key in issuer._keys]}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def keys_url(self) -> str:
        """Where the key set is."""
        return f"https://localhost:{self._server.server_address[1]}/keys"

    def token(
        self,
        roles: Sequence[str],
        *,
        seconds: float = 3600,
        subject: str = "bridge-app",
        audience: str = RESOURCE,
        signed_by_a_stranger: bool = False,
    ) -> AccessToken:
        """Return a token that lives for so long."""
        key = _Key(self._keys[-1].kid) if signed_by_a_stranger else self._keys[-1]
        now = time.time()
        ends = int(now + seconds)
        claims: dict[str, Any] = {
            "aud": audience,
            "iss": "https://issuer.example/",
            "sub": subject,
            "iat": int(now),
            "exp": ends,
            "jti": base64.urlsafe_b64encode(str(time.monotonic_ns()).encode()).decode(),
            "roles": list(roles),
        }
        return AccessToken(jwt.encode(claims, key.private, "RS256", {"kid": key.kid}), elapsed_seconds() + ends - now)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Key:
    def __init__(self, kid: str) -> None:
        self.kid = kid
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key()))
        self.public = {**public, "kid": kid, "use": "sig", "alg": "RS256"}
