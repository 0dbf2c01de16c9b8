"""The command line as people and scripts meet it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import pytest

from bridge import __version__
from bridge.cli.exits import Exit, run_guarded
from bridge.errors import BridgeError, BrokerUnavailable, ConfigurationError, RequestInvalid

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "deploy" / "bridge.example.toml"


def bridge(*arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    return subprocess.run(
        [sys.executable, "-m", "bridge", *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        env=inherited | {"NO_COLOR": "1", "COLUMNS": "200"} | environ,
    )


def test_version_is_told() -> None:
    assert bridge("--version").stdout == f"bridge {__version__}\n"


def test_help_names_every_command_and_the_exit_codes() -> None:
    text = bridge("--help").stdout

    for command in (
        "ingest",
        "egress",
        "run",
        "check",
        "topology",
        "config",
        "schemas",
        "send",
        "tail",
        "sandbox",
        "demo",
    ):
        assert f" {command} " in text, command
    assert "Exit codes" in text


def test_help_shows_first_what_an_operator_runs() -> None:
    text = bridge("--help").stdout

    assert text.index(" Run ") < text.index(" Set up ") < text.index(" Develop ")


def test_schemas_outside_a_checkout_is_a_wrong_command_line(tmp_path: Path) -> None:
    done = bridge("schemas", "check", "--root", tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "this is no checkout of the project: go to its folder, or name it with --root\n"


def test_help_imports_nothing_heavy() -> None:
    program = "import sys; import bridge.cli.app; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout

    heavy = {"pydantic", "exchangelib", "msal", "pika", "aiohttp", "structlog", "prometheus_client", "lxml", "requests"}
    assert not heavy & set(loaded.split())


def test_help_comes_at_once() -> None:
    started = time.monotonic()
    bridge("--help")

    assert time.monotonic() - started < 30  # 0.2 s on an idle machine; the test before this one guards the reason


@pytest.mark.parametrize("command", ["ingest", "egress", "run"])
def test_a_wrong_configuration_stops_the_start_with_everything_that_is_wrong(tmp_path: Path, command: str) -> None:
    path = tmp_path / "bridge.toml"
    path.write_text('[entra]\ntennant_id = "x"\n[http]\nlisten = "nowhere"\n')

    result = bridge(command, "--config", path)

    assert result.returncode == Exit.USAGE
    assert f"entra.tennant_id is unknown ({path}:2): did you mean tenant_id?" in result.stderr
    assert "http.listen is no host:port" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_config_show_is_json_for_scripts_with_warnings_on_standard_error(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mArKeR")
    secret.chmod(0o644)

    result = bridge("config", "show", "--json", "-c", EXAMPLE, BRIDGE_ENTRA__CLIENT_SECRET_FILE=str(secret))

    rows = {row["key"]: row for row in json.loads(result.stdout)}
    assert rows["entra.client_secret"]["value"] == "********"
    assert "warning: entra.client_secret_file" in result.stderr
    assert "mArKeR" not in result.stdout + result.stderr


def test_config_show_is_a_table_for_people() -> None:
    result = bridge("config", "show", BRIDGE_CONFIG=str(EXAMPLE), BRIDGE_ENTRA__CLIENT_SECRET="mArKeR")

    assert result.returncode == Exit.OK
    assert "BRIDGE_ENTRA__CLIENT_SECRET" in result.stdout
    assert "mArKeR" not in result.stdout
    assert "(not set)" in result.stdout
    assert "null" not in result.stdout


@pytest.mark.parametrize("command", [("send", "dispatch", "--to", "a@b.example", "--text", "x"), ("tail",)])
def test_a_broker_that_cannot_be_reached_is_named_without_its_password(command: tuple[str, ...]) -> None:
    result = bridge(*command, BRIDGE_RABBITMQ__URLS="amqp://cad:mArKeR@127.0.0.1:1/")

    assert result.returncode == Exit.OUTSIDE
    assert "127.0.0.1:1" in result.stderr
    assert "mArKeR" not in result.stdout + result.stderr


def test_the_configuration_schema_is_shown() -> None:
    assert json.loads(bridge("config", "schema").stdout)["title"] == "Configuration of the Exchange mail bridge"


def test_an_unknown_option_is_a_wrong_command_line() -> None:
    assert bridge("ingest", "--nonsense").returncode == Exit.USAGE


def code_of(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    def fail() -> NoReturn:
        raise error

    with pytest.raises(SystemExit) as ended:
        run_guarded(fail)
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().err


def test_an_error_of_ours_is_one_line_with_code_meaning_and_fix(capsys: pytest.CaptureFixture[str]) -> None:
    code, err = code_of(BrokerUnavailable("mq1:5672"), capsys)

    assert code == Exit.OUTSIDE
    assert err.startswith("broker_unavailable: there is no connection to RabbitMQ (mq1:5672): check")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x: y"), Exit.USAGE),
        (BridgeError(), Exit.OUTSIDE),
        (RequestInvalid("to", "is no address"), Exit.USAGE),
        (ValueError("mArKeR"), Exit.BUG),
        (KeyboardInterrupt(), Exit.INTERRUPTED),
        (BrokenPipeError(), Exit.OK),
    ],
)
def test_exit_codes(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    told, err = code_of(error, capsys)

    assert told == code
    assert "mArKeR" not in err
    assert "Traceback" not in err


def test_a_command_that_ends_well_exits_with_0() -> None:
    with pytest.raises(SystemExit) as ended:
        run_guarded(lambda: None)

    assert ended.value.code == 0


def test_the_documented_exit_codes_are_those_of_the_code() -> None:
    page = (ROOT / "docs" / "commands.md").read_text()

    for code in Exit:
        assert f"| {code.value} |" in page


def test_export_prints_rights_and_scopes_for_each_user_and_never_a_password() -> None:
    """Of the url only the virtual host is used."""
    urls = {"BRIDGE_CONFIG": str(EXAMPLE), "BRIDGE_RABBITMQ__URLS": "amqps://admin:mArKeR@broker/mail"}

    scopes = bridge("topology", "export", "--scopes", "--prefix", "x.", **urls)
    rights = bridge("topology", "export", "--rights", **urls)

    assert json.loads(scopes.stdout)["bridge-cad-publisher"] == ["x.write:mail/mail.outbound"]
    assert {one["vhost"] for one in json.loads(rights.stdout)["permissions"]} == {"mail"}
    assert "users" not in json.loads(rights.stdout)
    for said in (scopes, rights):
        assert "mArKeR" not in said.stdout + said.stderr
        assert "password" not in said.stdout
