"""Runs the workers of a process: joined to their adapters, watched, and ended together."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from bridge import __version__
from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.adapters.rabbitmq.announcements import RabbitAnnouncements
from bridge.adapters.rabbitmq.queue_looks import RabbitQueueLooks
from bridge.bootstrap.broker import apps_of_the_broker
from bridge.bootstrap.shared import Shared
from bridge.domain.queue_states import Watched
from bridge.errors import BridgeError, BrokerBlocked, ConfigurationError, TopologyMissing
from bridge.flow.waiting import Backoff, wait_for_any, wait_of
from bridge.telemetry import descriptors
from bridge.telemetry.logging import logger
from bridge.telemetry.loop_lag import watch_loop
from bridge.wire import topology
from bridge.worker.announcing import PART as WORKERS_PART
from bridge.worker.announcing import Announcing
from bridge.worker.blob_probe import PART as BLOBS_PART
from bridge.worker.blob_probe import BlobProbe
from bridge.worker.blob_sweep import BlobSweep
from bridge.worker.queue_watch import PART as QUEUES_PART
from bridge.worker.queue_watch import QueueWatch
from bridge.worker.supervision import Supervision

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from bridge.bootstrap.reading import Reading
    from bridge.bootstrap.sending import Sending
    from bridge.config.settings import Settings

_LOOK_SECONDS = 1.0
_CLOCK = "clock"


def load(*, ingest: bool, egress: bool) -> None:
    """Load what these workers are made of, which nothing shall wait for once they run."""
    if ingest:
        import_module("bridge.bootstrap.reading")
    if egress:
        import_module("bridge.bootstrap.sending")


async def run_workers(
    settings: Settings,
    *,
    ingest: bool,
    egress: bool,
    stop: asyncio.Event,
    renewed: asyncio.Queue[Settings] | None = None,
    beside: Sequence[Callable[[], Awaitable[None]]] = (),
) -> int:
    """
    Run the workers of this process until `stop` is set and what was under way is finished; return the exit code.

    Configurations that come in `renewed` are taken up as far as that can be done at run time. What is to run beside the
    workers ends with them.

    Raises:
        ConfigurationError: Something in the configuration cannot be used after all.
    """
    role = "run" if ingest and egress else "ingest" if ingest else "egress"
    async with AsyncExitStack() as stack:
        shared = await Shared.start(settings, role, stack)
        reading = _reading(shared, stack) if ingest else None
        sending = await _sending(shared, stack) if egress else None
        process = _Process(shared, role, reading, sending)
        watching = asyncio.create_task(process.watch())
        stack.callback(watching.cancel)
        await process.topology_verified(stop)
        working = [(reader.part, reader.run) for reader in reading.readers] if reading is not None else []
        if sending is not None:
            working += [(sender.part, sender.run) for sender in sending.senders]
            working.append((sending.returned.part, sending.returned.run))
        kept = Supervision(process.clock, process.health, process.emit)
        await _until_all_end(
            [kept.keep(part, partial(run, stop), stop) for part, run in working],
            [
                watching,
                watch_loop(process.metrics),
                *([reading.streams.run()] if reading is not None else []),
                process.follow(renewed or asyncio.Queue()),
                *(work() for work in beside),
                *(kept.keep(part, work, stop, needed=False) for part, work in process.helpers()),
            ],
        )
    return 0


async def _until_all_end(working: Sequence[Awaitable[None]], beside: Sequence[Awaitable[None]]) -> None:
    """
    Return when all workers have ended. The first that dies of a bug, of those beside them too, ends the others: by then
    it is a bug in what all mailboxes share.
    """
    workers = [asyncio.ensure_future(work) for work in working]
    everything = {*workers, *(asyncio.ensure_future(helper) for helper in beside)}
    running = everything
    try:
        while not all(worker.done() for worker in workers):
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        for task in everything:
            task.cancel()
        await asyncio.gather(*everything, return_exceptions=True)


def _reading(shared: Shared, stack: AsyncExitStack) -> Reading:
    from bridge.bootstrap.reading import Reading  # noqa: PLC0415 - a worker that only sends does without

    reading = Reading(shared)
    stack.push_async_callback(reading.close)
    return reading


async def _sending(shared: Shared, stack: AsyncExitStack) -> Sending:
    from bridge.bootstrap.sending import Sending  # noqa: PLC0415 - a worker that only reads does without

    return await Sending.start(shared, stack)


class _Process:
    """What goes on in a process beside the mail."""

    def __init__(self, shared: Shared, role: str, reading: Reading | None, sending: Sending | None) -> None:
        self.settings, self.clock = shared.settings, shared.clock
        self.metrics, self.health, self.emit = shared.metrics, shared.health, shared.emit
        self._shared, self._role = shared, role
        self._reading, self._sending = reading, sending
        self._announcements: RabbitAnnouncements | None = None
        self._clock_code = "ok"

    def helpers(self) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        """Yield the part and the work of each helper that no mail and no request waits for."""
        yield WORKERS_PART, self.announce
        yield QUEUES_PART, self.queue_watch().run
        settings, store = self.settings.blobs, self._shared.blobs
        if store is None or settings is None:
            return
        reads = self._reading is not None
        yield BLOBS_PART, BlobProbe(store, self.clock, self.health, writes=reads).run
        if reads and settings.keep_days:
            yield f"{BLOBS_PART}:sweep", BlobSweep(store, settings.keep_days, self.clock, self.emit).run

    def queue_watch(self) -> QueueWatch:
        """Return what looks at the queues that no worker of this process consumes."""
        watched = Watched()
        if self._reading is not None:
            watched += topology.ingest_watched(default_queue=self.settings.rabbitmq.default_queue)
        if self._sending is not None:
            watched += topology.egress_watched([one.alias for one in self.settings.mailboxes if one.send])
        publisher = self._shared.publisher
        looks = RabbitQueueLooks(lambda: publisher.connection, lambda: publisher.blocked)
        return QueueWatch(watched, looks, self.clock, self.health, self.emit)

    async def announce(self) -> None:
        """Announce this worker to the others, and hear them."""
        announcing = Announcing(
            self._shared.roster,
            release=__version__,
            role=self._role,
            readers=self._reading.readers if self._reading is not None else [],
            senders=self._sending.senders if self._sending is not None else [],
            health=self.health,
            emit=self.emit,
        )
        async with RabbitAnnouncements(
            self._shared.rabbit, say=announcing.say, hear=announcing.hear, emit=self.emit
        ) as announcements:
            self._announcements = announcements
            while True:
                announcing.show(announcements.trouble)
                await self.clock.sleep(_LOOK_SECONDS)

    async def topology_verified(self, stop: asyncio.Event) -> None:
        """Return once everything that all mailboxes need is declared; until then each part says what it waits for."""
        part = "broker:topology"
        waiting = [state.part for state in self.health.report() if state.status == "starting"]
        self.health.expect(part)
        showing = asyncio.create_task(self._show_waiting(waiting, part))
        try:
            await self._topology_there(part, stop)
        finally:
            showing.cancel()
            await asyncio.gather(showing, return_exceptions=True)
        self.health.forget(part)
        for one in waiting:
            self.health.starting(one)

    async def _show_waiting(self, parts: Sequence[str], reason: str) -> None:
        """Say of each part that it waits for the broker, as long as nothing else is wrong, or what that one says."""
        while True:
            self.health.progress(reason)
            state = self.health.state(reason)
            for part in parts:
                if state is not None and state.status == "trouble":
                    self.health.trouble(part, state.code, state.detail)
                else:
                    self.health.starting(part, "waits for RabbitMQ")
            await self.clock.sleep(_LOOK_SECONDS)

    async def _topology_there(self, part: str, stop: asyncio.Event) -> None:
        patience = Backoff()
        needs = [topology.ingest_needs()] if self._reading is not None else []
        if self._sending is not None:
            needs.append(topology.egress_needs([]))  # a mailbox without its queues says so itself; others go on
        amqp_exchanges = sorted({name for names, _ in needs for name in names})
        queues = sorted({name for _, names in needs for name in names})
        while not stop.is_set():
            try:
                missing = await RabbitTopology(self._shared.rabbit).verify(amqp_exchanges=amqp_exchanges, queues=queues)
                if missing:
                    raise TopologyMissing("missing: " + ", ".join(missing))
            except ConfigurationError:
                raise
            except BridgeError as error:
                wait = wait_of(patience.after(error))
                self.health.trouble(part, error.code, error.detail)
                logger().warning("broker.topology_unverified", code=error.code, detail=error.detail, wait_seconds=wait)
                await wait_for_any(wait, stop)
            else:
                return

    async def watch(self) -> None:
        """Keep health true about what all mailboxes share, and the gauges that nobody else sets."""
        shared = self._shared
        while True:
            for reader in self._reading.readers if self._reading is not None else []:
                self.metrics.ingest_in_flight.labels(reader.alias).set(reader.in_flight)
            self.metrics.ingest_in_flight_bytes.set(shared.budget.taken_bytes)
            trouble = shared.publisher.trouble
            if trouble is None and self._announcements is not None and self._announcements.blocked:
                trouble = BrokerBlocked.code  # which the publisher would be told with the next mail
            if trouble is None:
                self.health.ok("broker:publish")
            else:
                self.health.trouble("broker:publish", trouble)
            descriptors.show(self.health)
            shared.events.show(self.health)
            shared.identities.show(self.health, self.metrics)
            if self._reading is not None:
                self._reading.streams.show(self.health, self.metrics)
            self._show_clock()
            unanswered = (client.calls_unanswered for client in shared.clients.values())
            self.metrics.ews_calls_unanswered.set(sum(unanswered))
            allowed = (client.calls_allowed for client in shared.clients.values())
            self.metrics.ews_calls_allowed.set(min(filter(None, allowed), default=self.settings.connections_each))
            if shared.certificate is not None:
                await shared.certificate.show(self.health, self.metrics)
            await self.clock.sleep(_LOOK_SECONDS)

    def _show_clock(self) -> None:
        told = self.clock.state().told()
        if told is None:
            return
        status, code, detail = told
        if code not in {self._clock_code, "ok"}:
            logger().warning("process.clock_doubted", code=code, detail=detail)
        self._clock_code = code
        match status:
            case "ok":
                self.health.ok(_CLOCK)
            case "warning":
                self.health.warn(_CLOCK, code, detail)
            case "trouble":
                self.health.trouble(_CLOCK, code, detail)

    async def follow(self, renewed: asyncio.Queue[Settings]) -> None:
        """Take up each configuration that comes, as far as `bridge.config.changes` says."""
        shared = self._shared
        while True:
            settings = await renewed.get()
            # It reads files, and a lock may be held while Entra is asked.
            await asyncio.to_thread(shared.identities.change, {**settings.apps_in_use, **apps_of_the_broker(settings)})
            for old, new in zip(self.settings.mailboxes, settings.mailboxes, strict=False):
                if old.alias != new.alias:
                    break
                if self._sending is not None:
                    self._sending.change_rate(old, new)
                if new.password is not None:
                    password = new.password.get_secret_value()
                    shared.client(old).change_password(password)
                    if self._reading is not None:
                        self._reading.streams.change_password(old, password)
