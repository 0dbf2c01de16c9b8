"""One run: a sandbox, its clients, the kills, and the account."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.stress import account, soap
from tests.stress.client import Shared
from tests.stress.journal import Creation, Journal, Place
from tests.stress.watchers import Listener, Synchronizer, Watcher
from tests.stress.wire import TYPES, Gate, Link
from tests.stress.workers import Worker
from tests.support.sandbox import SandboxProcess

_CLIENTS_A_MAILBOX = 10
_SETTLE_SECONDS = 120.0
_AIM_SECONDS = 2.0
_DELICATE_SECONDS = 0.02
_MIRRORED = ("inbox", "deleteditems", "sentitems", "drafts", "archive")
_TOLERANT = {
    "sends_per_minute": None,
    "recipients_per_day": None,
    "subscriptions": 1000,
    "streaming_connections": 100,
    "connections": None,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how many, how often killed; `kill_every` of 0 is never."""

    seed: int
    clients: int = 50
    seconds: float = 300.0
    kill_every: float = 20.0


class Run:
    """A run in one directory; afterwards its journal, and the sandbox's file, are there to be looked at."""

    def __init__(self, plan: Plan, directory: Path) -> None:
        """Prepare; nothing runs yet."""
        self.plan = plan
        self.journal = Journal()
        count = max(2, plan.clients // _CLIENTS_A_MAILBOX)
        self._mailboxes = tuple(f"box{number}@stress.example" for number in range(1, count + 1))
        self.sandbox = SandboxProcess(directory, mailboxes=self._mailboxes)
        self._chance = random.Random(plan.seed)
        self._own: dict[str, str] = {}
        self._restarts: list[float] = []
        self._rss: list[int] = []
        self._kills = 0
        self._items = 0

    def do(self) -> dict[str, Any]:
        """Run, account, and return the figures."""
        started = time.monotonic()
        # A client that ends early would only look like less work.
        threading.excepthook = lambda ended: self.journal.problem(f"a thread ended: {ended.exc_type.__name__}")
        with self.sandbox:
            self.sandbox.admin("/settings", method="PUT", body=_TOLERANT)
            gate = Gate(self.sandbox.info)
            token = gate.token()
            shared = self._prepare(gate, token)
            until = time.monotonic() + self.plan.seconds
            workers, watchers = self._clients(shared, token, until)
            for thread in (*watchers, *workers):
                thread.start()
            self._kill_until(gate, until)
            for worker in workers:
                worker.join()
            self._come_to_rest(gate, token, watchers)
            self._account(token)
            self._note_memory()
            if self.sandbox.stop() != 0:
                self.journal.problem("the sandbox did not stop well")
        account.check_file(self.sandbox.directory / "store.sqlite", self.journal)
        self._check_words()
        return self._figures(time.monotonic() - started)

    def check_again(self) -> None:
        """Start the sandbox on what there is now, and account once more."""
        with self.sandbox:
            self._account(Gate(self.sandbox.info).token())
            self.sandbox.stop()
        account.check_file(self.sandbox.directory / "store.sqlite", self.journal)

    def _account(self, token: str) -> None:
        """Hold the journal against the sandbox that runs."""
        gate = Gate(self.sandbox.info)
        self._items = account.settle_accounts(gate, self.journal, self._mailboxes, token, self._own)
        account.record_of_sends(self.journal, [send["internet_message_id"] for send in self.sandbox.sends()])

    def _prepare(self, gate: Gate, token: str) -> Shared:
        """Make in each mailbox the pot that all grab at, and the item whose stamp all count up."""
        tallies = {}
        for number, mailbox in enumerate(self._mailboxes):
            link = Link(gate, mailbox, token)
            (listed,) = link.call(
                '<m:FindFolder Traversal="Deep"><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape>'
                f"<m:ParentFolderIds>{soap.folder('msgfolderroot')}</m:ParentFolderIds></m:FindFolder>"
            )
            self.journal.system |= {str(node.get("Id")) for node in listed.node.iter(TYPES + "FolderId")}
            (answer,) = link.call(
                f"<m:CreateFolder><m:ParentFolderId>{soap.folder('msgfolderroot')}</m:ParentFolderId><m:Folders>"
                "<t:Folder><t:DisplayName>pot</t:DisplayName></t:Folder></m:Folders></m:CreateFolder>"
            )
            (pot,) = answer.ids("FolderId")
            self.journal.pot_folders[mailbox] = pot
            self.journal.folders[pot] = mailbox
            self._own[mailbox] = f"<tally-{number}@stress.example>"
            (answer,) = link.call(soap.create("SaveOnly", soap.message(self._own[mailbox], mime=None), "drafts"))
            (tallies[mailbox],) = answer.ids()
            link.close()
        return Shared(gate, self.journal, self._mailboxes, self.journal.pot_folders, tallies)

    def _clients(self, shared: Shared, token: str, until: float) -> tuple[list[Worker], list[Watcher]]:
        """Of ten clients seven work, and three watch."""
        workers: list[Worker] = []
        watchers: list[Watcher] = []
        for number in range(self.plan.clients):
            chance = random.Random(self._chance.random())
            mailbox = self._mailboxes[number % len(self._mailboxes)]
            turn = number // len(self._mailboxes) % _CLIENTS_A_MAILBOX
            if turn in (1, 7):
                folder = _MIRRORED[(number + turn) % len(_MIRRORED)]
                watchers.append(Synchronizer(shared.gate, self.journal, mailbox, token, folder=folder, chance=chance))
            elif turn == 4:
                streaming = number % 2 == 0
                watchers.append(Listener(number, shared.gate, self.journal, mailbox, token, streaming=streaming))
            else:
                workers.append(Worker(number, shared, chance, token, until))
        return workers, watchers

    def _kill_until(self, gate: Gate, until: float) -> None:
        """Kill the sandbox about every so many seconds, at moments that the seed chooses, and start it again."""
        clock = threading.Event()
        start = until - self.plan.seconds
        while self.plan.kill_every:
            moment = start + self.plan.kill_every * (self._kills + self._chance.uniform(0.8, 1.2))
            if moment >= until:
                break
            clock.wait(max(0.0, moment - time.monotonic()))
            self._note_memory()
            if self._chance.random() < 0.7:
                gate.delicate.clear()
                gate.delicate.wait(_AIM_SECONDS)
                clock.wait(self._chance.uniform(0, _DELICATE_SECONDS))
            gate.shut()
            started = time.monotonic()
            self.sandbox.restart()
            gate.open()
            self._kills += 1
            self._restarts.append(time.monotonic() - started)

    def _come_to_rest(self, gate: Gate, token: str, watchers: list[Watcher]) -> None:
        """Wait until all mail has left, and each watcher was told of a last item."""
        end = time.monotonic() + _SETTLE_SECONDS
        self._until(
            lambda: not any(self.sandbox.mails(mailbox, "outbox", limit=1) for mailbox in self._mailboxes),
            end,
            "mail stays in an Outbox",
        )
        # One that lost its subscription by the last kill would wait for a last item that came before its new one.
        self._until(
            lambda: all(one.is_listening for one in watchers if isinstance(one, Listener) and one.is_alive()),
            end,
            "a subscription cannot be had again",
        )
        for number, mailbox in enumerate(self._mailboxes):
            mine = [watcher for watcher in watchers if watcher.mailbox == mailbox]
            link = Link(gate, mailbox, token)
            marker = self._last_item(link, f"<marker-{number}@stress.example>")
            for watcher in mine:
                if isinstance(watcher, Listener):
                    watcher.end(marker)
            # Who heard of the marker before it knew that it was the last item hears of one more.
            self._last_item(link, f"<after-marker-{number}@stress.example>")
            for watcher in mine:
                watcher.end(marker)
            link.close()
        for watcher in watchers:
            watcher.join(max(0.1, end - time.monotonic()))
            if watcher.is_alive():
                self.journal.problem(f"{watcher.name} was not told of the last item")

    def _until(self, done: Callable[[], bool], end: float, otherwise: str) -> None:
        while not done():
            if time.monotonic() > end:
                self.journal.problem(otherwise)
                return
            time.sleep(0.1)

    def _last_item(self, link: Link, message_id: str) -> str:
        mail = self.journal.new_mail(message_id, link.address)
        asked = time.monotonic()
        (answer,) = link.call(soap.create("SaveOnly", soap.message(message_id, mime=None), "drafts"))
        (item_id,) = answer.ids()
        self.journal.settle(mail, (Place("drafts", item_id),))
        self.journal.add(Creation(link.address, item_id, asked, time.monotonic()))
        return item_id

    def _note_memory(self) -> None:
        status = Path(f"/proc/{self.sandbox.pid}/status").read_text()
        self._rss.append(int(status.partition("VmHWM:")[2].split()[0]) // 1024)

    def _check_words(self) -> None:
        """What a killed sandbox says on standard error is nothing; a trace or an error would be a defect."""
        if self.sandbox.stderr:
            self.journal.problem(f"standard error: {self.sandbox.stderr[-800:]}")

    def _figures(self, seconds: float) -> dict[str, Any]:
        journal = self.journal
        counts = dict(sorted(journal.counts.items()))
        beside = ("lost", "doubts settled", "events told", "pages of changes", "changes told", "subscriptions lost")
        return {
            **asdict(self.plan),
            "took_seconds": round(seconds, 1),
            "kills": self._kills,
            "restart_seconds_most": round(max(self._restarts, default=0.0), 2),
            "rss_peak_mb": max(self._rss, default=0),
            "operations": sum(amount for name, amount in counts.items() if name not in beside),
            "lost_answers": counts.get("lost", 0),
            "doubts_settled": counts.get("doubts settled", 0),
            "races_lost": sum(journal.refusals.values()),
            "mails": len(journal.mails) + sum(map(len, journal.pots.values())),
            "sends_accepted": sum(one.accepted for one in journal.sendings),
            "sends_unknown": sum(not one.accepted for one in journal.sendings),
            "items_at_the_end": self._items,
            "changes_told": counts.get("changes told", 0),
            "events_told": counts.get("events told", 0),
            "subscriptions": len(journal.watches),
            "by_operation": {name: amount for name, amount in counts.items() if name not in beside},
            "problems": len(journal.problems),
        }
