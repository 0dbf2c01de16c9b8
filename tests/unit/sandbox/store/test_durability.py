"""A process killed at any moment has kept all that it answered, and nothing by halves."""

from __future__ import annotations

import os
import random
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path

from bridge.sandbox.store import Store

ME, OTHER = "dispatch@example.org", "base@example.org"

# Delivers, submits and settles; says each step on standard output once it was committed.
_WORKER = """
import sys
from pathlib import Path
from bridge.sandbox.store import Store, folders, items, sends
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.mime import bag_of
store = Store(Path(sys.argv[1]))
me = store.mailbox("dispatch@example.org")
def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\\n")
    sys.stdout.flush()
for pending in store.pending():
    store.settle(pending.submission, [("base@example.org", pending.mime)])
    say("settled", pending.submission)
for number in range(10**9):
    name = f"{sys.argv[2]}-{number}"
    store.deliver(me.address, f"Message-ID: <{name}@x>\\n\\n".encode() + b"x" * (number * 977 % 60000))
    say("delivered", name)
    mime = f"To: base@example.org\\nMessage-ID: <s-{name}@x>\\n\\n".encode()
    with store.writing() as db:
        bag = bag_of(mime, p.from_micros(0))
        item = items.insert(db, me.id, folders.folder(db, me.id, "drafts").id, bag, mime=mime)
        submitted = sends.submit(db, me, item, save_to=folders.folder(db, me.id, "sentitems").id)
    say("sent", f"s-{name}")
    store.settle(submitted.submission, [("base@example.org", submitted.mime)])
"""
_ROUNDS = 12


def _run_and_kill(path: Path, number: int, chance: random.Random) -> list[str]:
    """Let the worker work for a random while, kill it, and return what it had said."""
    worker = subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(path), str(number)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[4]
    )
    assert worker.stdout is not None
    said = b""
    with selectors.DefaultSelector() as selector:
        selector.register(worker.stdout, selectors.EVENT_READ)
        assert selector.select(60), "the worker said nothing"
        until = time.monotonic() + chance.uniform(0.0, 0.15)
        while (left := until - time.monotonic()) > 0:
            if selector.select(left):
                said += os.read(worker.stdout.fileno(), 65536)
    worker.send_signal(signal.SIGKILL)
    while rest := os.read(worker.stdout.fileno(), 65536):
        said += rest
    worker.wait()
    worker.stdout.close()
    return said.decode().splitlines()


def test_what_was_answered_before_a_kill_is_there_and_each_send_arrives_once(tmp_path: Path) -> None:
    """Twelve kills at random moments; the moments vary, the promise does not."""
    path = tmp_path / "store.db"
    store = Store(path)
    store.add_mailbox(ME)
    store.add_mailbox(OTHER)
    store.close()
    chance = random.Random(7)

    said = [line for number in range(_ROUNDS) for line in _run_and_kill(path, number, chance)]
    store = Store(path)
    for pending in store.pending():
        store.settle(pending.submission, [(OTHER, pending.mime)])

    delivered = {f"<{line.split()[1]}@x>" for line in said if line.startswith("delivered")}
    sent = {f"<{line.split()[1]}@x>" for line in said if line.startswith("sent")}
    inbox = [one.internet_message_id for one in store.mails(ME, "inbox", limit=10**6).mails]
    recorded = [one.internet_message_id for one in store.sends()]
    arrived = [one.internet_message_id for one in store.mails(OTHER, "inbox", limit=10**6).mails]
    filed = [one.internet_message_id for one in store.mails(ME, "sentitems", limit=10**6).mails]
    assert len(delivered) > _ROUNDS
    assert delivered <= set(inbox)
    assert sent <= set(recorded)
    assert len(inbox) == len(set(inbox))
    assert sorted(recorded) == sorted(arrived) == sorted(filed)
    assert len(recorded) == len(set(recorded))
    assert store.mails(ME, "outbox").total == store.mails(ME, "drafts").total == 0
    with store.reading() as db:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
