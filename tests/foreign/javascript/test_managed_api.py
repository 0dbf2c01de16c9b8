"""The npm port of Microsoft's EWS Managed API against a sandbox, one test for each check of client.mjs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.sandbox import SandboxProcess

_HERE = Path(__file__).parent
CHECKS = tuple(re.findall(r'^check\("(.+?)", async', (_HERE / "client.mjs").read_text(), re.MULTILINE))

# One run makes all the results: whichever test comes first waits for it.
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """What came of each check, None for nothing wrong."""
    assert shutil.which("npm"), "Node.js with npm is needed (Debian: nodejs, npm)"
    folder = tmp_path_factory.mktemp("javascript")
    for name in ("package.json", "package-lock.json", "client.mjs"):
        shutil.copy(_HERE / name, folder)
    subprocess.run(
        ["npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", "--silent", "--ignore-scripts"],
        cwd=folder,
        check=True,
        timeout=120,
    )
    sandbox = SandboxProcess(folder / "sandbox", mailboxes=["dispatch@example.org", "crew@example.org"])
    with sandbox:
        environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        environment["NODE_EXTRA_CA_CERTS"] = sandbox.info["ca_file"]
        ran = subprocess.run(
            ["node", "client.mjs", str(folder / "sandbox" / "sandbox.json")],
            cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
    found = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    assert ran.returncode == 0, ran.stderr[-3000:]
    return {one["name"]: one.get("error") for one in found}


@pytest.mark.parametrize("name", CHECKS)
def test_the_managed_api(results: dict[str, str | None], name: str) -> None:
    assert name in results
    assert results[name] is None
