"""What commands open: the mailbox as it is, or as a worker reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.adapters.ews.inbox import EwsInbox
from bridge.bootstrap.mailboxes import OpenMailbox
from bridge.config import load

if TYPE_CHECKING:
    from pathlib import Path

_SETTINGS = """\
[ews]
url = "https://exchange.example.org/EWS/Exchange.asmx"
auth = "ntlm"
[[mailboxes]]
alias = "dispatch"
address = "dispatch@example.org"
username = "EXAMPLE\\\\bridge"
ignore_before = "2026-11-01"
[rabbitmq]
urls = ["amqp://broker/vhost"]
"""


def test_mail_that_workers_leave_where_it_is_is_still_seen_by_who_retries_it(tmp_path: Path) -> None:
    """Else a mail that was put back, and that no worker reads, would be reported as published."""
    (tmp_path / "bridge.toml").write_text(_SETTINGS)
    settings = load(tmp_path / "bridge.toml", {"BRIDGE_MAILBOXES__0__PASSWORD": "x"}).settings

    opened = OpenMailbox(settings, settings.mailboxes[0], None)

    try:
        assert isinstance(opened.inbox, EwsInbox)
        assert isinstance(opened.inbox_as_read, EwsInbox)
        assert opened.inbox._restriction() == []
        assert opened.inbox_as_read._restriction() != []
    finally:
        opened.close()
