"""What a program loads that only wants payloads from a queue."""

from __future__ import annotations

import json
import subprocess
import sys

_LOADED = "import json, sys, bridge.client; print(json.dumps(sorted(sys.modules)))"


def test_the_client_loads_neither_the_mail_parser_nor_anything_of_exchange() -> None:
    done = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, text=True, check=True, timeout=60)
    loaded = json.loads(done.stdout)

    assert "bridge.wire.inbound_v1" in loaded
    heavy = (
        "bridge.mime",
        "bridge.adapters",
        "bridge.config",
        "exchangelib",
        "msal",
        "lxml",
        "aiohttp",
        "cryptography",
    )
    assert [name for name in loaded if name.startswith(heavy)] == []
