"""How many connections there may be on which Exchange tells of mail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.bootstrap.notifications import most_connections
from bridge.config import load

if TYPE_CHECKING:
    from pathlib import Path

_ON_PREMISES = """\
[ews]
url = "https://exchange.example.org/EWS/Exchange.asmx"
auth = "ntlm"
impersonate = {impersonate}
[[mailboxes]]
alias = "dispatch"
address = "dispatch@example.org"
username = "EXAMPLE\\\\bridge"
password_file = "password"
[rabbitmq]
urls = ["amqp://broker/vhost"]
[ingest]
stream_connections = 3
"""


@pytest.mark.parametrize(("impersonate", "most"), [("true", 3), ("false", 1)])
def test_a_service_account_is_told_by_as_many_servers_as_an_app(tmp_path: Path, impersonate: str, most: int) -> None:
    for name, text in (("password", "x"), ("bridge.toml", _ON_PREMISES.format(impersonate=impersonate))):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)

    assert most_connections(load(tmp_path / "bridge.toml", {}).settings, None) == most


_MANY = """\
[ews]
url = "https://exchange.example.org/EWS/Exchange.asmx"
auth = "ntlm"
connections = {connections}
connections_in_all = 64
[rabbitmq]
urls = ["amqp://broker/vhost"]
"""
_ONE_OF_MANY = """\
[[mailboxes]]
alias = "m{0}"
address = "m{0}@example.org"
username = "m{0}"
password_file = "password"
"""


@pytest.mark.parametrize(
    ("connections", "logins", "each"), [(8, 1, 8), (8, 8, 8), (8, 16, 4), (8, 500, 2), (100, 1, 64), (1, 4, 1)]
)
def test_calls_of_all_logins_together_have_a_bound_and_none_waits_for_anothers(
    tmp_path: Path, connections: int, logins: int, each: int
) -> None:
    text = _MANY.format(connections=connections) + "".join(_ONE_OF_MANY.format(number) for number in range(logins))
    for name, content in (("password", "x"), ("bridge.toml", text)):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)

    assert load(tmp_path / "bridge.toml", {}).settings.connections_each == each
