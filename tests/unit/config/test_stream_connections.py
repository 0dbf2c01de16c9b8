"""How many connections there may be on which Exchange tells of mail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.config import load
from bridge.tellers import most_connections

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
