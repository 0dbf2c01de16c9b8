"""What every benchmark stands on: broker, sandbox, added round trips, and CPU times by the kernel's count."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit, urlunsplit

import pika

from bridge.demo.broker_node import BrokerNode
from bridge.demo.smtp import deliver
from tests.support.proxy import TcpProxy
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS = "dispatch@example.org"
ALIAS = "dispatch"
_LOOK_SECONDS = 0.05
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Drained:
    """One inbox emptied: by whom does not matter here."""

    mails: int
    seconds: float
    worker_cpu_seconds: float
    sandbox_cpu_seconds: float
    broker_cpu_seconds: float

    @property
    def mails_per_second(self) -> float:
        return self.mails / self.seconds

    @property
    def worker_cpu_ms_per_mail(self) -> float:
        return self.worker_cpu_seconds * 1_000 / self.mails


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    name: str
    figure: float
    unit: str
    naive: float | None
    ratio: float | None
    at_least: float
    ok: bool


class Stage:
    """Broker, sandbox and proxies; use as a context manager."""

    def __init__(self, *, exchange_round_trip: float = 0.0, broker_round_trip: float = 0.0) -> None:
        self._stack = contextlib.ExitStack()
        self._exchange_round_trip = exchange_round_trip
        self._broker_round_trip = broker_round_trip

    def __enter__(self) -> Self:
        self.directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bridge-bench-")))
        self.broker = self._stack.enter_context(BrokerNode(self.directory / "broker"))
        self.sandbox = self._stack.enter_context(SandboxProcess(self.directory / "sandbox", mailboxes=[ADDRESS]))
        self.ews_url = self._via_proxy(self.sandbox.info["ews_url"], self._exchange_round_trip)
        self.amqp_url = self._via_proxy(self.broker.url, self._broker_round_trip)
        self.environment = {
            **os.environ,
            "BRIDGE_CONFIG": str(self.directory / "sandbox" / "bridge.toml"),
            "BRIDGE_RABBITMQ__URLS": self.amqp_url,
            "BRIDGE_EWS__URL": self.ews_url,
            "BRIDGE_HTTP__LISTEN": "127.0.0.1:0",
            "BRIDGE_LOG__FORMAT": "json",
        }
        self._bridge("topology", "apply")
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def fill(self, mails: int, *, size: int, seed: int = 1) -> None:
        """Deliver that many mails of about `size` bytes, three fifths of them an attachment."""
        made = (a_mail(number, size=size, seed=seed) for number in range(mails))
        for _ in deliver(self.sandbox.info["smtp"], made, sender="cad@example.com", recipient=ADDRESS):
            pass

    def drain_with_bridge(self) -> Drained:
        """Start an ingest worker, and stop it when the inbox is empty."""
        with (self.directory / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "bridge", "ingest"], env=self.environment, stderr=log, stdout=log
            )
        try:
            return self._watch(worker)
        finally:
            worker.terminate()
            worker.wait(30)

    def drain_naively(self) -> Drained:
        """Run the naive bridge to its end."""
        info = self.sandbox.info
        settings = {
            "ews_url": self.ews_url,
            "authority_url": info["authority_url"],
            "client_id": info["client_id"],
            "client_secret": info["client_secret"],
            "scope": "https://outlook.office365.com/.default",
            "address": ADDRESS,
            "amqp_url": self.amqp_url,
            "routing_key": f"{ALIAS}.mail",
        }
        worker = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("naive.py"))],
            stdin=subprocess.PIPE,
            env={**os.environ, "REQUESTS_CA_BUNDLE": info["ca_file"]},
        )
        assert worker.stdin is not None
        worker.stdin.write(json.dumps(settings).encode())
        worker.stdin.close()
        try:
            return self._watch(worker)
        finally:
            worker.kill()
            worker.wait()

    def waiting(self) -> int:
        """Return how many mails the inbox holds."""
        return int(self.sandbox.admin(f"/mailboxes/{ADDRESS}/folders/inbox/mails?limit=1")["total"])

    def purge(self) -> int:
        """Empty the queue and return how many messages it held."""
        with contextlib.closing(pika.BlockingConnection(pika.URLParameters(self.broker.url))) as connection:
            return int(connection.channel().queue_purge("mail.inbound").method.message_count)

    def _watch(self, worker: subprocess.Popen[bytes]) -> Drained:
        pids = {"worker": worker.pid, "sandbox": self.sandbox.pid, "broker": self.broker.beam_pid}
        before = {name: _cpu_seconds(pid) if name != "worker" else 0.0 for name, pid in pids.items()}
        mails, started, spent = self.waiting(), time.monotonic(), 0.0
        while self.waiting():
            if worker.poll() is not None:
                break
            spent = _cpu_seconds(worker.pid)
            time.sleep(_LOOK_SECONDS)
        seconds = time.monotonic() - started
        if worker.poll() is None:
            spent = _cpu_seconds(worker.pid)
        left = self.waiting()
        if left:
            raise RuntimeError(f"the worker ended with {left} mails in the inbox")
        return Drained(
            mails,
            seconds,
            spent,
            _cpu_seconds(self.sandbox.pid) - before["sandbox"],
            _cpu_seconds(self.broker.beam_pid) - before["broker"],
        )

    def _via_proxy(self, url: str, round_trip: float) -> str:
        if not round_trip:
            return url
        parts = urlsplit(url)
        proxy = self._stack.enter_context(TcpProxy(parts.port or 443, round_trip_seconds=round_trip))
        host = parts.netloc.rpartition(":")[0]
        return urlunsplit(parts._replace(netloc=f"{host}:{proxy.port}"))

    def _bridge(self, *arguments: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "bridge", *arguments], env=self.environment, check=True, stdout=sys.stderr
        )


def a_mail(number: int, *, size: int, seed: int = 1) -> bytes:
    """Return a mail of about `size` bytes: text, and an attachment of three fifths of it."""
    noise = random.Random(f"{seed}-{number}")
    attachment = base64.encodebytes(noise.randbytes(size * 3 // 5)).replace(b"\n", b"\r\n")
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


def machine() -> dict[str, Any]:
    """Return what the figures were taken on."""
    with Path("/proc/cpuinfo").open() as info:
        model = next((line.partition(":")[2].strip() for line in info if line.startswith("model name")), "unknown")
    return {"cpu": model, "cores": os.cpu_count(), "python": sys.version.split()[0]}


def _cpu_seconds(pid: int) -> float:
    """Return user and system time of a process, its threads included (proc(5), /proc/pid/stat fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def alternating(runs: int) -> Iterator[str]:
    """Yield who runs next, so that a machine that gets slower is slow for both."""
    for _ in range(runs):
        yield "naive"
        yield "bridge"
