"""A sandbox as its users start, kill, restart and stop it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.sandbox import SandboxFailedError, SandboxProcess

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
        assert sandbox.mime(_DISPATCH, mail["item_id"]) == mime
        assert sandbox.fault_report() == [{**rule, "seen": 0, "fired": 0}]


def _files(directory: Path) -> dict[str, bytes]:
    """What must be the same after a restart, byte for byte."""
    parts = [directory / "certificates", directory / "keys"]
    files = [file for part in parts for file in part.iterdir()]
    return {file.name: file.read_bytes() for file in [*files, directory / "bridge.toml", directory / "client_secret"]}


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


def test_it_listens_on_loopback_alone(tmp_path: Path) -> None:
    with SandboxProcess(tmp_path / "sandbox") as sandbox:
        ports = {f"{int(address.rpartition(':')[2]):04X}" for address in _addresses(sandbox)}
        table = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
        listening = [row[1] for row in table if row[3] == "0A"]

        assert {entry.partition(":")[0] for entry in listening if entry.partition(":")[2] in ports} == {"0100007F"}


def _addresses(sandbox: SandboxProcess) -> list[str]:
    info = sandbox.info
    return [
        info["smtp"],
        info["admin_url"],
        info["ews_url"].removesuffix("/EWS/Exchange.asmx"),
        info["authority_url"].rpartition("/")[0],
    ]


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
