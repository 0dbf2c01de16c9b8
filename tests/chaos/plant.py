"""What a chaos run torments: a broker, a sandbox, and workers, each behind links of its own that can be cut."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.demo.broker_node import BrokerNode
from bridge.wire.topology import RETRY_STEPS, topology
from tests.chaos.repeats import read_publishes
from tests.support.proxy import TcpProxy
from tests.support.rabbit import patiently
from tests.support.rights import give_rights, with_least_rights
from tests.support.sandbox import SandboxProcess
from tests.support.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from tests.chaos.repeats import Publish

ALIASES = ("dispatch", "charter")
CREW = "crew@example.org"
_RETRY_MILLISECONDS = (500, 1_000, 2_000, 3_000)
"""In the place of seconds and minutes: what matters is the way, not the wait."""
CONTROL_SECONDS = 600.0
"""For `rabbitmqctl`, an Erlang machine of its own that has taken over a minute where a run kept every core busy."""

_COUNT = """
[
  begin
    Leader = amqqueue:get_pid(Queue),
    Count = case ra:leader_query(Leader, fun rabbit_fifo:query_messages_total/1, 60000) of
      {ok, {_, Total}, _} -> Total;
      _ -> 1
    end,
    {element(4, amqqueue:get_name(Queue)), Count}
  end
  || Queue <- rabbit_amqqueue:list(), amqqueue:get_type(Queue) =:= rabbit_quorum_queue
].
"""
_COUNTED = re.compile(r'\{<<"([^"]+)">>,\s*(\d+)\}')


def address_of(alias: str) -> str:
    """Return the address of a mailbox."""
    return f"{alias}@example.org"


class Station:
    """One worker and its two links."""

    def __init__(self, plant: Plant, command: str, number: int) -> None:
        self.role = command
        self.name = f"{command}-{number}"
        self.amqp = plant.stack.enter_context(TcpProxy(plant.broker.amqp_port))
        ews_url = str(plant.sandbox.info["ews_url"])
        [ews_port] = re.findall(r":(\d+)/", ews_url)
        self.ews = plant.stack.enter_context(TcpProxy(int(ews_port)))
        mailboxes = [
            {
                "alias": alias,
                "address": address_of(alias),
                "after_publish": plant.after_publish,
                "send_rate_per_minute": "unlimited",
                "recipients_per_day": "unlimited",
            }
            for alias in ALIASES
        ]
        environment = {
            "BRIDGE_CONFIG": str(plant.sandbox.directory / "bridge.toml"),
            "BRIDGE_MAILBOXES": json.dumps(mailboxes),
            "BRIDGE_RABBITMQ__URLS": plant.broker.url.replace(f":{plant.broker.amqp_port}", f":{self.amqp.port}"),
            "BRIDGE_LOG__LEVEL": "debug",
            "BRIDGE_RABBITMQ__HEARTBEAT_SECONDS": "1",
            "BRIDGE_RABBITMQ__CONFIRM_TIMEOUT_SECONDS": "3",
            "BRIDGE_EWS__URL": ews_url.replace(f":{ews_port}/", f":{self.ews.port}/"),
            "BRIDGE_EWS__CALL_TIMEOUT_SECONDS": "5",
            "BRIDGE_INGEST__POLL_INTERVAL_SECONDS": "0.2",
            # Streams tell of mail here, and end all the time: no sign of life comes within so few seconds.
            "BRIDGE_INGEST__LISTING_INTERVAL_SECONDS": "3",
            "BRIDGE_INGEST__STREAM_SILENCE_SECONDS": "10",
            "BRIDGE_INGEST__KEEP_SECONDS": "1",
            "BRIDGE_INGEST__UNCONFIRMED_MAILS": str(UNCONFIRMED),
            "BRIDGE_BLOBS__URL": f"file://{plant.store}",
            "BRIDGE_BLOBS__ABOVE_BYTES": "16384",
            **plant.settings,
        }
        self.worker = Worker(command, with_least_rights(command, environment), plant.directory / f"{self.name}.log")
        self.lock = threading.Lock()
        """Held by whoever starts or ends the process."""

    def calm(self) -> None:
        """Let everything through, and see that it runs."""
        self.amqp.carry()
        self.ews.carry()
        with self.lock:
            if self.worker.running:
                self.worker.thaw()
            else:
                self.worker.start()


UNCONFIRMED = 64
"""Mails of a mailbox between publish and removal: what one fault may repeat."""


class Plant:
    """All parts, started on entry and ended on exit."""

    def __init__(
        self,
        directory: Path,
        *,
        workers: int = 2,
        settings: Mapping[str, str] | None = None,
        after_publish: str = "deleted_items",
        realistic: bool = False,
    ) -> None:
        """
        Prepare it; `settings` are variables that workers get on top of those of a chaos run.

        With `realistic` Exchange is as unkind as the real one is (docs/sandbox.md).
        """
        self.directory = directory
        self.store = directory / "blobs"
        """Where all workers keep what is large."""
        self.settings = settings or {}
        self.after_publish = after_publish
        """How mails are removed: with `hard_delete` Exchange knows nothing of them any more."""
        self.realistic = realistic
        self.stack = ExitStack()
        self._workers = workers
        self.stations: list[Station] = []
        self.infrastructure = threading.Lock()
        """Held while the broker or the sandbox is down."""

    def __enter__(self) -> Self:
        self.store.mkdir()
        with self.stack as building:
            self.broker = building.enter_context(BrokerNode(self.directory / "broker", other_plugins=False))
            give_rights(self.broker)
            addresses = [*(address_of(alias) for alias in ALIASES), CREW]
            self.sandbox = building.enter_context(
                SandboxProcess(self.directory / "sandbox", mailboxes=addresses, realistic=self.realistic)
            )
            # Exchange's pace is a matter of its own.
            self.sandbox.admin("/settings", method="PUT", body={"sends_per_minute": None})
            asyncio.run(self._declare())
            for number in range(self._workers):
                for command in ("ingest", "egress"):
                    station = Station(self, command, number)
                    self.stations.append(station)
                    building.enter_context(station.worker)
            self.stack = building.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.__exit__(None, None, None)

    def publishes(self) -> dict[str, list[Publish]]:
        """Return by message_id what the readers published, as they told it themselves."""
        readers = [station.name for station in self.stations if station.name.startswith("ingest")]
        return read_publishes({name: self.directory / f"{name}.log" for name in readers})

    async def _declare(self) -> None:
        declared = topology(list(ALIASES))
        waits = {step.amqp_exchange: wait for step, wait in zip(RETRY_STEPS, _RETRY_MILLISECONDS, strict=True)}
        queues = [
            replace(queue, arguments={**queue.arguments, "x-message-ttl": waits[queue.name]})
            if queue.name in waits
            else queue
            for queue in declared.queues
        ]
        await RabbitTopology(patiently(self.broker.url)).apply(replace(declared, queues=queues))
        await asyncio.to_thread(self.broker.sync)

    def queue_lengths(self) -> dict[str, int]:
        """
        Return how many messages each quorum queue holds, unsettled ones included; 1 for a queue that has no leader yet.

        The leaders are asked: what `list_queues` tells is up to five seconds old, and 0 where a node has just started.
        """
        told = self.broker.ctl("eval", _COUNT, timeout_seconds=CONTROL_SECONDS)
        return {name: int(count) for name, count in _COUNTED.findall(told)}
