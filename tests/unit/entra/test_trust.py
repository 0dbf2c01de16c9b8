"""Certificates of authorities: those of the file, as it is now, whatever the environment says."""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from bridge.adapters.http_trust import Trust, TrustingAdapter
from tests.support.certificates import TestAuthority


class _Hello(BaseHTTPRequestHandler):
    """Answers each request on a connection of its own."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        # Unsaid, the client would keep the connection, and use it again where it is faster than the close.
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def server(certificate: Path) -> Iterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Hello) as running:
        running.socket = context.wrap_socket(running.socket, server_side=True)
        # `shutdown` waits until it looks again.
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield f"https://127.0.0.1:{running.server_address[1]}/"
        running.shutdown()


class Client:
    def __init__(self, ca_file: Path) -> None:
        self.seconds = 100.0
        self.session = requests.Session()
        trust = Trust(str(ca_file), monotonic=lambda: self.seconds)
        self.session.mount("https://", TrustingAdapter(trust))

    def ask(self, url: str) -> bool:
        try:
            return self.session.get(url, timeout=60).status_code == 200
        except requests.exceptions.SSLError:
            return False


@pytest.fixture
def authorities(tmp_path: Path) -> tuple[TestAuthority, TestAuthority]:
    return TestAuthority(tmp_path, "old"), TestAuthority(tmp_path, "new")


def test_the_environment_puts_no_other_authority_in_the_place(
    authorities: tuple[TestAuthority, TestAuthority], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = authorities
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(theirs.file))

    with server(ours.issue("ours")) as good, server(theirs.issue("theirs")) as bad:
        client = Client(ours.file)

        assert client.ask(good)
        assert not client.ask(bad)


def test_a_replaced_file_counts_for_new_connections(
    authorities: tuple[TestAuthority, TestAuthority], tmp_path: Path
) -> None:
    old, new = authorities
    file = tmp_path / "ca.pem"
    file.write_bytes(old.file.read_bytes())
    with server(old.issue("first")) as first, server(new.issue("second")) as second:
        client = Client(file)
        before = client.ask(first), client.ask(second)

        file.write_bytes(old.file.read_bytes() + new.file.read_bytes())
        client.ask(first)
        client.seconds += 1
        both = client.ask(first), client.ask(second)
        file.write_bytes(new.file.read_bytes())
        client.ask(second)
        client.seconds += 1
        after = client.ask(first), client.ask(second)

    assert before == (True, False)
    assert both == (True, True)
    assert after == (False, True)


def test_a_file_that_was_replaced_a_while_ago_counts_for_the_very_next_connection(
    authorities: tuple[TestAuthority, TestAuthority], tmp_path: Path
) -> None:
    """Entra is asked twice an hour: its certificate may change between two requests, after the file did."""
    old, new = authorities
    file = tmp_path / "ca.pem"
    file.write_bytes(old.file.read_bytes())
    with server(old.issue("first")) as first, server(new.issue("second")) as second:
        client = Client(file)
        assert client.ask(first)

        file.write_bytes(old.file.read_bytes() + new.file.read_bytes())
        os.utime(file, (time.time() - 2, time.time() - 2))

        assert client.ask(second)


@pytest.mark.parametrize("content", [b"", b"rubbish", None])
def test_a_file_that_is_no_good_leaves_what_was_read_before(
    authorities: tuple[TestAuthority, TestAuthority], tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(authorities[0].file.read_bytes())
    with server(authorities[0].issue("server")) as url:
        client = Client(file)
        assert client.ask(url)

        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
        for _ in range(4):
            assert client.ask(url)
            client.seconds += 1


def test_the_same_file_makes_no_new_connections(authorities: tuple[TestAuthority, TestAuthority]) -> None:
    trust = Trust(str(authorities[0].file))

    assert trust.context() is trust.context()
