"""Blob servers as processes of their own: an S3 server (moto) and Azure's emulator (azurite), on free ports."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

AZURITE_ACCOUNT = "devstoreaccount1"
# Azurite's own, the same everywhere: https://learn.microsoft.com/azure/storage/common/storage-use-azurite
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_AZURITE = Path(__file__).parent.parent / "integration" / "blobs" / "azurite"
_START_SECONDS = 60.0


def a_free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextlib.contextmanager
def an_s3_server() -> Iterator[str]:
    """Yield the url of an S3 server without buckets."""
    port = a_free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _process(command, f"http://127.0.0.1:{port}"):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def an_azurite(folder: Path) -> Iterator[str]:
    """Yield the endpoint of an emulated storage account without containers."""
    npm = shutil.which("npm")
    assert npm, "Node.js with npm is needed (Debian: nodejs, npm)"
    installed = folder / "azurite"
    shutil.copytree(_AZURITE, installed)
    subprocess.run(
        [npm, "ci", "--prefer-offline", "--no-audit", "--no-fund", "--silent"], cwd=installed, check=True, timeout=240
    )
    port = a_free_port()
    command = [
        str(installed / "node_modules" / ".bin" / "azurite-blob"), "--silent", "--skipApiVersionCheck",
        "--disableTelemetry", "--location", str(folder / "data"), "--blobPort", str(port),
    ]  # fmt: skip
    with _process(command, f"http://127.0.0.1:{port}"):
        yield f"http://127.0.0.1:{port}/{AZURITE_ACCOUNT}"


@contextlib.contextmanager
def _process(command: list[str], url: str) -> Iterator[None]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + _START_SECONDS
            while not _answers(url):
                assert process.poll() is None, "the server ended"
                assert time.monotonic() < until, "the server does not answer"
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 - our own server
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
