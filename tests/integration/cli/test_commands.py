"""The commands on a real broker and the sandbox, as an operator meets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.rabbit import a_channel
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAIL = b"From: a@example.net\r\nTo: dispatch@example.org\r\nSubject: s\r\n\r\ntext\r\n"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("sandbox") / "dir") as sandbox:
        yield sandbox


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
    """Run check; return the findings by step, with the ports left out, that are not ok."""
    result = bridge("check", "--json", config=sandbox.directory / "bridge.toml", url=url, **environ)
    assert result.returncode == code, result.stdout + result.stderr
    told = json.loads(result.stdout)
    assert told["ok"] is (code == 0)
    return {finding["step"]: finding for finding in told["findings"] if finding["state"] != "ok"}


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


def test_check_is_content_when_all_is_well(sandbox: SandboxProcess, broker_url: str) -> None:
    bridge("topology", "apply", config=sandbox.directory / "bridge.toml", url=broker_url)

    assert findings(sandbox, broker_url, 0) == {}


def test_check_names_a_missing_topology(sandbox: SandboxProcess, broker_url: str) -> None:
    found = findings(sandbox, broker_url, 1)

    assert {finding["code"] for finding in found.values()} == {"topology_missing"}
    assert found["rabbitmq topology"]["fix"] == "bridge topology apply"


@pytest.mark.parametrize(
    ("environ", "step", "code"),
    [
        ({"BRIDGE_ENTRA__CLIENT_SECRET": "wrong~secret"}, "entra token", "credentials_rejected"),
        ({"BRIDGE_ENTRA__CLIENT_ID": "11111111-2222-3333-4444-555555555555"}, "entra token", "credentials_rejected"),
        (
            {"BRIDGE_MAILBOXES__0__ADDRESS": "nobody@example.org"},
            "mailbox dispatch, folder inbox",
            "mailbox_not_found",
        ),
        (
            {"BRIDGE_MAILBOXES__0__FOLDERS": "inbox/Nowhere"},
            "mailbox dispatch, folder inbox/Nowhere",
            "folder_not_found",
        ),
        (
            {"BRIDGE_MAILBOXES__0__MUST_NOT_REACH": "dispatch@example.org"},
            "mailbox dispatch, must_not_reach[0]",
            "scope_too_wide",
        ),
    ],
)
def test_check_puts_its_finger_on_the_fault(
    sandbox: SandboxProcess, broker_url: str, environ: dict[str, str], step: str, code: str
) -> None:
    bridge("topology", "apply", config=sandbox.directory / "bridge.toml", url=broker_url)

    found = findings(sandbox, broker_url, 1, **environ)

    assert found.pop(step)["code"] == code
    assert {finding["state"] for finding in found.values()} <= {"skipped"}


def test_check_of_an_app_without_its_role_does_not_blame_the_secret(sandbox: SandboxProcess, broker_url: str) -> None:
    bridge("topology", "apply", config=sandbox.directory / "bridge.toml", url=broker_url)
    [app] = sandbox.admin("/apps")
    rights = f"/apps/{app['client_id']}"
    sandbox.admin(rights, method="PUT", body={"roles": [], "mailboxes": []})
    try:
        found = findings(sandbox, broker_url, 1)
    finally:
        sandbox.admin(rights, method="PUT", body={name: app[name] for name in ("roles", "mailboxes")})

    assert [(finding["step"], finding["code"]) for finding in found.values()] == [
        ("mailbox dispatch, folder inbox", "credentials_rejected")
    ]
    assert "Application EWS.AccessAsApp" in found["mailbox dispatch, folder inbox"]["fix"]


def test_check_does_not_trust_a_ca_that_it_was_not_given(sandbox: SandboxProcess, broker_url: str) -> None:
    found = findings(sandbox, broker_url, 1, BRIDGE_EWS__CA_FILE="")

    untrusted = [finding for step, finding in found.items() if step.startswith("ews ")]
    assert [finding["code"] for finding in untrusted] == ["tls_untrusted"]


def test_check_counts_what_waits_and_takes_nothing(sandbox: SandboxProcess, broker_url: str) -> None:
    bridge("topology", "apply", config=sandbox.directory / "bridge.toml", url=broker_url)
    sandbox.deliver("dispatch@example.org", MAIL)

    result = bridge("check", config=sandbox.directory / "bridge.toml", url=broker_url)

    assert result.returncode == 0
    assert "folder inbox: 1 mail(s) wait" in result.stdout
    assert len(sandbox.mails("dispatch@example.org")) == 1
    assert "text" not in result.stderr


def test_check_says_when_the_broker_refuses_the_login(sandbox: SandboxProcess, broker_url: str) -> None:
    wrong = broker_url.replace(broker_url.split(":")[2].split("@", maxsplit=1)[0], "mArKeR")

    found = findings(sandbox, wrong, 1)

    assert found["rabbitmq login"]["code"] == "broker_login_refused"
    assert "mArKeR" not in json.dumps(found)
