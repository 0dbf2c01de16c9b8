"""What Entra tells of a tenant, and what anybody else may answer in its place."""

from __future__ import annotations

import json
import ssl
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.entra.tenant import Tenant, look_at_tenant
from bridge.errors import CredentialsRejected, TokenUnavailable
from tests.support.certificates import TestAuthority

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONFIGURATION = {"token_endpoint": "https://127.0.0.1/token"}


class Entra:
    """A server that answers as it is told."""

    def __init__(self, authority: TestAuthority) -> None:
        self.status, self.body, self.date, self.kind = 200, b"", "", "application/json"
        self.asked: list[str] = []
        self.ca_file = authority.file
        entra = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                entra.asked.append(self.path)
                self.send_response_only(entra.status)
                self.send_header("Date", entra.date or self.date_time_string())
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Type", entra.kind)
                self.send_header("Content-Length", str(len(entra.body)))
                self.end_headers()
                self.wfile.write(entra.body)

            def log_message(self, *_: object) -> None:
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.issue("entra"))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def look(self, *, timeout_seconds: float = 60) -> Tenant:
        url = f"https://127.0.0.1:{self._server.server_address[1]}/tenant"
        return look_at_tenant(url, ca_file=self.ca_file, timeout_seconds=timeout_seconds)

    def answers(self, told: object, *, status: int = 200, ahead_seconds: float = 0) -> None:
        self.status, self.body = status, json.dumps(told).encode()
        self.date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead_seconds), usegmt=True)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@pytest.fixture
def entra(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Entra]:
    made = Entra(TestAuthority(tmp_path_factory.mktemp("entra")))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("told", "cloud"),
    [
        ({}, None),
        ({"cloud_instance_name": "microsoftonline.com", "tenant_region_scope": "EU"}, "global"),
        ({"cloud_instance_name": "microsoftonline.us", "tenant_region_sub_scope": "DODCON"}, "gcc-high"),
        ({"cloud_instance_name": "microsoftonline.us", "tenant_region_sub_scope": "DOD"}, "dod"),
        ({"cloud_instance_name": "partner.microsoftonline.cn"}, "china"),
        ({"cloud_instance_name": "of-a-new-kind.example"}, None),
    ],
)
def test_a_tenant_tells_its_cloud(entra: Entra, told: dict[str, str], cloud: str | None) -> None:
    entra.answers(_CONFIGURATION | told)

    tenant = entra.look()

    assert (tenant.cloud, tenant.at_home) == (cloud, True)
    assert entra.asked == ["/tenant/v2.0/.well-known/openid-configuration"]


@pytest.mark.parametrize("ahead", [0, 3600, -3600])
def test_its_clock_is_compared(entra: Entra, ahead: float) -> None:
    entra.answers(_CONFIGURATION, ahead_seconds=ahead)

    told = entra.look().ahead_seconds

    assert told is not None
    assert abs(told - ahead) < 5


@pytest.mark.parametrize("date", ["yesterday", "Tue, 99 Nov 2026 03:00:00 GMT", "Tue, 24 Nov 99999 03:00:00 GMT"])
def test_a_time_that_makes_no_sense_is_none(entra: Entra, date: str) -> None:
    entra.answers(_CONFIGURATION)
    entra.date = date

    assert entra.look().ahead_seconds is None


def test_a_tenant_that_there_is_not(entra: Entra) -> None:
    entra.answers({"error": "invalid_tenant", "error_codes": [90002]}, status=400)

    with pytest.raises(CredentialsRejected) as raised:
        entra.look()

    assert (raised.value.code, raised.value.detail) == ("tenant_unknown", "HTTP 400, invalid_tenant")


def test_a_word_that_is_none_of_entras_is_not_repeated(entra: Entra) -> None:
    entra.answers({"error": "\x1b[2Jmarker", "error_codes": [90002]}, status=400)

    with pytest.raises(CredentialsRejected) as raised:
        entra.look()

    assert "marker" not in raised.value.detail


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"<html>sign in to the hotel</html>"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'"token_endpoint"'),
        (200, b"[" * 100_000),
        (200, b'{"token_endpoint": "' + b"x" * (2 << 20) + b'"}'),
        (302, b"{}"),
        (404, b"not found"),
        (500, b'{"error": "server_error"}'),
        (503, b"{}"),
    ],
)
def test_what_is_not_entras_word_is_no_tenant_and_no_refusal(entra: Entra, status: int, body: bytes) -> None:
    entra.status, entra.body = status, body

    with pytest.raises(TokenUnavailable):
        entra.look()

    assert len(entra.asked) == 1, "nobody is followed elsewhere"


def test_a_ca_that_is_not_trusted(entra: Entra, tmp_path_factory: pytest.TempPathFactory) -> None:
    entra.ca_file = TestAuthority(tmp_path_factory.mktemp("other"), "other").file

    with pytest.raises(TokenUnavailable) as raised:
        entra.look()

    assert raised.value.code == "tls_untrusted"


@pytest.mark.parametrize(("status", "kind"), [(200, "text/html"), (302, ""), (511, "")])
def test_a_page_in_place_of_a_tenant_is_told_as_that(entra: Entra, status: int, kind: str) -> None:
    entra.status, entra.body, entra.kind = status, b"<html>Sign in</html>", kind

    with pytest.raises(TokenUnavailable) as caught:
        entra.look()

    assert caught.value.code == "page_instead_of_answer"
