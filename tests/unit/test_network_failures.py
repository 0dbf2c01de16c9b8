"""What kept a connection from being made is told by one code, whichever library raised it."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest
import requests

from bridge.adapters.network_failures import network_failure
from tests.support.certificates import TestAuthority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def failure_of(url: str, **options: object) -> str | None:
    """Return the code for what requests raises."""
    session = requests.Session()
    session.trust_env = False
    with pytest.raises(OSError) as raised:  # noqa: PT011 - whatever it is; it is told apart below
        session.get(url, timeout=60, **options)  # type: ignore[arg-type]
    found = network_failure(raised.value)
    return found.code if found is not None else None


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return TestAuthority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def tls_port(authority: TestAuthority) -> Iterator[int]:
    """A port that shows a certificate for localhost, and says nothing more."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("server"))
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                context.wrap_socket(plain, server_side=True).close()
            except OSError:
                plain.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield int(listener.getsockname()[1])
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


def test_a_ca_that_is_not_trusted(tls_port: int) -> None:
    assert failure_of(f"https://127.0.0.1:{tls_port}/") == "tls_untrusted"


def test_a_ca_file_that_is_not_there(tls_port: int, tmp_path: Path) -> None:
    assert failure_of(f"https://127.0.0.1:{tls_port}/", verify=str(tmp_path / "none.pem")) == "ca_file_unusable"


def test_a_ca_file_that_holds_none(tls_port: int, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("nothing\n")

    assert failure_of(f"https://127.0.0.1:{tls_port}/", verify=str(path)) == "ca_file_unusable"


def test_a_port_on_which_nobody_listens(closed_port: int) -> None:
    assert failure_of(f"https://127.0.0.1:{closed_port}/") == "host_unreachable"


def test_a_name_that_nobody_knows() -> None:
    assert failure_of("https://nowhere.invalid/") == "name_unresolved"


def test_a_proxy_that_is_not_there(closed_port: int) -> None:
    proxies = {"https": f"http://127.0.0.1:{closed_port}"}

    assert failure_of("https://nowhere.invalid/", proxies=proxies) == "proxy_failed"


def test_an_answer_that_does_not_come_is_no_failure_to_connect() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(requests.ReadTimeout) as raised:
        requests.get(f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout=(60, 0.2))

    assert network_failure(raised.value) is None


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (10, "tls_certificate_expired"),
        (9, "tls_certificate_not_yet_valid"),
        (62, "tls_wrong_host"),
        (64, "tls_wrong_host"),
    ],
)
def test_openssls_numbers_say_what_is_wrong_with_a_certificate(number: int, code: str) -> None:
    error = ssl.SSLCertVerificationError()
    error.verify_code = number

    assert network_failure(requests.exceptions.SSLError(error)) == (code, "")
