"""Where values come from, and what is said when they are wrong."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.config import ClientSettings, ConfigurationInvalid, Loaded, Problem, Settings, load

TENANT, CLIENT = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"
SECRET = "the~value"

GOOD = f"""\
[entra]
tenant_id = "{TENANT}"
client_id = "{CLIENT}"
client_secret_file = "secret"
[[mailboxes]]
alias = "dispatch"
address = "dispatch@example.org"
[rabbitmq]
urls = ["amqp://user:pass@broker/vhost"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "secret", f"  {SECRET}\r\n")
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def loaded(folder: Path, text: str = GOOD, **environ: str) -> Loaded[Settings]:
    return load(write(folder / "bridge.toml", text), environ)


def problems(folder: Path, text: str = GOOD, **environ: str) -> dict[str, Problem]:
    with pytest.raises(ConfigurationInvalid) as caught:
        loaded(folder, text, **environ)
    return {problem.key: problem for problem in caught.value.problems}


def test_secret_file_is_read_beside_the_configuration_and_stripped(folder: Path) -> None:
    entra = loaded(folder).settings.entra

    assert entra is not None
    assert entra.client_secret is not None
    assert entra.client_secret.get_secret_value() == SECRET
    assert entra.client_secret_file == folder / "secret"


def test_every_value_knows_its_line(folder: Path) -> None:
    origins = loaded(folder).origins

    path = folder / "bridge.toml"
    assert origins["entra.client_id"] == f"{path}:3"
    assert origins["mailboxes[0].alias"] == f"{path}:6"
    assert origins["rabbitmq.urls"] == f"{path}:9"
    assert origins["entra.client_secret"] == f"{folder / 'secret'}, named by {path}:4"
    assert "http.listen" not in origins


def test_lines_are_right_after_values_of_several_lines_and_in_inline_tables(folder: Path) -> None:
    text = GOOD.replace('urls = ["amqp://user:pass@broker/vhost"]', 'urls = [\n  "amqp://a/",  # one\n]\nca_file = "x"')
    text += 'http = 3\n[log]\nlevel = """\nloud"""\n'

    found = problems(folder, text)

    assert found["rabbitmq.ca_file"].place.endswith("bridge.toml:12")
    assert found["log.level"].place.endswith("bridge.toml:15")


def test_variables_win_over_the_file_and_lists_may_be_separated_by_commas(folder: Path) -> None:
    result = loaded(
        folder,
        BRIDGE_RABBITMQ__URLS="amqps://one/, amqps://two/",
        BRIDGE_MAILBOXES__0__MUST_NOT_REACH='["ceo@example.org"]',
        BRIDGE_MAILBOXES__0__SEND_RATE_PER_MINUTE="unlimited",
        BRIDGE_RABBITMQ__DEFAULT_QUEUE="false",
    )

    settings = result.settings
    assert [url.get_secret_value() for url in settings.rabbitmq.urls] == ["amqps://one/", "amqps://two/"]
    assert settings.mailboxes[0].must_not_reach == ("ceo@example.org",)
    assert settings.mailboxes[0].send_rate_per_minute == "unlimited"
    assert settings.rabbitmq.default_queue is False
    assert result.origins["rabbitmq.urls"] == "BRIDGE_RABBITMQ__URLS"


def test_eleven_mailboxes_can_come_from_numbered_variables(folder: Path) -> None:
    environ = {f"BRIDGE_MAILBOXES__{n}__ALIAS": f"m{n}" for n in range(1, 12)}
    environ |= {f"BRIDGE_MAILBOXES__{n}__ADDRESS": f"m{n}@example.org" for n in range(1, 12)}

    settings = loaded(folder, **environ).settings

    assert [m.alias for m in settings.mailboxes] == ["dispatch", *(f"m{n}" for n in range(1, 12))]


def test_a_gap_in_numbered_mailboxes_is_refused(folder: Path) -> None:
    found = problems(folder, BRIDGE_MAILBOXES__3__ALIAS="far")

    assert found["mailboxes[3].alias"].place == "BRIDGE_MAILBOXES__3__ALIAS"


def test_mailboxes_as_json_replace_those_of_the_file_and_keep_their_origin(folder: Path) -> None:
    result = loaded(
        folder,
        BRIDGE_MAILBOXES='[{"alias": "a", "address": "a@example.org"}]',
        BRIDGE_MAILBOXES__0__READ="false",
    )

    (mailbox,) = result.settings.mailboxes
    assert (mailbox.alias, mailbox.read) == ("a", False)
    assert result.origins["mailboxes[0].alias"] == "BRIDGE_MAILBOXES"
    assert result.origins["mailboxes[0].read"] == "BRIDGE_MAILBOXES__0__READ"


def test_everything_can_come_from_variables_without_a_file(folder: Path) -> None:
    settings = load(
        None,
        {
            "BRIDGE_ENTRA__TENANT_ID": "example.org",
            "BRIDGE_ENTRA__CLIENT_ID": CLIENT,
            "BRIDGE_ENTRA__CLIENT_SECRET_FILE": str(folder / "secret"),
            "BRIDGE_MAILBOXES__0__ALIAS": "a",
            "BRIDGE_MAILBOXES__0__ADDRESS": "a@example.org",
            "BRIDGE_RABBITMQ__URLS": "amqp://broker",
            "BRIDGE_PORT": "tcp://10.0.0.1:80",  # Kubernetes sets this for a service called bridge
        },
    ).settings

    assert settings.entra is not None
    assert settings.entra.authority == "https://login.microsoftonline.com/example.org"


def test_the_file_may_be_named_by_bridge_config(folder: Path) -> None:
    path = write(folder / "bridge.toml", GOOD)

    assert load(None, {"BRIDGE_CONFIG": str(path)}).path == path


@pytest.mark.parametrize("variable", ["BRIDGE_ENTRA__CLIENT_SECRET", "BRIDGE_ENTRA__CLIENT_SECRET_FILE"])
def test_a_secret_from_a_variable_replaces_that_of_the_file_in_either_form(folder: Path, variable: str) -> None:
    new = write(folder / "new", "new~value")
    value = str(new) if variable.endswith("FILE") else "new~value"
    direct = GOOD.replace('client_secret_file = "secret"', 'client_secret = "old~value"')

    for text in (GOOD, direct):
        entra = loaded(folder, text, **{variable: value}).settings.entra

        assert entra is not None
        assert entra.client_secret is not None
        assert entra.client_secret.get_secret_value() == "new~value"


def test_both_forms_of_a_secret_in_one_place_are_refused(folder: Path) -> None:
    text = GOOD.replace("client_secret_file", f'client_secret = "{SECRET}"\nclient_secret_file')

    assert "is given beside client_secret" in problems(folder, text)["entra.client_secret_file"].what


def test_broker_urls_can_come_from_a_file_one_a_line(folder: Path) -> None:
    write(folder / "urls", "amqp://a/\namqp://b/\n")
    text = GOOD.replace('urls = ["amqp://user:pass@broker/vhost"]', 'urls_file = "urls"')

    assert len(loaded(folder, text).settings.rabbitmq.urls) == 2


def test_unknown_keys_are_refused_with_the_nearest_known_name(folder: Path) -> None:
    text = GOOD.replace("tenant_id", "tennant_id") + "[mailbox]\n[http]\ntenant_id = 1\nxyz = 2\n"

    found = problems(folder, text)

    assert found["entra.tennant_id"].fix == "did you mean tenant_id?"
    assert found["mailbox"].fix == "did you mean mailboxes?"
    assert found["http.tenant_id"].fix == "did you mean entra.tenant_id?"
    assert "listen" in found["http.xyz"].fix


def test_the_names_of_other_products_lead_to_ours(folder: Path) -> None:
    text = GOOD.replace("tenant_id", "directory_id").replace("client_id", "application_id")

    found = problems(folder, text)

    assert found["entra.directory_id"].fix == "did you mean tenant_id?"
    assert found["entra.application_id"].fix == "did you mean client_id?"


def test_unknown_variables_are_refused_with_the_nearest_known_name(folder: Path) -> None:
    found = problems(folder, BRIDGE_ENTRA__CLIENT_IDD="x", BRIDGE_RABITMQ__URLS="x", BRIDGE_MAILBOXS="[]")
    by_place = {problem.place: problem for problem in found.values()}

    assert by_place["BRIDGE_ENTRA__CLIENT_IDD"].fix == "did you mean client_id?"
    with pytest.raises(ConfigurationInvalid) as caught:
        loaded(folder, BRIDGE_RABITMQ__URLS="x", BRIDGE_MAILBOXS="[]")
    assert [p.fix for p in caught.value.problems] == ["did you mean BRIDGE_MAILBOXES?", "did you mean BRIDGE_RABBITMQ?"]


def test_a_missing_table_rabbitmq_is_told_with_the_variable_that_can_stand_for_it(folder: Path) -> None:
    found = problems(folder, GOOD.partition("[rabbitmq]")[0])

    assert [(key, problem.fix) for key, problem in found.items()] == [
        ("rabbitmq", "add the table [rabbitmq] with urls, or set BRIDGE_RABBITMQ__URLS")
    ]


def test_everything_wrong_is_told_at_once(folder: Path) -> None:
    text = GOOD.replace('"dispatch"', '"Dispatch"').replace(TENANT, "nowhere").replace("amqp:", "http:")

    assert set(problems(folder, text)) == {"mailboxes[0].alias", "entra.tenant_id", "rabbitmq.urls"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not exist"),
        ("", "is empty"),
        (" \n", "is empty"),
        (b"\xff\xfe\x00", "is not text"),
        ("dir", "directory"),
    ],
)
def test_a_secret_file_that_gives_nothing_says_which_and_why(
    folder: Path, content: str | bytes | None, words: str
) -> None:
    path = folder / "secret"
    path.unlink()
    if content == "dir":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    (problem,) = problems(folder).values()

    assert problem.key == "entra.client_secret_file"
    assert str(path) in problem.what
    assert words in problem.what


def test_an_unreadable_secret_file_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may read everything, so the refusal of the operating system is put in place of a mode.
    read_bytes = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.name == "secret":
            raise PermissionError(13, "Permission denied")
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)

    assert "may not read" in problems(folder)["entra.client_secret_file"].what


def test_a_secret_file_that_everybody_may_read_is_warned_of(folder: Path) -> None:
    (folder / "secret").chmod(0o644)

    (warning,) = loaded(folder).warnings

    assert warning.key == "entra.client_secret_file"
    assert warning.fix.startswith("chmod")


def test_a_secret_that_looks_like_its_id_is_warned_of(folder: Path) -> None:
    write(folder / "secret", "77777777-2222-3333-4444-555555555555")

    (warning,) = loaded(folder).warnings

    assert warning.key == "entra.client_secret"


def test_secrets_in_a_configuration_file_that_everybody_may_read_are_warned_of(folder: Path) -> None:
    path = write(folder / "bridge.toml", GOOD.replace('client_secret_file = "secret"', f'client_secret = "{SECRET}"'))
    path.chmod(0o644)

    assert [warning.key for warning in load(path, {}).warnings] == ["entra.client_secret", "rabbitmq.urls"]
    assert [w.key for w in load(path, {"BRIDGE_RABBITMQ__URLS": "amqp://u:p@h"}).warnings] == ["entra.client_secret"]


def test_tables_written_as_something_else_say_how_to_write_them(folder: Path) -> None:
    found = problems(folder, GOOD.replace("[[mailboxes]]", "[mailboxes]"))
    assert "double brackets" in found["mailboxes"].fix

    found = problems(folder, "http = 3\n" + GOOD)
    assert found["http"].fix == "write it as [http], with its keys below"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not exist"),
        (b"[entra", "is no TOML"),
        (b"\xff\xff", "is not UTF-8"),
        (b"a = " + b"[" * 5_000, "too long or too deep"),
        (b"a = " + b"9" * 6_000, "too long or too deep"),
    ],
)
def test_a_configuration_file_that_cannot_be_read_says_why(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "bridge.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigurationInvalid, match=words):
        load(path, {})


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", '"9999-12-31T23:59:59-10:00"'])
def test_a_time_that_there_is_not_is_told(folder: Path, moment: str) -> None:
    text = GOOD.replace("client_secret_file", f"client_secret_expires_at = {moment}\nclient_secret_file")

    assert "is no time" in problems(folder, text)["entra.client_secret_expires_at"].what


def test_a_path_that_is_none_is_told(folder: Path) -> None:
    found = problems(folder, GOOD.replace('client_secret_file = "secret"', 'client_secret_file = "a\\u0000b"'))

    assert "which is no path" in found["entra.client_secret_file"].what


@pytest.mark.parametrize("host", ["mail.example.org ", "mail\\u0000"])
def test_a_host_name_that_is_none_is_told(folder: Path, host: str) -> None:
    found = problems(folder, GOOD.replace("[rabbitmq]", f'[ews]\nurl = "https://{host}/EWS/Exchange.asmx"\n[rabbitmq]'))

    assert "has a space in its host name" in found["ews.url"].what


def test_a_list_in_a_variable_that_has_no_end_is_told(folder: Path) -> None:
    found = problems(folder, GOOD, BRIDGE_RABBITMQ__URLS="[" * 100_000)

    assert "starts like a JSON list" in found["rabbitmq.urls"].what


def test_a_ca_file_must_hold_a_certificate(folder: Path) -> None:
    write(folder / "ca.pem", "nothing of the kind")

    found = problems(folder, GOOD + 'ca_file = "ca.pem"\n')

    assert "no PEM certificate" in found["rabbitmq.ca_file"].what


def test_no_message_repeats_a_value(folder: Path) -> None:
    marker = "mArKeR"
    text = f"""\
[entra]
tenant_id = "{marker}"
client_id = "{marker}"
client_secret = "'{marker}'"
cloud = "{marker}"
authority_url = "http://{marker}"
timeout_seconds = "{marker}"
[ews]
url = "https://{marker}:{marker}@host/x"
auth = "{marker}"
[[mailboxes]]
alias = "{marker}"
address = "{marker}"
ignore_before = "{marker}"
after_publish = "{marker}"
send_rate_per_minute = "{marker}"
folders = "drafts,{marker}"
[rabbitmq]
urls = ["http://{marker}"]
heartbeat_seconds = "{marker}"
[http]
listen = "{marker}"
[log]
level = "{marker}"
"""
    with pytest.raises(ConfigurationInvalid) as caught:
        loaded(folder, text, BRIDGE_MAILBOXES__1__ALIAS=marker, BRIDGE_INGEST=marker)

    assert len(caught.value.problems) >= 17
    assert marker not in str(caught.value)
    assert marker not in repr(caught.value.problems)


def test_a_command_for_the_broker_alone_needs_nothing_else(folder: Path) -> None:
    (folder / "secret").unlink()
    text = GOOD.replace('"dispatch"', '"NO"')

    settings = load(write(folder / "bridge.toml", text), {}, ClientSettings).settings

    assert len(settings.rabbitmq.urls) == 1


def test_a_command_for_the_broker_alone_still_refuses_unknown_keys(folder: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match="did you mean tenant_id"):
        load(write(folder / "bridge.toml", GOOD.replace("tenant_id", "tenant_idd")), {}, ClientSettings)


def test_a_missing_configuration_says_how_to_give_one() -> None:
    with pytest.raises(ConfigurationInvalid, match="--config FILE or BRIDGE_CONFIG"):
        load(None, {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")})


def test_where_no_file_was_given_that_comes_before_what_the_variables_lack() -> None:
    """A forgotten BRIDGE_CONFIG used to be told as a file without mailboxes."""
    with pytest.raises(ConfigurationInvalid) as caught:
        load(None, {"BRIDGE_RABBITMQ__URLS": "amqp://user:pass@broker/vhost"})

    first, *others = caught.value.problems
    assert str(first) == (
        "no configuration file was given, and the variables are not enough: --config FILE or BRIDGE_CONFIG"
    )
    assert "mailboxes" in {problem.key for problem in others}


def test_a_wrong_value_among_variables_that_are_enough_is_told_alone() -> None:
    environ = {
        "BRIDGE_ENTRA__TENANT_ID": TENANT,
        "BRIDGE_ENTRA__CLIENT_ID": CLIENT,
        "BRIDGE_ENTRA__CLIENT_SECRET": SECRET,
        "BRIDGE_MAILBOXES__0__ALIAS": "dispatch",
        "BRIDGE_MAILBOXES__0__ADDRESS": "dispatch@example.org",
        "BRIDGE_RABBITMQ__URLS": "amqp://user:pass@broker/vhost",
    }
    assert load(None, environ).path is None

    with pytest.raises(ConfigurationInvalid) as caught:
        load(None, environ | {"BRIDGE_MAILBOXES__0__SEND_RATE_PER_MINUTE": "many"})

    assert [problem.key for problem in caught.value.problems] == ["mailboxes[0].send_rate_per_minute"]

    del environ["BRIDGE_RABBITMQ__URLS"]
    with pytest.raises(ConfigurationInvalid) as caught:
        load(None, environ)

    assert [problem.key for problem in caught.value.problems] == ["rabbitmq"]


def test_a_date_alone_means_midnight_in_utc(folder: Path) -> None:
    for written in ("2026-01-31", '"2026-01-31"', "2026-01-31T01:00:00+01:00"):
        text = GOOD.replace("[rabbitmq]", f"ignore_before = {written}\n[rabbitmq]")

        assert loaded(folder, text).settings.mailboxes[0].ignore_before == datetime(2026, 1, 31, tzinfo=UTC)


def test_a_time_without_offset_is_refused(folder: Path) -> None:
    text = GOOD.replace("[rabbitmq]", "ignore_before = 2026-01-31T01:00:00\n[rabbitmq]")

    assert "no offset" in problems(folder, text)["mailboxes[0].ignore_before"].what


@pytest.mark.parametrize(
    ("environ", "key", "code"),
    [
        ({"BRIDGE_ENTRA__TENANT_ID": ""}, "entra.tenant_id", "setting_missing"),
        ({"BRIDGE_ENTRA__TENANT_ID": "no tenant"}, "entra.tenant_id", "setting_malformed"),
        ({"BRIDGE_ENTRA__CLIENT_ID": "'x'"}, "entra.client_id", "setting_quoted"),
        ({"BRIDGE_EWS__URL": "http://exchange.example.org/EWS/Exchange.asmx"}, "ews.url", "url_unencrypted"),
        ({"BRIDGE_EWS__CA_FILE": "/nowhere/ca.pem"}, "ews.ca_file", "setting_file_unusable"),
        ({"BRIDGE_MAILBOXES__0__ADDRESS": "nobody"}, "mailboxes[0].address", "setting_malformed"),
        ({"BRIDGE_HTTP__LISTEN": "nowhere"}, "http.listen", "configuration"),
        ({"BRIDGE_RABBITMQ__MANAGEMENT_URL": "http://broker.example.org:15672"}, "rabbitmq.management_url",
         "url_unencrypted"),
    ],
)  # fmt: skip
def test_a_problem_has_a_code_for_scripts(folder: Path, environ: dict[str, str], key: str, code: str) -> None:
    assert problems(folder, **environ)[key].code == code


def test_the_management_api_may_be_reached_without_tls_on_this_machine_alone(folder: Path) -> None:
    assert loaded(folder, BRIDGE_RABBITMQ__MANAGEMENT_URL="http://127.0.0.1:15672").settings.rabbitmq.management_url
