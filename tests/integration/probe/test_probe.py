"""The probe on the sandbox, as its users start it. The sandbox is what is assumed, so nothing may differ from it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bridge.probe.guesses import STEPS, Needs
from bridge.probe.run import numbers
from tests.integration.probe.support import (
    PASSWORD_ONLY,
    TEST_BOX,
    THOROUGH,
    WORKED_ON,
    command,
    environment,
    probe,
    report,
)
from tests.support.sandbox import SandboxProcess
from tests.support.waits import line_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module", autouse=True)
def _mail_leaves_at_once(sandbox: SandboxProcess) -> None:
    """The tests of this file together send more than Exchange lets a mailbox send in a minute."""
    sandbox.admin("/settings", method="PUT", body={"sends_per_minute": None})


@pytest.fixture(autouse=True)
def _no_faults_stay(sandbox: SandboxProcess) -> Iterator[None]:
    yield
    sandbox.faults()


def _contents(sandbox: SandboxProcess, address: str = TEST_BOX) -> dict[str, list[Any]]:
    """All that a mailbox holds, but what was deleted for good."""
    return {
        folder["path"]: sandbox.mails(address, folder["id"])
        for folder in sandbox.folders(address)
        if folder["distinguished_name"] != "recoverableitemspurges"
    }


def test_every_guess_that_can_be_checked_is_the_same_on_the_sandbox(sandbox: SandboxProcess) -> None:
    sandbox.deliver(TEST_BOX, b"Subject: Re: Bridge probe 1234 1\r\n\r\nNot the probe's.\r\n")
    before = _contents(sandbox)

    ran = probe(sandbox, TEST_BOX, "--write", "--json")

    results = report(ran)
    assert sorted(results) == numbers()
    unlike = {number: result for number, result in results.items() if result["state"] != "same"}
    by_hand = {number for number, result in unlike.items() if result["how"] == "by hand"}
    assert set(unlike) == by_hand | THOROUGH | PASSWORD_ONLY, unlike
    assert ran.returncode == 0, ran.stderr
    assert _contents(sandbox) == before


def test_reading_alone_changes_nothing_and_makes_no_call_that_could(sandbox: SandboxProcess) -> None:
    before, calls = _contents(sandbox), sandbox.calls()

    ran = probe(sandbox, TEST_BOX, "--json")

    results = report(ran)
    checked = {number for number, result in results.items() if result["state"] == "same"}
    assert checked == {n for n, step in STEPS.items() if step.needs is Needs.READ and n not in PASSWORD_ONLY}
    assert _contents(sandbox) == before
    made = {
        name for name, figures in sandbox.calls().items() if figures["count"] > calls.get(name, {"count": 0})["count"]
    }
    writing = re.compile(r"^(Create|Update|Delete|Move|Copy|Send|Upload|Mark|Archive|Empty|Set)")
    assert [name for name in made if writing.match(name)] == []
    assert "writing:" not in ran.stderr


@pytest.mark.parametrize(
    ("guess", "setting"),
    [
        (24, {"sent_copy_keeps_named_properties": False}),
        (30, {"replaces_message_id": True}),
        (13, {"replaces_message_id": True}),
        (23, {"find_items_restricted": 100}),
    ],
)
def test_what_is_otherwise_is_told_to_differ(sandbox: SandboxProcess, guess: int, setting: dict[str, Any]) -> None:
    before = _contents(sandbox)

    with sandbox.settings(**setting):
        ran = probe(sandbox, TEST_BOX, "--write", "--json", "--guess", str(guess))

    assert {number: result["state"] for number, result in report(ran).items()} == {guess: "differs"}
    assert ran.returncode == 1
    assert _contents(sandbox) == before


def test_another_code_is_told_to_differ_by_its_name_alone(sandbox: SandboxProcess) -> None:
    sandbox.faults({"match": {"operation": "UploadItems"}, "fault": {"kind": "item_error", "code": "ErrorItemCorrupt"}})

    ran = probe(sandbox, TEST_BOX, "--write", "--guess", "69")

    assert "69  differs" in ran.stdout
    assert "ErrorItemCorrupt" in ran.stdout


def test_nothing_private_is_in_the_report(sandbox: SandboxProcess) -> None:
    ran = probe(sandbox, TEST_BOX, "--write", "--json")
    text = probe(sandbox, "dispatch", "--write").stdout

    secrets = [sandbox.info[key] for key in ("tenant_id", "client_id", "client_secret")]
    ids = [folder["id"] for address in (TEST_BOX, WORKED_ON) for folder in sandbox.folders(address)]
    for told in (ran.stdout, text):
        assert [private for private in (*secrets, *ids) if private in told] == []
        assert "@" not in told
        assert "Bridge probe" not in told
        # Long runs of letters alone are names of response codes.
        assert [run for run in re.findall(r"[A-Za-z0-9+/=]{30,}", told) if not run.isalpha()] == []
    assert json.loads(ran.stdout)["mailbox"] == "not-configured"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda how: how.name)
def test_an_interrupted_probe_cleans_up(sandbox: SandboxProcess, how: signal.Signals, tmp_path: Path) -> None:
    before = _contents(sandbox)
    sandbox.faults({"match": {"operation": "UploadItems"}, "fault": {"kind": "stall_before", "seconds": 600}})
    errors = tmp_path / "errors"
    with (
        errors.open("w") as stream,
        subprocess.Popen(
            command(TEST_BOX, "--write", "--json", "--guess", "21", "--guess", "69"),
            env=environment(sandbox), stdout=subprocess.PIPE, stderr=stream, text=True,
        ) as run,
    ):  # fmt: skip
        try:
            _until(lambda: sandbox.fault_report()[0]["fired"] == 1)

            run.send_signal(how)

            output, _ = run.communicate(timeout=60)
        finally:
            run.kill()
    report = json.loads(output)
    assert run.returncode == 130, errors.read_text()
    assert (report["interrupted"], report["left"]) == (True, [])
    assert [result["guess"] for result in report["guesses"]] == [21]
    assert _contents(sandbox) == before


def test_a_second_interruption_leaves_things_and_says_so(sandbox: SandboxProcess, tmp_path: Path) -> None:
    sandbox.faults(
        {"match": {"operation": "UploadItems"}, "fault": {"kind": "stall_before", "seconds": 600}},
        {"match": {"operation": "DeleteFolder"}, "fault": {"kind": "stall_before", "seconds": 600}},
    )
    errors = tmp_path / "errors"
    with (
        errors.open("w") as stream,
        subprocess.Popen(
            command(TEST_BOX, "--write", "--json", "--guess", "69"),
            env=environment(sandbox), stdout=subprocess.PIPE, stderr=stream, text=True,
        ) as run,
    ):  # fmt: skip
        try:
            _until(lambda: sandbox.fault_report()[0]["fired"] == 1)
            run.send_signal(signal.SIGINT)
            _until(lambda: sandbox.fault_report()[1]["fired"] == 1)
            run.send_signal(signal.SIGINT)
            output, _ = run.communicate(timeout=60)
        finally:
            run.kill()

    assert run.returncode == 130
    assert json.loads(output)["left"] == ["whatever of the folder and the mails was there: cleaning up was interrupted"]
    assert "look for what is named Bridge probe" in errors.read_text()


def test_a_reader_that_has_seen_enough_does_not_keep_it_from_cleaning(sandbox: SandboxProcess) -> None:
    before = _contents(sandbox)
    chosen = ("--guess", "16", "--guess", "21", "--guess", "69")
    with subprocess.Popen(
        command(TEST_BOX, "--write", *chosen),
        env=environment(sandbox), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as run:  # fmt: skip
        assert run.stdout is not None
        assert "16  same" in line_of(run.stdout, "the first finding", seconds=110)
        run.stdout.close()
        run.wait(60)

    assert _contents(sandbox) == before


def test_a_busy_exchange_is_cleaned_all_the_same(sandbox: SandboxProcess) -> None:
    before = _contents(sandbox)
    sandbox.faults(
        {"match": {"operation": "DeleteFolder"}, "fault": "server_busy", "times": 1},
        {"match": {"operation": "DeleteItem"}, "fault": "item_server_busy", "times": 1},
    )

    ran = probe(sandbox, TEST_BOX, "--write", "--json", "--guess", "16")

    assert [rule["fired"] for rule in sandbox.fault_report()] == [1, 1]
    assert json.loads(ran.stdout)["left"] == []
    assert ran.returncode == 0
    assert _contents(sandbox) == before


@pytest.mark.parametrize(
    "fault",
    [
        {"match": {"operation": "CreateFolder"}, "fault": "cut_after", "times": 1},
        {"match": {"operation": "SendItem"}, "fault": "cut_after", "times": 1},
        {"match": {"operation": "SendItem"}, "fault": "cut_before", "times": 1},
        {"match": {"operation": "CreateItem"}, "fault": "empty", "times": 1},
        {"match": {"operation": "GetItem"}, "fault": "truncated", "times": 1},
    ],
    ids=lambda fault: f"{fault['match']['operation']} {fault['fault']}",
)
def test_a_step_that_fails_says_so_and_leaves_nothing(sandbox: SandboxProcess, fault: dict[str, Any]) -> None:
    before = _contents(sandbox)
    sandbox.faults(fault)

    ran = probe(sandbox, TEST_BOX, "--write", "--json", "--guess", "30")

    (result,) = report(ran).values()
    assert result["state"] == "not checkable"
    assert sandbox.fault_report()[0]["fired"] == 1
    assert json.loads(ran.stdout)["left"] == []
    assert _contents(sandbox) == before


def test_what_cannot_be_removed_is_told(sandbox: SandboxProcess) -> None:
    sandbox.faults(
        {"match": {"operation": "DeleteFolder"}, "fault": {"kind": "item_error", "code": "ErrorAccessDenied"}}
    )

    ran = probe(sandbox, TEST_BOX, "--write", "--json", "--guess", "69")

    assert json.loads(ran.stdout)["left"] == ["the folder (DeleteFolder answers ErrorAccessDenied)"]
    assert ran.returncode == 1
    named = re.search(r"look for what is named (Bridge probe [0-9a-f]{16})$", ran.stderr, re.MULTILINE)
    assert named is not None
    assert named.group(1) in [folder["name"] for folder in sandbox.folders(TEST_BOX)]


def test_a_mailbox_that_workers_use_has_to_be_named_by_its_alias(sandbox: SandboxProcess) -> None:
    by_address, unnamed, unknown = probe(sandbox, WORKED_ON), probe(sandbox), probe(sandbox, "nobody")
    by_alias = probe(sandbox, "dispatch", "--guess", "59")

    assert [ran.returncode for ran in (by_address, unnamed, unknown, by_alias)] == [2, 2, 2, 0]
    assert "name its alias" in by_address.stderr
    assert "the mailbox to probe" in unnamed.stderr
    assert "dispatch" in unknown.stderr
    assert "stop them first" in by_alias.stderr


def test_a_mailbox_in_use_is_probed_only_by_one_who_is_sure(sandbox: SandboxProcess) -> None:
    box = sandbox.add_mailbox("in-use@example.org")["address"]
    for number in range(101):
        sandbox.deliver(box, b"Subject: %d\r\n\r\n" % number)

    refused = probe(sandbox, box, "--write", "--guess", "69")
    sure = probe(sandbox, box, "--write", "--guess", "69", "--yes")

    assert refused.returncode == 2
    assert "101 mails" in refused.stderr
    assert sure.returncode == 0, sure.stderr
    assert len(sandbox.mails(box)) == 101


def test_nothing_about_a_broker_is_needed(sandbox: SandboxProcess, tmp_path: Path) -> None:
    info = sandbox.info
    (tmp_path / "bridge.toml").write_text(
        f'[entra]\ntenant_id = "{info["tenant_id"]}"\nclient_id = "{info["client_id"]}"\n'
        f'ca_file = "{sandbox.ca_file}"\n'
        f'authority_url = "{info["authority_url"]}"\nclient_secret = "{info["client_secret"]}"\n'
        f'[ews]\nurl = "{info["ews_url"]}"\nca_file = "{sandbox.ca_file}"\n'
    )
    alone = {key: value for key, value in environment(sandbox).items() if not key.startswith("BRIDGE_")}

    ran = subprocess.run(
        [*command(TEST_BOX, "--guess", "59"), "--config", str(tmp_path / "bridge.toml")],
        env=alone, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert ran.returncode == 0, ran.stderr
    assert "59  same" in ran.stdout


def test_a_mailbox_that_cannot_be_opened_is_told(sandbox: SandboxProcess) -> None:
    ran = probe(sandbox, "nobody@example.org", "--write")

    assert ran.returncode == 3
    assert "ErrorNonExistentMailbox" in ran.stderr


@pytest.mark.parametrize("kind", ["basic", "ntlm"])
def test_on_premises_every_guess_that_can_be_checked_is_the_same(tmp_path: Path, kind: str) -> None:
    with SandboxProcess(tmp_path / "sandbox", on_premises=True) as sandbox:
        user = sandbox.info["mailboxes"][0]
        (tmp_path / "bridge.toml").write_text(
            f'[ews]\nurl = "{sandbox.info["ews_url"]}"\nca_file = "{sandbox.ca_file}"\nauth = "{kind}"\n'
            f'[[mailboxes]]\nalias = "{user["alias"]}"\naddress = "{user["address"]}"\n'
            f'username = "{user["username"]}"\npassword = "{user["password"]}"\n'
        )

        ran = probe(sandbox, user["alias"], "--write", "--json")

        results = report(ran)
        needs_app = {number for number, step in STEPS.items() if step.sign_in == "oauth"}
        unlike = {number: result for number, result in results.items() if result["state"] != "same"}
        by_hand = {number for number, result in unlike.items() if result["how"] == "by hand"}
        assert set(unlike) == by_hand | THOROUGH | needs_app, unlike
        assert user["password"] not in ran.stdout + ran.stderr


def _until(met: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not met():
        assert time.monotonic() < until
        time.sleep(0.05)
