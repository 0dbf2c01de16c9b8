"""What the demo's processes see of the surroundings."""

from __future__ import annotations

from bridge.demo.processes import inherited


def test_settings_of_another_bridge_and_proxies_are_not_for_the_demo() -> None:
    environ = {
        "PATH": "/bin",
        "BRIDGE_MAILBOXES": "[]",
        "BRIDGE_EGRESS__LEDGER_DAYS": "1",
        "BRIDGE_SANDBOX_RECORD": "/record",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "no_proxy": "localhost",
    }

    assert inherited(environ) == {"PATH": "/bin", "BRIDGE_SANDBOX_RECORD": "/record"}
