"""One long run: hostile mail through Exchange's mail flow, worker processes and broker, each mail accounted for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pika

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.demo.broker_node import BrokerNode
from bridge.demo.smtp import as_delivered, deliver
from bridge.domain.parking import PARKED_FOLDER
from bridge.wire.topology import topology
from tests.fuzz.account import Account
from tests.fuzz.mails import Mails
from tests.support.rabbit import patiently
from tests.support.rights import give_rights, with_least_rights
from tests.support.sandbox import SandboxProcess
from tests.support.workers import Worker, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_ALIASES = ("dispatch", "charter")
_WORKERS = 2
_PREFETCH = 100
_STALLED_SECONDS = 180.0
"""When nothing arrives for so long, the run ends, and what is missing is lost."""
_LOOK_SECONDS = 0.1
_TELL_SECONDS = 5.0
_MAY_BE_PARKED = frozenset({"too_large_for_broker"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run consists of."""

    seed: int
    mails: int
    full_size: int
    giant_size: int = 0
    """Given: one more mail, behind the others, of this size."""
    giant_class: str = ""
    realistic: bool = False
    """Whether Exchange is as unkind as the real one is (docs/sandbox.md)."""


def run(plan: Plan, directory: Path) -> tuple[dict[str, Any], Sequence[str]]:
    """Run, and return the figures and what should not be."""
    begun = time.monotonic()
    account = Account(realistic=plan.realistic)
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(BrokerNode(directory / "broker"))
        give_rights(broker)
        addresses = [f"{alias}@example.org" for alias in _ALIASES]
        sandbox = stack.enter_context(
            SandboxProcess(directory / "sandbox", mailboxes=addresses, realistic=plan.realistic)
        )
        # Mutations of one mail have its Message-ID and Date, and are no duplicates.
        sandbox.admin("/settings", method="PUT", body={"duplicates_dropped_for_seconds": 0})
        asyncio.run(RabbitTopology(patiently(broker.url)).apply(topology(list(_ALIASES))))
        mailboxes = [{"alias": alias, "address": f"{alias}@example.org"} for alias in _ALIASES]
        environment = {
            "BRIDGE_CONFIG": str(sandbox.directory / "bridge.toml"),
            "BRIDGE_MAILBOXES": json.dumps(mailboxes),
            "BRIDGE_RABBITMQ__URLS": broker.url,
            # A worker that stalls loses its connection, and shows in the figures.
            "BRIDGE_RABBITMQ__HEARTBEAT_SECONDS": "2",
            "BRIDGE_INGEST__POLL_INTERVAL_SECONDS": "0.2",
            "BRIDGE_INGEST__PARKED_PER_HOUR": "10000",
        }
        environment = with_least_rights("ingest", environment)
        workers = [
            stack.enter_context(Worker("ingest", environment, directory / f"ingest-{number}.log"))
            for number in range(_WORKERS)
        ]
        for worker in workers:
            until(worker.ready, "the workers to be ready")
        watch = _Watch(workers)
        with ThreadPoolExecutor(len(_ALIASES) + 3) as threads:
            ended = threading.Event()
            others = [
                threads.submit(watch.look, ended),
                threads.submit(_consume, broker.url, "mail.inbound", account.arrive, ended),
                threads.submit(_consume, broker.url, "mail.events", account.hear, ended),
            ]
            try:
                deliveries = [
                    threads.submit(_deliver, plan, number, sandbox.info["smtp"], account)
                    for number in range(len(_ALIASES))
                ]
                for delivery in deliveries:
                    while not delivery.done():
                        _tell(account)
                        wait([delivery], timeout=_TELL_SECONDS)
                    delivery.result()
                _drain(account, sandbox)
            finally:
                ended.set()
            for other in others:
                other.result()
        _find_parked(account, sandbox)
        crashes = watch.crashes + sum(len(worker.told("process.error_unattended")) for worker in workers)
        connections = sum(len(worker.told("broker.connection_lost")) for worker in workers)
        for worker in workers:
            if worker.running and (code := worker.stop()) != 0:
                account.problems.append(f"a worker ended with {code}")
    account.problems += account.missing_names()
    if crashes:
        account.problems.append(f"{crashes} crashes")
    account.problems += [
        f"parked as {code}: {count}"
        for code, count in (account.announced - account.shrunk).items()
        if code not in _MAY_BE_PARKED
    ]
    return {
        "seed": plan.seed,
        "mails": account.delivered,
        "arrived": account.arrived,
        "parked": account.parked,
        "lost": account.missing,
        "crashes": crashes,
        "peak_memory_mb": round(watch.peak_bytes / 1e6),
        "slowest_seconds": round(account.slowest_seconds, 2),
        "slowest": account.slowest,
        "repeated": account.repeated,
        "parked_as": dict(account.announced),
        "unread": dict(account.unread),
        "peak_memory_aside_mb": round(watch.peak_aside_bytes / 1e6),
        "connections_lost": connections,
        "seconds": round(time.monotonic() - begun, 1),
    }, account.problems


def _deliver(plan: Plan, mailbox: int, smtp: str, account: Account) -> None:
    """Deliver this mailbox's share over SMTP, byte for byte."""
    alias = _ALIASES[mailbox]
    mails = Mails(plan.seed, full_size=plan.full_size)

    numbers = list(range(mailbox, plan.mails, len(_ALIASES)))
    if plan.giant_size and mailbox == 0:
        numbers.append(plan.mails)

    def share() -> Iterator[bytes]:
        for number in numbers:
            giant = number == plan.mails
            mail = mails.giant(number, plan.giant_size, plan.giant_class) if giant else mails[number]
            account.expect(alias, mail, as_delivered(mail.raw))
            yield mail.raw

    taken = deliver(smtp, share(), sender="stranger@elsewhere.example", recipient=f"{alias}@example.org")
    for number, _ in zip(numbers, taken, strict=True):
        account.taken(number)


def _consume(url: str, queue: str, take: Callable[[str, bytes], None], ended: threading.Event) -> None:
    """Take what arrives until the run has ended and nothing is left."""
    with contextlib.closing(pika.BlockingConnection(pika.URLParameters(url))) as connection:
        channel = connection.channel()
        channel.basic_qos(prefetch_count=_PREFETCH)
        for method, properties, body in channel.consume(queue, inactivity_timeout=1.0):
            if method is not None and properties is not None and body is not None:
                take(properties.message_id or "", body)
                channel.basic_ack(method.delivery_tag)
            elif ended.is_set():
                return


def _drain(account: Account, sandbox: SandboxProcess) -> None:
    """Return once no mail is on its way and the inboxes are empty, or nothing has moved for long."""
    before, since = -1, time.monotonic()
    while True:
        left = int(sandbox.admin("/arriving")["mails"]) + sum(
            int(sandbox.admin(f"/mailboxes/{alias}@example.org/folders/inbox/mails?limit=1")["total"])
            for alias in _ALIASES
        )
        if not left:
            return
        if left != before:
            before, since = left, time.monotonic()
        elif time.monotonic() - since > _STALLED_SECONDS:
            account.problems.append(f"{left} mails stay in the inboxes")
            return
        _tell(account)
        time.sleep(1.0)


def _find_parked(account: Account, sandbox: SandboxProcess) -> None:
    for alias in _ALIASES:
        address = f"{alias}@example.org"
        for folder in sandbox.folders(address):
            if folder["name"] == PARKED_FOLDER:
                for mail in sandbox.mails(address, folder["id"]):
                    account.park(alias, sandbox.mime(address, mail["item_id"], folder["id"]))


def _tell(account: Account) -> None:
    sys.stderr.write(f"delivered {account.delivered}, arrived {account.arrived}\n")


class _Watch:
    """Looks whether the workers live, and at their memory and that of the processes in which they read large mails."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = workers
        self.peak_bytes = 0
        self.peak_aside_bytes = 0
        self.crashes = 0

    def look(self, ended: threading.Event) -> None:
        """Look until the run has ended; a worker that died is started again."""
        while not ended.wait(_LOOK_SECONDS):
            for worker in self._workers:
                if not worker.running:
                    self.crashes += 1
                    worker.start()
                    continue
                self.peak_bytes = max(self.peak_bytes, _peak_bytes(worker.pid))
                for child in _children(worker.pid):
                    self.peak_aside_bytes = max(self.peak_aside_bytes, _peak_bytes(child))


def _peak_bytes(pid: int) -> int:
    """Return the most memory that a process ever had resident; 0 for one that is gone (proc(5), VmHWM)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
