"""A sandbox as its users start, kill, restart and stop it."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import time
import tomllib
from contextlib import suppress
from http.client import HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support.sandbox import SandboxFailedError, SandboxProcess, as_given
from tests.support.soap import EwsClient

if TYPE_CHECKING:
    from collections.abc import Iterator

_DISPATCH = "dispatch@example.org"


def test_a_killed_sandbox_comes_back_as_it_was(tmp_path: Path) -> None:
    mime = b"Subject: kept\r\n\r\n\x00\xff bytes\r\n"
    rule = {"match": {"operation": "GetItem"}, "fault": "cut_before", "times": 2}
    with SandboxProcess(tmp_path / "sandbox") as sandbox:
        sandbox.deliver(_DISPATCH, mime)
        sandbox.faults(rule)
        before, files = dict(sandbox.info), _files(tmp_path / "sandbox")
        (mail,) = sandbox.mails(_DISPATCH)

        again = sandbox.restart()

        assert again == before
        assert _files(tmp_path / "sandbox") == files
        assert sandbox.mails(_DISPATCH) == [mail]
        assert as_given(sandbox.mime(_DISPATCH, mail["item_id"])) == mime
        assert sandbox.fault_report() == [{**rule, "seen": 0, "fired": 0}]


def _files(directory: Path) -> dict[str, bytes]:
    """What must be the same after a restart, byte for byte."""
    parts = [directory / "certificates", directory / "keys"]
    files = [file for part in parts for file in part.iterdir()]
    return {file.name: file.read_bytes() for file in [*files, directory / "bridge.toml", directory / "client_secret"]}


def test_a_sandbox_at_rest_holds_50_mb_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And 56 when it was called 300 times; what it is made of is in docs/performance.md."""
    # As it is installed: of modules that are compiled, which the first start does here.
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path / "compiled"))
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    with SandboxProcess(tmp_path / "sandbox") as sandbox:
        sandbox.stop()
        sandbox.start()
        at_rest = _resident_megabytes(sandbox.pid)
        client = EwsClient(sandbox, _DISPATCH)
        sandbox.deliver(_DISPATCH, b"Subject: one\r\n\r\nText\r\n")
        for _ in range(150):
            assert client.codes(client.get(*client.find("inbox"))) == ["NoError"]
        called = _resident_megabytes(sandbox.pid)

    assert at_rest <= 50
    assert called <= 56


def _resident_megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def test_the_line_and_the_files_say_the_same(tmp_path: Path) -> None:
    with SandboxProcess(tmp_path / "sandbox", mailboxes=[_DISPATCH, "crew@example.org"]) as sandbox:
        told = json.loads((tmp_path / "sandbox" / "sandbox.json").read_text())
        bridge = tomllib.loads((tmp_path / "sandbox" / "bridge.toml").read_text())

        assert told == sandbox.info
        assert [mailbox["address"] for mailbox in told["mailboxes"]] == [_DISPATCH, "crew@example.org"]
        assert bridge["ews"]["url"] == told["ews_url"]
        assert bridge["entra"]["authority_url"] == told["authority_url"]


def test_a_mailbox_may_be_added_at_a_later_start(tmp_path: Path) -> None:
    with SandboxProcess(tmp_path / "sandbox", mailboxes=[_DISPATCH]):
        pass
    with SandboxProcess(tmp_path / "sandbox", mailboxes=["crew@example.org"]) as sandbox:
        assert [mailbox["address"] for mailbox in sandbox.info["mailboxes"]] == [_DISPATCH, "crew@example.org"]
        assert sandbox.folders("crew@example.org")


def test_a_second_sandbox_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    with SandboxProcess(tmp_path / "sandbox") as first:
        second = SandboxProcess(tmp_path / "sandbox")

        with pytest.raises(SandboxFailedError, match=r"exit code 3: .*another sandbox runs in"):
            second.start()

        assert first.mails(_DISPATCH) == []


def test_a_kept_port_that_another_took_stops_the_start_with_its_number(tmp_path: Path) -> None:
    with SandboxProcess(tmp_path / "sandbox") as sandbox:
        port = int(sandbox.info["smtp"].rpartition(":")[2])
        sandbox.kill()
        with socket.socket() as holder:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", port))
            holder.listen()

            with pytest.raises(SandboxFailedError, match=f"exit code 3: .*port {port} for smtp"):
                sandbox.start()

        assert sandbox.start()["smtp"].endswith(f":{port}")


def test_a_port_that_is_asked_for_is_taken_and_kept(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with SandboxProcess(tmp_path / "sandbox", options=["--admin-port", str(port)]) as sandbox:
        assert sandbox.info["admin_url"] == f"http://127.0.0.1:{port}"
    with SandboxProcess(tmp_path / "sandbox") as sandbox:
        assert sandbox.info["admin_url"] == f"http://127.0.0.1:{port}"


def test_it_stops_at_once_when_asked_whatever_is_connected(tmp_path: Path) -> None:
    with SandboxProcess(tmp_path / "sandbox") as sandbox:
        addresses = [sandbox.info["smtp"], sandbox.info["admin_url"].removeprefix("http://")]
        idle = [socket.create_connection((host, int(port))) for host, _, port in (a.rpartition(":") for a in addresses)]

        assert sandbox.stop() == 0

        assert sandbox.stderr == ""
        for connection in idle:
            connection.close()


@pytest.mark.parametrize("standard_input", ["</dev/null", "<&-"])
def test_it_stops_where_standard_input_has_ended_already(tmp_path: Path, standard_input: str) -> None:
    command = f"exec {sys.executable} -m bridge.sandbox --dir {tmp_path}/sandbox --stop-with-stdin {standard_input}"

    assert subprocess.run(["sh", "-c", command], capture_output=True, timeout=30, check=False).returncode == 0


def test_it_listens_on_loopback_alone(tmp_path: Path) -> None:
    with SandboxProcess(tmp_path / "sandbox") as sandbox:
        ports = {f"{int(address.rpartition(':')[2]):04X}" for address in _addresses(sandbox)}
        table = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
        listening = [row[1] for row in table if row[3] == "0A"]

        assert {entry.partition(":")[0] for entry in listening if entry.partition(":")[2] in ports} == {"0100007F"}


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", ""])  # noqa: S104 - what is refused
def test_asked_to_listen_elsewhere_it_says_why_it_does_not(tmp_path: Path, address: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "bridge.sandbox", "--dir", str(tmp_path / "sandbox"), f"--listen={address}"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert ended.returncode == 2
    assert "listens on 127.0.0.1 alone" in ended.stderr
    assert not (tmp_path / "sandbox").exists()


def _addresses(sandbox: SandboxProcess) -> list[str]:
    info = sandbox.info
    return [
        info["smtp"],
        info["admin_url"],
        info["ews_url"].removesuffix("/EWS/Exchange.asmx"),
        info["authority_url"].rpartition("/")[0],
    ]


@pytest.mark.parametrize("option", ["--listen", "--host"])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "", "127.0.0.1.evil.example"])  # noqa: S104 - refused
def test_it_says_that_it_listens_on_loopback_alone_when_asked_for_more(tmp_path: Path, host: str, option: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "bridge.sandbox", "--dir", str(tmp_path / "sandbox"), option, host],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "the sandbox listens on 127.0.0.1 alone" in ended.stderr
    assert not (tmp_path / "sandbox").exists()


def test_a_wrong_address_stops_the_start(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "bridge.sandbox", "--dir", str(tmp_path / "sandbox"), "--mailbox", "nonsense"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "not a mail address: 'nonsense'" in ended.stderr


_MARKER = b"PRIVATE-MARKER"


def test_hostile_clients_neither_stop_it_nor_get_into_its_log(sandbox_for_hostiles: SandboxProcess) -> None:
    sandbox = sandbox_for_hostiles
    smtp, admin, entra, ews = _addresses(sandbox)
    encrypted = ssl.create_default_context(cafile=sandbox.info["ca_file"])
    token = urlsplit(sandbox.info["authority_url"]).path.encode() + b"/oauth2/v2.0/token"
    mail_from = b"EHLO x\r\nMAIL FROM:<" + _MARKER + b"@x.example>\r\nRCPT TO:<dispatch@example.org>\r\nDATA\r\n"
    attempts = [
        (admin, None, b"GARBAGE " + _MARKER + b"\r\n\r\n"),
        (admin, None, b"GET /" + _MARKER * 2000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
        (ews, None, b"POST /EWS/Exchange.asmx HTTP/1.1\r\nHost: x\r\n\r\n" + _MARKER),
        (ews, encrypted, b"POST /EWS/Exchange.asmx HTTP/1.1\r\nHost: x\r\nX-" + _MARKER + b": \x00\r\n\r\n"),
        (ews, encrypted, b"POST /EWS/Exchange.asmx HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n" + _MARKER),
        (entra, encrypted, b"POST " + token + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n" + _MARKER),
        (entra, encrypted, b"POST " + token + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + _MARKER),
        (smtp, None, b"\x16\x03\x01" + _MARKER * 100 + b"\r\n"),
        (smtp, None, mail_from + b"Subject: " + _MARKER),
        (smtp, None, (_MARKER + b"\r\n") * 100),
    ]

    for address, context, data in attempts:
        host, _, port = address.removeprefix("https://").removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port)), 5) as plain:
            connection = plain if context is None else context.wrap_socket(plain, server_hostname=host)
            connection.sendall(data)
            connection.settimeout(0.2)
            with suppress(OSError):
                connection.recv(65_536)
            connection.close()

    assert sandbox.running
    sandbox.deliver(_DISPATCH, b"Subject: after all that\r\n\r\n")
    assert len(sandbox.mails(_DISPATCH)) == 1
    assert _MARKER.decode() not in sandbox.stderr
    assert sandbox.stop() == 0


@pytest.fixture
def sandbox_for_hostiles(tmp_path: Path) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path / "sandbox") as sandbox:
        yield sandbox


def test_it_stops_at_once_when_calls_are_stalled(tmp_path: Path) -> None:
    with SandboxProcess(tmp_path / "sandbox") as sandbox:
        sandbox.faults({"match": {"operation": "token"}, "fault": "stall_before"})
        entra = urlsplit(sandbox.info["authority_url"])
        context = ssl.create_default_context(cafile=sandbox.info["ca_file"])
        connection = HTTPSConnection(entra.netloc, context=context)
        connection.request("POST", f"{entra.path}/oauth2/v2.0/token", b"grant_type=client_credentials")
        while not sandbox.calls().get("token", {}).get("in_flight"):
            time.sleep(0.02)
        started = time.monotonic()

        assert sandbox.stop() == 0

        assert time.monotonic() - started < 3
        connection.close()
