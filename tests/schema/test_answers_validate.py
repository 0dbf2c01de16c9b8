"""What the sandbox answers is what the official schema allows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.schema.official import invalid_answers

_CHECKOUT = Path(__file__).parents[2]
_RECORD = "BRIDGE_SANDBOX_RECORD"


def test_every_answer_of_the_ews_tests_validates(tmp_path: Path) -> None:
    """The tests of the operations run once more with every body kept."""
    environment = {**os.environ, _RECORD: str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/unit/sandbox/ews"],
        cwd=_CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    operations = {path.name.split("-")[2].split(".")[0] for path in tmp_path.rglob("*.response.xml")}

    assert ran.returncode == 0, ran.stdout[-3000:]
    assert invalid_answers(tmp_path) == []
    assert operations >= {
        "ConvertId", "CopyItem", "CreateAttachment", "CreateFolder", "CreateItem", "DeleteAttachment", "DeleteFolder",
        "DeleteItem", "EmptyFolder", "FindFolder", "FindItem", "GetAttachment", "GetFolder", "GetItem",
        "GetServerTimeZones", "MoveItem", "ResolveNames", "SendItem", "UpdateFolder", "UpdateItem",
    }  # fmt: skip


def test_answers_kept_by_other_runs_validate() -> None:
    """A run of other suites with BRIDGE_SANDBOX_RECORD set leaves its answers there to be checked."""
    folder = os.environ.get(_RECORD)

    assert invalid_answers(Path(folder) if folder else Path("/nonexistent")) == []
