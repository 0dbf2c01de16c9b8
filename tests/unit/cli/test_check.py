"""What `bridge check` says when the ground is missing. With a sandbox and a broker it is tried elsewhere."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.system.reach import reach
from bridge.cli.check import _Printer, check_all, exit_code
from bridge.cli.exits import Exit
from bridge.doctor.findings import doubtful, failed, ok, skipped
from bridge.errors import BrokerAccessRefused, MailboxAccessDenied

if TYPE_CHECKING:
    from bridge.doctor.findings import Finding

CLIENT = "99999999-2222-3333-4444-555555555555"
_WELL = ok("rabbitmq login", "log in", "logged in")
_DOUBT = doubtful("configuration", "read it", "readable_by_everyone")
_WRONG = failed("mailbox", "open it", MailboxAccessDenied())
_NOT_TRIED = skipped("blob store", "write, read, delete", "none is configured")


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


async def test_a_name_that_nobody_knows() -> None:
    assert (await reach("nowhere.invalid", 443, tls=True)).code == "name_unresolved"


async def test_a_port_on_which_nobody_listens(closed_port: int) -> None:
    found = await reach("127.0.0.1", closed_port, tls=True)

    assert found.code == "host_unreachable"
    assert "127.0.0.1" in found.detail


async def test_a_port_that_does_not_answer_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = await reach("127.0.0.1", silent.getsockname()[1], tls=True, timeout_seconds=0.2)

    assert found.code == "host_unreachable"
    assert "0.2 s" in found.detail


async def test_a_listener_is_reached_without_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = await reach("127.0.0.1", listener.getsockname()[1], tls=False)

    assert found.code == "ok"


async def test_a_ca_file_that_holds_none(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n")

    assert (await reach("127.0.0.1", 1, tls=True, ca_file=path)).code == "ca_file_unusable"


def test_an_error_becomes_a_finding_with_its_meaning_and_fix() -> None:
    finding = failed("mailbox dispatch", "make a draft", MailboxAccessDenied("ErrorAccessDenied"))

    assert (finding.state, finding.code) == ("failed", "mailbox_access_denied")
    assert finding.as_lines() == (
        f"FAIL  mailbox dispatch: make a draft: {finding.means} [mailbox_access_denied]\n"
        f"      came back: ErrorAccessDenied\n"
        f"      to do:     {finding.fix}"
    )


def test_what_the_other_side_said_does_not_steer_the_terminal() -> None:
    said = BrokerAccessRefused("403 \x1b[2J\x1b]0;mine\x07 refused\r\nok    all is well" + "x" * 100_000)

    lines = failed("rabbitmq login", "log in", said).as_lines().splitlines()

    assert len(lines) == 3
    assert lines[1].startswith("      came back: 403  [2J ]0;mine  refused  ok    all is well")
    assert len(lines[1]) < 2_100


def test_the_last_line_counts_the_findings_under_the_names_of_their_states(capsys: pytest.CaptureFixture[str]) -> None:
    _Printer(as_json=False).sum_up([_WELL, _WELL, _DOUBT, _NOT_TRIED])

    assert capsys.readouterr().out == "2 ok, 0 failed, 1 with a warning, 1 skipped\n"


def test_what_works_takes_one_line() -> None:
    assert ok("rabbitmq login", "log in", "logged in").as_lines() == "ok    rabbitmq login: log in: logged in"


def test_the_app_s_id_stands_in_the_fix_where_it_is_known() -> None:
    finding = doubtful("mailbox dispatch", "open it", "ews_blocked")

    assert "<client_id>" in finding.of_app(None).fix
    assert f'-EwsAllowedAppIDs "IDS_THERE,{CLIENT}"' in finding.of_app(CLIENT).fix


@pytest.mark.parametrize(
    ("found", "code", "with_warnings_allowed"),
    [
        ([_WELL], Exit.OK, Exit.OK),
        ([_WELL, _DOUBT], Exit.WARNING, Exit.OK),
        ([_DOUBT, _WRONG], Exit.NO, Exit.NO),
        ([_WELL, _NOT_TRIED], Exit.OK, Exit.OK),
    ],
)
def test_the_exit_code_is_0_only_where_all_is_well(
    found: list[Finding], code: Exit, with_warnings_allowed: Exit
) -> None:
    assert exit_code(found, allow_warnings=False) == code
    assert exit_code(found, allow_warnings=True) == with_warnings_allowed


def test_a_wrong_configuration_is_the_first_and_only_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bridge.toml"
    path.write_text('[entra]\ntennant_id = "x"\n')

    code = check_all(path, as_json=True)

    told = json.loads(capsys.readouterr().out)
    assert code == Exit.USAGE
    assert told["ok"] is False
    assert {finding["step"] for finding in told["findings"]} == {"configuration"}
    assert told["findings"][0]["code"] == "setting_unknown"
    assert any("did you mean tenant_id?" in finding["fix"] for finding in told["findings"])


def test_hosts_out_of_reach_are_found_and_what_depends_on_them_is_skipped(
    tmp_path: Path, closed_port: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "bridge.toml"
    path.write_text(f"""\
[entra]
tenant_id = "example.org"
client_id = "{CLIENT}"
client_secret = "mArKeR"
authority_url = "https://127.0.0.1:{closed_port}"
[ews]
url = "https://127.0.0.1:{closed_port}/EWS/Exchange.asmx"
[[mailboxes]]
alias = "dispatch"
address = "dispatch@example.org"
[rabbitmq]
urls = ["amqp://u:mArKeR@127.0.0.1:{closed_port}/"]
""")
    path.chmod(0o600)

    code = check_all(path, as_json=True)

    captured = capsys.readouterr()
    told = [(finding["step"].partition(" ")[0], finding["code"]) for finding in json.loads(captured.out)["findings"]]
    assert code == Exit.NO
    assert told == [
        ("configuration", "ok"),
        ("entra", "host_unreachable"),
        ("entra", "skipped"),
        ("ews", "host_unreachable"),
        ("mailbox", "skipped"),
        ("rabbitmq", "broker_unavailable"),
        ("rabbitmq", "skipped"),
        ("blob", "skipped"),
    ]
    assert "mArKeR" not in captured.out + captured.err
