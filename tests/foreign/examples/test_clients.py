"""The clients that the sandbox's page shows, run as they stand."""

from __future__ import annotations

import imaplib
import json
import os
import shutil
import smtplib
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.sandbox import SandboxProcess
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ROOT = Path(__file__).parents[3]
_EXAMPLES = _ROOT / "docs" / "examples" / "sandbox"
_DISPATCH = "dispatch@example.org"
_PATH_OF_TESTS = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("clients") / "sandbox", on_premises=True) as running:
        running.deliver(_DISPATCH, b"From: a@elsewhere.example\r\nSubject: Bed 12 is free\r\n\r\nNow.\r\n")
        yield running


def _run(command: Sequence[str | Path], folder: Path = _EXAMPLES, **more: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    ran = subprocess.run(
        command,
        cwd=folder, env={**environment, "PATH": _PATH_OF_TESTS, **more},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_exchangelib(sandbox: SandboxProcess) -> None:
    assert _run([sys.executable, "with_exchangelib.py", sandbox.directory, _DISPATCH]) == "Bed 12 is free\n"


def test_curl(sandbox: SandboxProcess) -> None:
    assert shutil.which("curl"), "curl is needed (Debian: curl)"

    assert "<t:Subject>Bed 12 is free</t:Subject>" in _run(["./with_curl.sh", sandbox.directory, _DISPATCH])


def test_javascript(sandbox: SandboxProcess, tmp_path: Path) -> None:
    assert shutil.which("npm"), "Node.js with npm is needed (Debian: nodejs, npm)"
    for name in ("package.json", "package-lock.json"):
        shutil.copy(_ROOT / "tests" / "foreign" / "javascript" / name, tmp_path)
    shutil.copy(_EXAMPLES / "with_javascript.mjs", tmp_path)
    _run(["npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", "--silent", "--ignore-scripts"], tmp_path)

    command = ["node", "with_javascript.mjs", str(sandbox.directory), _DISPATCH]
    assert "Bed 12 is free" in _run(command, tmp_path, NODE_EXTRA_CA_CERTS=sandbox.ca_file)


def test_davmail_as_imap_and_smtp_gateway(sandbox: SandboxProcess, tmp_path: Path) -> None:
    imap_port, smtp_port = _free_ports()
    user = next(one for one in sandbox.info["mailboxes"] if one["address"] == _DISPATCH)
    output = tmp_path / "output"
    with (
        output.open("wb") as stream,
        subprocess.Popen(
            [_EXAMPLES / "with_davmail.sh", sandbox.directory, str(imap_port), str(smtp_port)],
            stdout=stream, stderr=stream, env={**os.environ, "PATH": _PATH_OF_TESTS, "TMPDIR": str(tmp_path)},
        ) as gateway,
    ):  # fmt: skip
        try:
            until(lambda: gateway.poll() is not None or (_answers(imap_port) and _answers(smtp_port)), "DavMail")
            assert gateway.poll() is None, output.read_text(errors="replace")
            with imaplib.IMAP4("127.0.0.1", imap_port, timeout=60) as imap:
                imap.login(user["username"], user["password"])
                assert imap.select("INBOX")[1] == [b"1"]
            with smtplib.SMTP("127.0.0.1", smtp_port, local_hostname="localhost", timeout=60) as smtp:
                smtp.login(user["username"], user["password"])
                smtp.sendmail(_DISPATCH, ["crew@elsewhere.example"], "Subject: By SMTP\r\n\r\nNow.\r\n")
            assert [send["recipients"] for send in sandbox.sends()] == [["crew@elsewhere.example"]]
        finally:
            gateway.terminate()
            gateway.wait(30)
    assert not list(tmp_path.glob("tmp.*"))
    until(lambda: not _answers(imap_port), "the gateway's end")


_IN_A_NAMESPACE = """\
set -eu
# Loopback is there, and down; this is what `ip link set lo up` does.
{python} -c 'import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 1))'
{python} -m bridge.sandbox --dir {directory} >{directory}.line &
sandbox=$!
trap 'kill $sandbox; wait $sandbox' EXIT
while ! [ -s {directory}.line ]; do kill -0 $sandbox; sleep 0.1; done
{python} {example} {directory} {address}
"""


def test_a_client_in_the_sandbox_s_network_namespace_reaches_it_and_nobody_else_does() -> None:
    """What containers that share a network are made of; a container engine is not needed for it."""
    assert shutil.which("unshare"), "unshare is needed (Debian: util-linux)"
    with tempfile.TemporaryDirectory() as folder:
        script = _IN_A_NAMESPACE.format(
            python=sys.executable,
            directory=f"{folder}/sandbox",
            example=_EXAMPLES / "with_exchangelib.py",
            address=_DISPATCH,
        )
        _run(["unshare", "--net", "--map-root-user", "sh", "-c", script], _ROOT)
        info = json.loads(Path(folder, "sandbox", "sandbox.json").read_text())
        port = int(info["smtp"].rpartition(":")[2])

        assert not _answers(port)


def test_the_page_shows_the_examples_as_they_are() -> None:
    page = (_ROOT / "docs" / "sandbox.md").read_text("utf-8")

    for example in sorted(_EXAMPLES.iterdir()):
        assert f"(examples/sandbox/{example.name})" in page, example.name
    assert (_ROOT / "docs" / "examples" / "test_exchange.py").read_text("utf-8").strip() in page


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return int(one.getsockname()[1]), int(other.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True
