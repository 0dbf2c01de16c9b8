"""The commands on a real broker and the sandbox, as an operator meets them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.rabbit import a_channel
from tests.support.rights import as_user
from tests.support.sandbox import SandboxProcess
from tests.support.soap import EwsClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAIL = b"From: a@example.net\r\nTo: dispatch@example.org\r\nSubject: s\r\n\r\ntext\r\n"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("sandbox") / "dir") as sandbox:
        limited = {"roles": [], "mailboxes": ["dispatch@example.org"]}
        sandbox.admin(f"/apps/{sandbox.info['client_id']}", method="PATCH", body=limited)
        yield sandbox


@pytest.fixture
def worker_url(broker_url: str) -> str:
    """The address of the same virtual host for a worker, who may do no more than its work."""
    return as_user(broker_url, "bridge-run")


def bridge(*arguments: str, config: Path, url: str, **environ: str) -> subprocess.CompletedProcess[str]:
    inherited = {n: v for n, v in os.environ.items() if not n.startswith("BRIDGE_") and "proxy" not in n.lower()}
    return subprocess.run(
        [sys.executable, "-m", "bridge", *arguments, "--config", str(config)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=inherited | {"BRIDGE_RABBITMQ__URLS": url} | environ,
    )


def findings(sandbox: SandboxProcess, url: str, code: int, **environ: str) -> dict[str, Any]:
    """Run check; return what it finds wrong, by step."""
    result = bridge("check", "--json", config=sandbox.directory / "bridge.toml", url=url, **environ)
    assert result.returncode == code, result.stdout + result.stderr
    told = json.loads(result.stdout)
    assert told["ok"] is (code == 0)
    return {finding["step"]: finding for finding in told["findings"] if finding["state"] == "failed"}


def test_topology_is_declared_once_and_compared_afterwards(sandbox: SandboxProcess, broker_url: str) -> None:
    config = sandbox.directory / "bridge.toml"

    before = bridge("topology", "show", "--json", config=config, url=broker_url)
    first = bridge("topology", "apply", config=config, url=broker_url)
    second = bridge("topology", "apply", "--json", config=config, url=broker_url)
    after = bridge("topology", "show", config=config, url=broker_url)

    assert (before.returncode, first.returncode, second.returncode, after.returncode) == (1, 0, 0, 0)
    assert {one["state"] for one in json.loads(before.stdout)} == {"missing"}
    assert "queue mail.outbound.dispatch: declared" in first.stdout
    assert {one["state"] for one in json.loads(second.stdout)} == {"present"}


def test_a_queue_that_differs_is_reported_and_left_alone(sandbox: SandboxProcess, broker_url: str) -> None:
    config = sandbox.directory / "bridge.toml"
    with a_channel(broker_url) as channel:
        channel.queue_declare("mail.dead", durable=True, arguments={"x-queue-type": "quorum", "x-delivery-limit": 7})

    result = bridge("topology", "apply", config=config, url=broker_url)

    assert result.returncode == 1
    assert "queue mail.dead: differs" in result.stdout
    assert "queue mail.events: declared" in result.stdout
    assert "topology_differs" in {f["code"] for f in findings(sandbox, broker_url, 1).values()}


def test_what_is_exported_can_be_imported(sandbox: SandboxProcess, broker_url: str) -> None:
    result = bridge("topology", "export", "--users", config=sandbox.directory / "bridge.toml", url=broker_url)

    document = json.loads(result.stdout)
    assert {"exchanges", "queues", "bindings", "users", "permissions"} <= set(document)
    assert broker_url.rpartition("/")[2] in {host["name"] for host in document["vhosts"]}


def test_check_ends_with_0_when_all_is_well(sandbox: SandboxProcess, broker_url: str, worker_url: str) -> None:
    bridge("topology", "apply", config=sandbox.directory / "bridge.toml", url=broker_url)

    assert findings(sandbox, worker_url, 0) == {}


def test_check_ends_with_6_where_there_are_warnings_alone_and_with_0_where_they_are_allowed(
    sandbox: SandboxProcess, broker_url: str
) -> None:
    config = sandbox.directory / "bridge.toml"
    bridge("topology", "apply", config=config, url=broker_url)

    as_administrator = bridge("check", "--json", config=config, url=broker_url)
    allowed = bridge("check", "--json", "--allow-warnings", config=config, url=broker_url)

    told = [json.loads(one.stdout) for one in (as_administrator, allowed)]
    warned = [{one["code"] for one in each["findings"] if one["state"] == "warning"} for each in told]
    assert warned == [{"broker_rights_too_wide"}] * 2
    assert (as_administrator.returncode, allowed.returncode) == (6, 0)
    assert [each["ok"] for each in told] == [False, True]


def test_warnings_that_are_allowed_hide_no_failure(sandbox: SandboxProcess, broker_url: str) -> None:
    config = sandbox.directory / "bridge.toml"

    result = bridge("check", "--allow-warnings", config=config, url=broker_url)

    assert result.returncode == 1
    assert "[broker_rights_too_wide]" in result.stdout
    assert "[topology_missing]" in result.stdout


def test_check_names_a_missing_topology(sandbox: SandboxProcess, broker_url: str) -> None:
    found = findings(sandbox, broker_url, 1)

    assert {finding["code"] for finding in found.values()} == {"topology_missing"}
    assert found["rabbitmq topology"]["fix"] == "bridge topology apply"


def test_check_counts_what_waits_and_takes_nothing(sandbox: SandboxProcess, broker_url: str, worker_url: str) -> None:
    bridge("topology", "apply", config=sandbox.directory / "bridge.toml", url=broker_url)
    sandbox.deliver("dispatch@example.org", MAIL)

    result = bridge("check", config=sandbox.directory / "bridge.toml", url=worker_url)

    assert result.returncode == 0
    assert "folder inbox: list it, oldest first: 1 mail(s) wait" in result.stdout
    assert len(sandbox.mails("dispatch@example.org")) == 1
    assert "text" not in result.stderr


def test_check_says_when_the_broker_refuses_the_login(sandbox: SandboxProcess, broker_url: str) -> None:
    wrong = broker_url.replace(broker_url.split(":")[2].split("@", maxsplit=1)[0], "mArKeR")

    found = findings(sandbox, wrong, 1)

    assert found["rabbitmq login"]["code"] == "broker_login_refused"
    assert "mArKeR" not in json.dumps(found)


def left_in(sandbox: SandboxProcess) -> tuple[list[str], int]:
    """Return what check could have left: its folders, and drafts."""
    names = [folder["name"] for folder in sandbox.folders("dispatch@example.org")]
    return [name for name in names if name.startswith("Bridge ")], len(sandbox.mails("dispatch@example.org", "drafts"))


def test_check_leaves_nothing_in_the_mailbox_and_takes_away_what_a_killed_one_left(
    sandbox: SandboxProcess, broker_url: str, worker_url: str
) -> None:
    bridge("topology", "apply", config=sandbox.directory / "bridge.toml", url=broker_url)
    ews = EwsClient(sandbox, "dispatch@example.org")
    ews.call(
        '<m:CreateFolder><m:ParentFolderId><t:DistinguishedFolderId Id="msgfolderroot"/></m:ParentFolderId><m:Folders>'
        "<t:Folder><t:DisplayName>Bridge Check 20200101T000000Z-0badcafe</t:DisplayName></t:Folder></m:Folders>"
        "</m:CreateFolder>"
    )
    assert left_in(sandbox)[0]

    assert findings(sandbox, worker_url, 0) == {}

    assert left_in(sandbox) == ([], 0)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_check_that_is_interrupted_leaves_nothing_in_the_mailbox(
    sandbox: SandboxProcess, broker_url: str, end: signal.Signals
) -> None:
    """The draft is there when the signal comes, and the folder is just being made."""
    sandbox.faults({"match": {"operation": "CreateFolder"}, "fault": {"kind": "late_answer", "seconds": 2}})
    config = str(sandbox.directory / "bridge.toml")
    inherited = {n: v for n, v in os.environ.items() if not n.startswith("BRIDGE_") and "proxy" not in n.lower()}
    checking = subprocess.Popen(
        [sys.executable, "-m", "bridge", "check", "--config", config],
        env=inherited | {"BRIDGE_RABBITMQ__URLS": broker_url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 30
        while not left_in(sandbox)[0]:
            assert time.monotonic() < until
            assert checking.poll() is None
            time.sleep(0.02)
        checking.send_signal(end)
        checking.wait(30)
    finally:
        checking.kill()
        sandbox.faults()

    assert checking.returncode == 130
    assert left_in(sandbox) == ([], 0)


def test_check_finds_that_the_ledger_cannot_be_searched_before_there_is_one(
    sandbox: SandboxProcess, broker_url: str, worker_url: str
) -> None:
    """Nothing was sent yet, so there is no folder to search; the search is tried all the same."""
    config = sandbox.directory / "bridge.toml"
    bridge("topology", "apply", config=config, url=broker_url)
    refused = {"kind": "soap_fault", "code": "ErrorInvalidRestriction"}
    sandbox.faults({"match": {"operation": "FindItem", "folder": "drafts"}, "fault": refused})

    result = bridge("check", config=config, url=worker_url)

    sandbox.faults()
    [line] = [line for line in result.stdout.splitlines() if "count what was sent in 24 hours" in line]
    assert line.startswith("FAIL")
    assert result.returncode != 0


def test_check_sends_a_test_mail_only_when_asked_to(sandbox: SandboxProcess, broker_url: str, worker_url: str) -> None:
    bridge("topology", "apply", config=sandbox.directory / "bridge.toml", url=broker_url)
    before = len(sandbox.sends())

    bridge("check", config=sandbox.directory / "bridge.toml", url=worker_url)
    unasked = len(sandbox.sends())
    config = sandbox.directory / "bridge.toml"
    result = bridge("check", "--send-test", "dispatch@example.org", config=config, url=worker_url)

    assert result.returncode == 0, result.stdout
    assert (unasked, len(sandbox.sends())) == (before, before + 1)
    assert "test mail: find its copy in Sent Items by the bridge's stamp: it is there" in result.stdout
    assert "test mail: see that it left Drafts: it did" in result.stdout
    # The ledger is made for the proof that it can be searched, and stays.
    assert left_in(sandbox) == (["Bridge Sends"], 0)


def test_check_takes_no_address_that_is_none(sandbox: SandboxProcess, broker_url: str) -> None:
    result = bridge("check", "--send-test", "nobody", config=sandbox.directory / "bridge.toml", url=broker_url)

    assert result.returncode == 2
    assert "--send-test" in result.stderr
