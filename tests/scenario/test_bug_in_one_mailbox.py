"""A bug that only one mailbox meets: the worker lives, the other mailboxes are read, people see which one is not."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from tests.scenario.conftest import ADDRESS, make_site
from tests.support.sandbox import SandboxProcess
from tests.support.workers import Worker, take, until

if TYPE_CHECKING:
    from pathlib import Path

BROKEN = "broken@example.org"
PART = "mailbox:broken:ingest"


def test_a_bug_in_one_mailbox_stops_that_one_until_it_is_gone(tmp_path: Path, broker_url: str) -> None:
    bug = tmp_path / "bug"
    bug.touch()
    with SandboxProcess(tmp_path / "sandbox", mailboxes=[ADDRESS, BROKEN]) as sandbox:
        site = make_site(tmp_path, sandbox, broker_url)
        mailboxes = [{"alias": "dispatch", "address": ADDRESS}, {"alias": "broken", "address": BROKEN}]
        worker = site.worker("ingest", MAILBOXES=json.dumps(mailboxes))
        worker._command = [sys.executable, "-m", "tests.support.broken_mailbox", str(bug), BROKEN, "ingest"]
        for address in (ADDRESS, BROKEN):
            sandbox.deliver(address, b"Subject: one\r\n\r\none\r\n")
        with worker:
            until(lambda: site.count(address=ADDRESS) == 0, "the mail of the other mailbox")
            until(lambda: _code(worker) == "unexpected_error", "health to say so")
            sandbox.deliver(ADDRESS, b"Subject: two\r\n\r\ntwo\r\n")
            until(lambda: site.count(address=ADDRESS) == 0, "mail that came after the bug")

            assert site.count(address=BROKEN) == 1
            assert not worker.ready()
            assert worker.health()["mailbox:dispatch:ingest"]["code"] == "ok"
            assert worker.metric("bridge_process_ended_work_total", part=PART) >= 1
            [ended, *_] = worker.told("process.work_ended")
            assert (ended["part"], ended["error"]) == (PART, "LookupError")
            assert "bridge/ingest/reader.py" in ended["where"]
            assert BROKEN not in json.dumps(worker.log_lines())

            bug.unlink()
            until(lambda: site.count(address=BROKEN) == 0, "the mailbox to be read again", seconds=120)
            until(worker.ready, "the worker to be well")
            assert worker.stop() == 0
    assert len(take(broker_url)) == 3


def _code(worker: Worker) -> str:
    return str(worker.health().get(PART, {}).get("code"))
