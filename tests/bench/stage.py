"""What every benchmark stands on: broker, sandbox, added round trips, workers with the least rights of their role."""

from __future__ import annotations

import base64
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlsplit, urlunsplit

import pika

from bridge.demo.broker_node import BrokerNode
from bridge.demo.smtp import deliver
from tests.bench.processes import Meter, Shares
from tests.support.proxy import TcpProxy
from tests.support.rights import as_user, give_rights, with_least_rights
from tests.support.sandbox import SandboxProcess
from tests.support.workers import Worker, bridge, clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

ADDRESS = "dispatch@example.org"
ALIAS = "dispatch"
_LOOK_SECONDS = 0.05
_STALLED_SECONDS = 120.0
_MOST_TEXT_BYTES = 4_000_000
"""Far more would not fit into a payload, and mails are large by their attachments."""
_ENCODED = 1.369
"""What base64 in lines makes of a byte."""


@dataclass(frozen=True)
class Drained:
    """One inbox emptied: by whom does not matter here."""

    mails: int
    seconds: float
    shares: Shares

    @property
    def mails_per_second(self) -> float:
        return self.mails / self.seconds

    @property
    def worker_cpu_ms_per_mail(self) -> float:
        return self.shares.by_name["worker"] * 1_000 / self.mails


class Stage:
    """Broker, sandbox and proxies; use as a context manager."""

    def __init__(
        self,
        *,
        mailboxes: Sequence[str] = (ADDRESS,),
        exchange_round_trip: float = 0.0,
        broker_round_trip: float = 0.0,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """`settings` are the worker's, such as `INGEST__BATCH_MAILS`; none are given to make it faster."""
        self._stack = contextlib.ExitStack()
        self._mailboxes = mailboxes
        self._exchange_round_trip = exchange_round_trip
        self._broker_round_trip = broker_round_trip
        self._settings = settings or {}

    def __enter__(self) -> Self:
        with self._stack:
            self.directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bridge-bench-")))
            self.broker = self._stack.enter_context(BrokerNode(self.directory / "broker"))
            give_rights(self.broker)
            sandbox = SandboxProcess(self.directory / "sandbox", mailboxes=self._mailboxes)
            self.sandbox = self._stack.enter_context(sandbox)
            self.ews_url = self._via_proxy(self.sandbox.info["ews_url"], self._exchange_round_trip)
            self.amqp_url = self._via_proxy(self.broker.url, self._broker_round_trip)
            self.environment = {
                "BRIDGE_CONFIG": str(self.directory / "sandbox" / "bridge.toml"),
                "BRIDGE_RABBITMQ__URLS": self.amqp_url,
                "BRIDGE_EWS__URL": self.ews_url,
                **{f"BRIDGE_{key}": value for key, value in self._settings.items()},
            }
            applied = bridge("topology", "apply", environment=self.environment)
            if applied.returncode:
                raise RuntimeError(applied.stderr)
            self._kept = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()

    # The two that are compared.

    def worker(self, command: str) -> Worker:
        """Return a worker of the bridge that is not started yet; on the broker it may do what its work needs."""
        environment = with_least_rights(command, self.environment)
        return Worker(command, environment, self.directory / f"{command}.log")

    @contextlib.contextmanager
    def naive(self, program: str = "naive.py", **settings: Any) -> Iterator[subprocess.Popen[bytes]]:
        """Run a naive program, and kill it in the end."""
        info = self.sandbox.info
        role = "bridge-ingest" if program == "naive.py" else "bridge-egress"
        given = {
            "ews_url": self.ews_url,
            "authority_url": info["authority_url"],
            "client_id": info["client_id"],
            "client_secret": info["client_secret"],
            "scope": "https://outlook.office365.com/.default",
            "mailboxes": {one["address"]: one["alias"] for one in info["mailboxes"]},
            "amqp_url": as_user(self.amqp_url, role),
            **settings,
        }
        worker = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name(program))],
            stdin=subprocess.PIPE,
            env=clean({"REQUESTS_CA_BUNDLE": info["ca_file"]}),
        )
        try:
            assert worker.stdin is not None
            worker.stdin.write(json.dumps(given).encode())
            worker.stdin.close()
            yield worker
        finally:
            worker.kill()
            worker.wait()

    def meter(self, worker_pid: int, *, from_birth: bool = False) -> Meter:
        """Return a meter of the CPU time of the worker, the sandbox and the broker from now on."""
        pids = {"worker": worker_pid, "sandbox": self.sandbox.pid, "broker": self.broker.beam_pid}
        return Meter(pids, from_birth=["worker"] if from_birth else [])

    def drain_with_bridge(self) -> Drained:
        """Start an ingest worker, and stop it when the inbox is empty."""
        with self.worker("ingest") as worker:
            drained = self.watch(worker.pid, lambda: worker.running)
            worker.stop(seconds=60)
            return drained

    def drain_naively(self) -> Drained:
        """Run the naive bridge to its end."""
        with self.naive() as worker:
            return self.watch(worker.pid, lambda: worker.poll() is None)

    def watch(self, pid: int, running: Callable[[], bool]) -> Drained:
        """Return once the inbox is empty, with what that took."""
        meter = self.meter(pid, from_birth=True)
        mails, started = self.waiting(), time.monotonic()
        left, moved = mails, started
        while left and running():
            meter.look()
            time.sleep(_LOOK_SECONDS)
            now = self.waiting()
            if now < left:
                moved = time.monotonic()
            elif time.monotonic() - moved > _STALLED_SECONDS:
                raise RuntimeError(f"nothing moved for {_STALLED_SECONDS:.0f} s, with {left} mails in the inbox")
            left = now
        seconds = time.monotonic() - started
        shares = meter.shares()
        if self.waiting():
            raise RuntimeError(f"the worker ended with {self.waiting()} mails in the inbox")
        return Drained(mails, seconds, shares)

    # What it is filled with, and what came of it.

    def deliver(self, mails: Iterable[bytes], recipient: str = ADDRESS) -> Iterator[int]:
        """Deliver mails over one connection, yielding the number of those that Exchange took."""
        return deliver(self.sandbox.info["smtp"], mails, sender="cad@example.com", recipient=recipient)

    def fill(self, mails: int, *, size: int, seed: int = 1, recipient: str = ADDRESS) -> None:
        """Deliver that many mails of about `size` bytes, three fifths of them an attachment."""
        for _ in self.deliver((a_mail(number, size=size, seed=seed) for number in range(mails)), recipient):
            pass

    def waiting(self, address: str = ADDRESS) -> int:
        """Return how many mails the inbox holds."""
        return int(self.sandbox.admin(f"/mailboxes/{quote(address)}/folders/inbox/mails?limit=1")["total"])

    def purge(self) -> int:
        """Empty the queue and return how many messages it held."""
        with contextlib.closing(pika.BlockingConnection(pika.URLParameters(self.broker.url))) as connection:
            return int(connection.channel().queue_purge("mail.inbound").method.message_count)

    def _via_proxy(self, url: str, round_trip: float) -> str:
        if not round_trip:
            return url
        parts = urlsplit(url)
        proxy = self._stack.enter_context(TcpProxy(parts.port or 443, round_trip_seconds=round_trip))
        host = parts.netloc.rpartition(":")[0]
        return urlunsplit(parts._replace(netloc=f"{host}:{proxy.port}"))


def a_mail(number: int, *, size: int, seed: int = 1) -> bytes:
    """Return a mail of about `size` bytes: text, up to 4 MB of it, and an attachment of three fifths or more."""
    noise = random.Random(f"{seed}-{number}")
    attached = max(size * 3 // 5, int((size - _MOST_TEXT_BYTES) / _ENCODED))
    attachment = base64.encodebytes(noise.randbytes(attached)).replace(b"\n", b"\r\n")
    words = ["patient", "transport", "requested", "from", "landing", "zone", "with", "estimated", "arrival"]
    line = (" ".join(noise.choices(words, k=9)) + "\r\n").encode()
    text = line * max(1, (size - len(attachment) - 700) // len(line))
    boundary = f"=_{seed}_{number}"
    return (
        (
            f"From: CAD <cad@example.com>\r\nTo: Dispatch <{ADDRESS}>\r\nSubject: Request {number}\r\n"
            f"Message-ID: <{seed}.{number}@example.com>\r\nDate: Tue, 24 Nov 2026 03:00:00 +0000\r\n"
            "MIME-Version: 1.0\r\n"
            f'Content-Type: multipart/mixed; boundary="{boundary}"\r\n\r\n--{boundary}\r\n'
            "Content-Type: text/plain; charset=utf-8\r\n\r\n"
        ).encode()
        + text
        + (
            f'\r\n--{boundary}\r\nContent-Type: application/pdf; name="manifest-{number}.pdf"\r\n'
            f'Content-Disposition: attachment; filename="manifest-{number}.pdf"\r\n'
            "Content-Transfer-Encoding: base64\r\n\r\n"
        ).encode()
        + attachment
        + f"--{boundary}--\r\n".encode()
    )


def alternating(runs: int) -> Iterator[str]:
    """Yield who runs next, so that a machine that gets slower is slow for both."""
    for _ in range(runs):
        yield "naive"
        yield "bridge"


def tell(text: str) -> None:
    """Say on standard error what goes on."""
    print(text, file=sys.stderr, flush=True)
