"""Clients by the dozen and kills in between: everything adds up. And the account notices when it does not."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from tests.stress.run import Plan, Run


@pytest.mark.timeout(300)
def test_nothing_is_lost_or_doubled_whatever_clients_do_and_whenever_it_is_killed() -> None:
    """The short form of `tests/run.sh stress`."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.stress", "--clients", "20", "--seconds", "9", "--kill-every", "3"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    figures = json.loads(ended.stdout.splitlines()[-1])
    assert figures["problems"] == 0
    assert figures["kills"] >= 2
    assert figures["lost_answers"] > 0
    assert set(figures["by_operation"]) >= {"send_new", "send_draft", "move", "delete", "empty_folder", "grab"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that added up."""
    run = Run(Plan(seed=11, clients=20, seconds=3, kill_every=0), tmp_path_factory.mktemp("stress") / "sandbox")
    figures = run.do()
    assert figures["problems"] == 0, run.journal.problems
    return run


_SPOILT = {
    "a mail is lost": (
        """DELETE FROM items WHERE id = (SELECT min(i.id) FROM items AS i JOIN folders AS f ON f.id = i.folder
           WHERE f.distinguished = 'inbox')""",
        "nowhere",
    ),
    "a mail is doubled": (
        """INSERT INTO items (id, mailbox, folder, change, content, props)
           SELECT id + 900000, mailbox, folder, change + 900000, content, props FROM items
           WHERE id = (SELECT max(id) FROM items)""",
        "by the journal|lies|of the pot|which nobody made",
    ),
    "a send is recorded twice": (
        """INSERT INTO sends (mailbox, at, internet_message_id, sender, recipients, named)
           SELECT mailbox, at, internet_message_id, sender, recipients, named FROM sends ORDER BY id LIMIT 1""",
        "recorded as sent 2 times",
    ),
    "a send is forgotten": (
        "DELETE FROM sends WHERE id = (SELECT min(id) FROM sends)",
        "recorded as sent 0 times",
    ),
    "a count is wrong": ("UPDATE folders SET unread = unread + 1 WHERE distinguished = 'inbox'", "counts of"),
    "a change is missing in the log": (
        "DELETE FROM changes WHERE seq = (SELECT max(seq) - 5 FROM changes)",
        "the log of changes has a gap",
    ),
    "a stamp is another": (
        "UPDATE items SET props = replace(props, ':Stamp:0003\":', ':Stamp:0003\":7') WHERE props LIKE '%:Stamp:0003%'",
        "stamp|stands at",
    ),
}


@pytest.mark.parametrize("what", _SPOILT)
def test_the_account_notices_when(finished: Run, what: str) -> None:
    statement, told = _SPOILT[what]
    file = finished.sandbox.directory / "store.sqlite"
    whole = file.read_bytes()
    before = len(finished.journal.problems)
    try:
        with closing(sqlite3.connect(file)) as db:
            assert db.execute(statement).rowcount > 0
            db.commit()
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

        finished.check_again()

        problems = finished.journal.problems[before:]
        assert any(part in problem for problem in problems for part in told.split("|")), problems
    finally:
        file.write_bytes(whole)
