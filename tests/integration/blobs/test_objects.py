"""S3 and Azure over the wire: the same promises, and what servers and the ways to them do wrong."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import socket
import threading
import uuid
from contextlib import contextmanager
from dataclasses import replace
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest
import requests
from obstore.store import AzureStore, S3Store

from bridge.adapters.blobs.opening import BlobSettings, open_store
from bridge.domain.blobs import BytesInMemory
from bridge.errors import BlobStoreUnavailable, BlobStoreUnusable
from tests.contract.blob_store import LARGE, BlobStoreContract, a_ref
from tests.support.blob_servers import AZURITE_ACCOUNT, AZURITE_KEY, a_free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from bridge.ports.blobs import BlobStore

S3 = BlobSettings(
    url="s3://bucket", timeout_seconds=30, region="us-east-1", access_key_id="key", secret_access_key="hush-hush"
)


@pytest.fixture
def s3(s3_server: str) -> BlobSettings:
    """Return the settings of a bucket of its own."""
    name = f"b-{uuid.uuid4().hex}"
    _make_bucket(s3_server, name)
    return replace(S3, url=f"s3://{name}/some/prefix", endpoint_url=s3_server)


def _make_bucket(server: str, name: str) -> None:
    requests.put(f"{server}/{name}", timeout=30).raise_for_status()


@pytest.fixture
def az(azurite: str) -> BlobSettings:
    """Return the settings of a container of its own."""
    name = f"c-{uuid.uuid4().hex}"
    _make_container(azurite, name)
    return BlobSettings(
        url=f"az://{name}/some/prefix",
        timeout_seconds=30,
        endpoint_url=azurite,
        account_name=AZURITE_ACCOUNT,
        account_key=AZURITE_KEY,
    )


def _make_container(endpoint: str, name: str) -> None:
    # obstore makes no containers: one request, signed as Azure wants it (Authorize with Shared Key).
    date = formatdate(usegmt=True)
    headers = f"x-ms-date:{date}\nx-ms-version:2021-08-06\n"
    resource = f"/{AZURITE_ACCOUNT}/{AZURITE_ACCOUNT}/{name}\nrestype:container"
    signed = "PUT" + "\n" * 12 + headers + resource
    digest = hmac.new(base64.b64decode(AZURITE_KEY), signed.encode(), hashlib.sha256).digest()
    signature = base64.b64encode(digest).decode()
    given = {
        "x-ms-date": date,
        "x-ms-version": "2021-08-06",
        "Authorization": f"SharedKey {AZURITE_ACCOUNT}:{signature}",
    }
    requests.put(f"{endpoint}/{name}?restype=container", headers=given, timeout=30).raise_for_status()


class TestS3(BlobStoreContract):
    """On an S3 server."""

    @pytest.fixture
    async def store(self, s3: BlobSettings) -> AsyncIterator[BlobStore]:
        opened = open_store(s3)
        yield opened
        await opened.close()


class TestAzure(BlobStoreContract):
    """On an Azure storage account."""

    @pytest.fixture
    async def store(self, az: BlobSettings) -> AsyncIterator[BlobStore]:
        opened = open_store(az)
        yield opened
        await opened.close()


async def test_blobs_lie_where_the_url_says(s3: BlobSettings, az: BlobSettings) -> None:
    ref = a_ref(b"x")
    for settings, plain in (
        (s3, S3Store(s3.url.split("/")[2], endpoint=s3.endpoint_url, access_key_id="key", secret_access_key="x",
                     region="us-east-1", client_options={"allow_http": True})),
        (az, AzureStore(az.url.split("/")[2], endpoint=az.endpoint_url, account_name=AZURITE_ACCOUNT,
                        account_key=AZURITE_KEY, client_options={"allow_http": True})),
    ):  # fmt: skip
        store = open_store(settings)
        await store.write(ref, BytesInMemory(b"x"))

        assert store.url == settings.url
        assert bytes(plain.get(f"some/prefix/{ref.key}").bytes()) == b"x"


async def _trouble(settings: BlobSettings, *, size: int = 100) -> str:
    store = open_store(settings)
    data = b"x" * size
    with pytest.raises((BlobStoreUnavailable, BlobStoreUnusable)) as caught:
        await store.write(a_ref(data), BytesInMemory(data))
    text = str(caught.value) + caught.value.detail
    assert "hush-hush" not in text
    assert "://" not in text
    return caught.value.code


async def test_a_bucket_or_container_that_is_not_there_is_told(s3: BlobSettings, az: BlobSettings) -> None:
    assert await _trouble(replace(s3, url="s3://no-such-bucket/x")) == "blob_store_missing"
    assert await _trouble(replace(az, url="az://no-such-container/x")) == "blob_store_missing"
    for settings in (replace(s3, url="s3://no-such-bucket/x"), replace(az, url="az://no-such-container/x")):
        with pytest.raises(BlobStoreUnusable):
            await open_store(settings).read(a_ref(b"x"))


async def test_a_key_that_is_not_accepted_is_told(az: BlobSettings) -> None:
    assert await _trouble(replace(az, account_key="aHVzaC1odXNo")) == "blob_store_refused"


async def test_a_server_that_is_not_there_passes() -> None:
    settings = replace(S3, endpoint_url=f"http://127.0.0.1:{a_free_port()}", timeout_seconds=5)

    assert await _trouble(settings) == "blob_store_unavailable"


class _Answers(http.server.BaseHTTPRequestHandler):
    """Answers as `how` says; keeps what is put, and gives it back with its first byte changed."""

    protocol_version = "HTTP/1.1"
    how = ""
    kept = b""
    stalled = threading.Event()

    def do_PUT(self) -> None:
        type(self).kept = self.rfile.read(int(self.headers["Content-Length"]))
        match self.how:
            case "slow":
                self.stalled.wait(60)
            case "gone":
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            case "corrupt":
                self._answer(200, b"")
            case code:
                status, name = code.split()
                self._answer(int(status), f"<Error><Code>{name}</Code><Message>no</Message></Error>".encode())

    def do_POST(self) -> None:
        self.do_PUT()

    def do_GET(self) -> None:
        self._answer(200, b"?" + self.kept[1:])

    def do_DELETE(self) -> None:
        type(self).how = "deleted"
        self._answer(204, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Tue, 24 Nov 2026 08:30:00 GMT")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def a_server_that(how: str) -> Iterator[tuple[str, type[_Answers]]]:
    class Handler(_Answers):
        stalled = threading.Event()

    handler = Handler
    handler.how = how
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", handler
    finally:
        handler.stalled.set()
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("507 InsufficientStorage", "blob_store_full"),
        ("403 QuotaExceeded", "blob_store_full"),
        ("403 AccessDenied", "blob_store_refused"),
        ("403 AccountIsDisabled", "blob_store_refused"),
        ("401 Unknown", "blob_store_refused"),
        ("404 NoSuchBucket", "blob_store_missing"),
        ("503 SlowDown", "blob_store_unavailable"),
        ("500 InternalError", "blob_store_unavailable"),
        ("slow", "blob_store_slow"),
        ("gone", "blob_store_unavailable"),
        ("corrupt", "blob_store_corrupts"),
    ],
)
async def test_what_a_server_answers_is_told_apart(how: str, code: str) -> None:
    with a_server_that(how) as (url, handler):
        assert await _trouble(replace(S3, endpoint_url=url, timeout_seconds=2)) == code
        assert how != "corrupt" or handler.how == "deleted"


async def test_a_server_that_goes_away_in_mid_write_passes() -> None:
    with a_server_that("gone") as (url, _):
        assert await _trouble(replace(S3, endpoint_url=url, timeout_seconds=3), size=LARGE) in {
            "blob_store_unavailable",
            "blob_store_slow",
        }
