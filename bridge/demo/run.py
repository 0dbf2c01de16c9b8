"""The demo: a private broker, the sandbox and the workers as processes; mail goes both ways and is accounted for."""

from __future__ import annotations

import sys
import time
import uuid
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from bridge.client import Address, BridgeClient, OutboundRequest
from bridge.demo.account import Account, Summary
from bridge.demo.broker_node import BrokerNode
from bridge.demo.broker_users import BrokerUsers
from bridge.demo.directory import demo_directory, remove_leftovers
from bridge.demo.keep import keep
from bridge.demo.processes import Processes
from bridge.demo.sandbox_api import SandboxApi
from bridge.demo.smtp import as_delivered, deliver
from bridge.wire.event_v1 import TERMINAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

ADDRESS = "dispatch@example.org"
ALIAS = "dispatch"
_SENDER = "cad@example.com"
_CREW = "crew@example.net"
_LOOK_SECONDS = 0.25
_STALLED_SECONDS = 60.0
_IDLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line says."""

    mails: Path | None = None
    requests: int = 10
    keep: bool = False


class Demo:
    """One run. What it finds is handed on; what it does is told on standard error as it goes."""

    def __init__(self, options: DemoOptions) -> None:
        self._options = options
        self._account = Account()
        self._started = time.monotonic()

    def run(self, report: Callable[[Summary], None]) -> None:
        """
        Start everything, carry mail both ways, report the account, and stop everything.

        With `keep` it goes on after the report, until a signal (KeyboardInterrupt) ends it.

        Raises:
            ProcessFailedError, BrokerNodeError, SmtpRefusedError: A part did not start, or ended early.
        """
        mails = list(_read_mails(self._options.mails))
        for directory in remove_leftovers():
            _say(f"removed {directory}, which a killed demo had left")
        with ExitStack() as stack:
            directory = stack.enter_context(demo_directory())
            _say("RabbitMQ: starting a private node")
            broker = stack.enter_context(BrokerNode(directory / "broker"))
            users = BrokerUsers(broker)
            users.make()
            processes = stack.enter_context(Processes(directory, _settings(directory)))
            _say("sandbox: starting an Entra and an Exchange on loopback")
            sandbox = processes.start_and_read(
                "sandbox", ["sandbox", "--dir", str(directory / "sandbox"), "--mailbox", ADDRESS]
            )
            api = SandboxApi(sandbox["admin_url"])
            api.limit_app(sandbox["client_id"], [ADDRESS])
            _say("topology: declaring exchanges and queues")
            processes.run("topology", ["topology", "apply"], _login(users, "bridge-operator"))
            _say("workers: starting bridge ingest and bridge egress, each with the rights that it needs")
            processes.start("ingest", ["ingest"], _login(users, "bridge-ingest"))
            processes.start("egress", ["egress"], _login(users, "bridge-egress"))
            with BridgeClient(users.url("bridge-cad")) as client:
                self._deliver(sandbox["smtp"], mails)
                self._request(client)
                self._watch(processes, api)
                self._collect(client)
            summary = self._add_up(api)
            if self._options.keep:
                report(summary)
                keep(processes, broker, users, sandbox, directory, say=_say)
            _say("stopping")
        if not self._options.keep:
            report(summary)

    def _deliver(self, server: str, mails: Sequence[bytes]) -> None:
        _say(f"delivering {len(mails)} mails by SMTP to {ADDRESS}")
        for number in deliver(server, mails, sender=_SENDER, recipient=ADDRESS):
            self._account.deliver(as_delivered(mails[number - 1]))
            if number % 100 == 0:
                _say(f"  {number} delivered")

    def _request(self, client: BridgeClient) -> None:
        _say(f"requesting {self._options.requests} sends, every fifth urgent")
        for number in range(1, self._options.requests + 1):
            request = OutboundRequest(
                request_id=f"demo-{uuid.uuid4()}",
                to=(Address(name="Flight crew", address=_CREW),),
                subject=f"Flight {number}: cleared for landing zone {number}",
                text=f"Patient {number} is ready for pick-up.\r\n",
            )
            client.publish_request(request, mailbox=ALIAS, urgent=number % 5 == 0)
            self._account.requested.add(request.request_id)

    def _watch(self, processes: Processes, api: SandboxApi) -> None:
        """Return when all is done, or when nothing has moved for a while: the account then shows what is missing."""
        last, moved = None, time.monotonic()
        while True:
            processes.check()
            waiting, sent = api.count(ADDRESS, "inbox"), len(self._sends(api))
            if (waiting, sent) != last:
                last, moved = (waiting, sent), time.monotonic()
                _say(f"  inbox {waiting} waiting, {sent} of {len(self._account.requested)} requests sent")
            if not waiting and sent >= len(self._account.requested):
                return
            if time.monotonic() - moved > _STALLED_SECONDS:
                _say(f"nothing has moved for {_STALLED_SECONDS:.0f} s")
                return
            time.sleep(_LOOK_SECONDS)

    def _collect(self, client: BridgeClient) -> None:
        _say("reading the queues and hashing what they carry")
        for mail in client.mails(idle_seconds=_IDLE_SECONDS):
            raw = mail.payload.raw.data() if mail.payload.raw is not None else b""
            self._account.arrive(mail.payload.message_id, raw or b"")
            mail.ack()
        missing = set(self._account.requested)
        until = time.monotonic() + _STALLED_SECONDS
        while missing and time.monotonic() < until:
            for event in client.events(idle_seconds=_IDLE_SECONDS):
                if event.payload.event in TERMINAL and event.payload.request_id is not None:
                    self._account.note_event(event.payload.request_id, event.payload.event_id)
                    missing.discard(event.payload.request_id)
                event.ack()

    def _add_up(self, api: SandboxApi) -> Summary:
        sends = self._sends(api)
        return self._account.summary(
            left=[api.mime(ADDRESS, "inbox", mail["item_id"]) for mail in api.mails(ADDRESS, "inbox")],
            parked=api.count_by_name(ADDRESS, "Bridge Parked"),
            sends={request: sends.count(request) for request in set(sends)},
            seconds=time.monotonic() - self._started,
        )

    def _sends(self, api: SandboxApi) -> list[str]:
        return [send["request_id"] for send in api.sends() if send["request_id"] in self._account.requested]


def as_json(summary: Summary) -> dict[str, Any]:
    """Return the line for scripts."""
    return asdict(summary)


def as_text(summary: Summary) -> str:
    """Return the summary for a person."""
    s = summary
    lines = [
        f"{s.delivered} mails delivered, {s.published} on the queue with the same bytes, {s.removed} out of the inbox",
        f"{s.lost} lost, {s.repeated} repeated, {s.left} left in the inbox, {s.parked} parked",
        f"{s.requested} sends requested, {s.sent} sent, {s.sent_twice} sent twice, {s.events} with exactly one outcome",
        f"{s.seconds} seconds; " + ("it all adds up" if s.adds_up else "IT DOES NOT ADD UP"),
    ]
    return "\n".join(lines)


def _read_mails(directory: Path | None) -> Iterator[bytes]:
    if directory is None:
        samples = resources.files("bridge.demo") / "mails"
        for file in sorted(samples.iterdir(), key=lambda file: file.name):
            if file.name.endswith(".eml"):
                yield file.read_bytes()
        return
    for path in sorted(directory.rglob("*.eml")):
        yield path.read_bytes()


def _login(users: BrokerUsers, user: str) -> dict[str, str]:
    return {"BRIDGE_RABBITMQ__URLS": users.url(user)}


def _settings(directory: Path) -> dict[str, str]:
    return {
        "BRIDGE_CONFIG": str(directory / "sandbox" / "bridge.toml"),
        "BRIDGE_HTTP__LISTEN": "127.0.0.1:0",
        "BRIDGE_INGEST__POLL_INTERVAL_SECONDS": "1",
        # Exchange Online's 30 a minute would be all that one sees; the sandbox has no such limit.
        "BRIDGE_MAILBOXES__0__SEND_RATE_PER_MINUTE": "unlimited",
        "BRIDGE_LOG__FORMAT": "json",
    }


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - the demo talks to a person
