"""The only place that chooses adapters and joins them to workers."""

from __future__ import annotations

import asyncio
import platform
import uuid
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from bridge import __version__
from bridge.adapters.entra.identities import Identities
from bridge.adapters.ews.inbox import EwsInbox, RemoveBy
from bridge.adapters.ews.sender import EwsSender
from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.adapters.rabbitmq.announcements import RabbitAnnouncements
from bridge.adapters.rabbitmq.consumer import RabbitConsumer
from bridge.adapters.rabbitmq.own_certificate import OwnCertificate
from bridge.adapters.rabbitmq.publisher import RabbitPublisher
from bridge.adapters.rabbitmq.queue_looks import RabbitQueueLooks
from bridge.adapters.system.clock import SystemClock
from bridge.adapters.system.parser_subprocess import ParserSubprocesses
from bridge.bootstrap.adapters import (
    apps_of_the_broker,
    blob_claims,
    blob_store,
    entra_tokens,
    ews_client,
    known_mailboxes,
    rabbit_settings,
)
from bridge.bootstrap.notifications import PART as NOTIFICATIONS_PART
from bridge.bootstrap.notifications import NotificationStreamPool
from bridge.domain.batches import BatchLimits
from bridge.domain.outbound import Mailbox
from bridge.domain.parking import ParkingLimit
from bridge.domain.queue_states import Watched
from bridge.domain.roster import Roster
from bridge.domain.send_rate import RateLimits
from bridge.egress.draft import BlobReader
from bridge.egress.options import EgressOptions, SendOptions
from bridge.egress.returned import PART as RETURNED
from bridge.egress.returned import ReturnedDrain
from bridge.egress.sender import MailboxSender
from bridge.errors import BridgeError, BrokerBlocked, ConfigurationError, TopologyMissing
from bridge.flow.byte_budget import ByteBudget
from bridge.flow.waiting import Backoff, wait_for_any, wait_of
from bridge.ingest.compose import Claims, Composer
from bridge.ingest.limits import TransferLimits
from bridge.ingest.reader import IngestOptions, MailboxReader
from bridge.telemetry import descriptors
from bridge.telemetry.emitter import Emitter
from bridge.telemetry.health import Health
from bridge.telemetry.http import TelemetryServer
from bridge.telemetry.logging import count_lines_in, logger
from bridge.telemetry.loop_lag import watch_loop
from bridge.telemetry.metrics import Metrics
from bridge.wire import topology
from bridge.wire.outbound_v1 import OutboundLimits
from bridge.worker.announcing import PART as WORKERS_PART
from bridge.worker.announcing import Announcing
from bridge.worker.blob_probe import PART as BLOBS_PART
from bridge.worker.blob_probe import BlobProbe
from bridge.worker.blob_sweep import BlobSweep
from bridge.worker.event_publisher import EventPublisher
from bridge.worker.queue_watch import PART as QUEUES_PART
from bridge.worker.queue_watch import QueueWatch
from bridge.worker.supervision import Supervision

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from bridge.adapters.ews.client import EwsClient
    from bridge.config.settings import EgressSettings, MailboxSettings, Settings
    from bridge.ports.blobs import BlobStore
    from bridge.ports.tokens import TokenSource

__all__ = ["entra_tokens", "ews_client", "rabbit_settings", "run_workers"]

_LOOK_SECONDS = 1.0
_CLOCK = "clock"
_MOST_ATTACHED_BYTES = 1 << 40
_DELETE_TYPES = {
    "deleted_items": RemoveBy("MoveToDeletedItems"),
    "soft_delete": RemoveBy("SoftDelete"),
    "hard_delete": RemoveBy("HardDelete"),
}


async def run_workers(
    settings: Settings,
    *,
    ingest: bool,
    egress: bool,
    stop: asyncio.Event,
    renewed: asyncio.Queue[Settings] | None = None,
    beside: Sequence[Awaitable[None]] = (),
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
        process = await _Process.start(settings, role, stack)
        readers = process.readers() if ingest else []
        senders = await process.senders(stack) if egress else []
        watching = asyncio.create_task(process.watch(readers))
        stack.callback(watching.cancel)
        await process.topology_verified(stop, ingest=ingest, egress=egress)
        kept = Supervision(process.clock, process.health, process.emit)
        await _until_all_end(
            [kept.keep(worker.part, partial(worker.run, stop), stop) for worker in (*readers, *senders)],
            [
                watching,
                watch_loop(process.metrics),
                process.streams.run(),
                process.follow(renewed or asyncio.Queue(), senders),
                *beside,
                *(
                    kept.keep(part, work, stop, needed=False)
                    for part, work in process.helpers(readers, senders, role, ingest=ingest, egress=egress)
                ),
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


class _Process:
    """What all workers of one process share."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = SystemClock()
        self.metrics = Metrics(wall=lambda: self.clock.now().timestamp())
        self.health = Health()
        self.metrics.registry.register(self.health)
        self.emit = Emitter(self.metrics)
        self.identities = Identities(
            {**settings.apps_in_use, **apps_of_the_broker(settings)}, self.emit, server_time=self.clock.server("Entra")
        )
        self.rabbit = rabbit_settings(settings.rabbitmq, name="bridge", tokens=self._broker_tokens())
        certificate = settings.rabbitmq.client_certificate_file
        self.certificate = (
            OwnCertificate(certificate, self.emit, wall_clock=lambda: self.clock.now().timestamp())
            if certificate is not None
            else None
        )
        self.publisher = RabbitPublisher(self.rabbit, self.emit)
        self.events = EventPublisher(self.publisher, self.clock, self.emit)
        self.budget = ByteBudget(settings.ingest.in_flight_bytes)
        # What lies in files or goes to a store may take long, and must not hold up what does not.
        self.large_budget = ByteBudget(settings.ingest.in_flight_bytes)
        self.parsers = ParserSubprocesses()
        self.blobs: BlobStore | None = blob_store(settings.blobs) if settings.blobs is not None else None
        self.roster = Roster(
            uuid.uuid4().hex, frozenset(mailbox.alias for mailbox in settings.mailboxes), self.clock.monotonic
        )
        self.announcements: RabbitAnnouncements | None = None
        self._known = known_mailboxes(settings)
        self._clients: dict[tuple[str, str], EwsClient] = {}
        self._clock_code = "ok"
        self.streams = NotificationStreamPool(settings, self.clock, self.emit, self._observe)

    @classmethod
    async def start(cls, settings: Settings, role: str, stack: AsyncExitStack) -> _Process:
        process = cls(settings)
        count_lines_in(process.metrics)
        process.metrics.set_build(__version__, role)
        about = {
            "version": __version__,
            "role": role,
            "worker": process.roster.own,
            "python": platform.python_version(),
        }
        server = TelemetryServer(process.metrics, process.health, about)
        await server.start(settings.http.host, settings.http.port)
        stack.push_async_callback(server.close)
        logger().info(
            "process.started", role=role, version=__version__, worker=process.roster.own, health=f"{server.url}/health"
        )
        process.identities.start()
        stack.callback(process.identities.close)
        stack.callback(process.close_clients)
        stack.push_async_callback(process.parsers.close)
        if process.blobs is not None:
            stack.push_async_callback(process.blobs.close)
        await stack.enter_async_context(process.publisher)
        return process

    def readers(self) -> list[MailboxReader]:
        """Return a reader for each mailbox that is to be read."""
        options = self.settings.ingest
        limits = TransferLimits(
            batch=BatchLimits(options.batch_mails, options.batch_bytes),
            fetches_in_flight=options.fetches_in_flight,
            unconfirmed=options.unconfirmed_mails,
            settle_seconds=self.settings.rabbitmq.confirm_timeout_seconds * 3,
        )
        readers = []
        for mailbox in self.settings.mailboxes:
            if not mailbox.read:
                continue
            remove_by = RemoveBy(None, mailbox.move_to) if mailbox.move_to else _DELETE_TYPES[mailbox.after_publish]
            inbox = EwsInbox(
                self.client(mailbox),
                mailbox.address,
                remove_by=remove_by,
                ignore_before=mailbox.ignore_before,
                folders=mailbox.folders,
            )
            reader = MailboxReader(
                alias=mailbox.alias,
                inbox=inbox,
                publisher=self.events,
                compose=Composer(
                    mailbox.alias,
                    self.parsers,
                    self.emit,
                    largest_body_bytes=self.publisher.largest_body_bytes,
                    claims=self.claims(),
                    trust_internal=options.trust_exchange_headers,
                ),
                budget=self.budget,
                large_budget=self.large_budget,
                clock=self.clock,
                emit=self.emit,
                health=self.health,
                options=IngestOptions(
                    folders=mailbox.folders,
                    poll_interval_seconds=options.poll_interval_seconds,
                    listing_interval_seconds=options.listing_interval_seconds,
                    page_count=options.page_mails,
                    keep_seconds=options.keep_seconds,
                    limits=limits,
                    parking=ParkingLimit(mails=options.parked_per_hour),
                ),
                notices=self.streams.notices(mailbox, self.client(mailbox), self._tokens(mailbox)),
                roster=self.roster,
            )
            self.health.expect(reader.part)
            self.metrics.ingest_listing_age.start(mailbox.alias)
            readers.append(reader)
        if options.streaming and readers:
            self.health.expect(NOTIFICATIONS_PART)
        return readers

    def limits(self) -> OutboundLimits:
        """Return what a request may hold: with a store as much as Exchange takes, which is said of the request then."""
        if self.blobs is None:
            return OutboundLimits()
        return OutboundLimits(blob_store_url=self.blobs.url, attachment_bytes=_MOST_ATTACHED_BYTES)

    def egress_options(self, mailbox: MailboxSettings) -> EgressOptions:
        """Return how requests from a mailbox are treated."""
        blobs = BlobReader(self.blobs, self.large_budget) if self.blobs is not None else None
        return _egress_options(self.settings.egress, mailbox, self.limits(), blobs)

    def helpers(
        self,
        readers: Sequence[MailboxReader],
        senders: Sequence[MailboxSender | ReturnedDrain],
        role: str,
        *,
        ingest: bool,
        egress: bool,
    ) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        """Yield the part and the work of each helper that no mail and no request waits for."""
        yield WORKERS_PART, partial(self.announce, readers, senders, role)
        yield QUEUES_PART, self.queue_watch(ingest=ingest, egress=egress).run
        settings = self.settings.blobs
        if self.blobs is None or settings is None:
            return
        yield BLOBS_PART, BlobProbe(self.blobs, self.clock, self.health, writes=ingest).run
        if ingest and settings.keep_days:
            yield f"{BLOBS_PART}:sweep", BlobSweep(self.blobs, settings.keep_days, self.clock, self.emit).run

    def queue_watch(self, *, ingest: bool, egress: bool) -> QueueWatch:
        """Return what looks at the queues that no worker of this process consumes."""
        watched = Watched()
        if ingest:
            watched += topology.ingest_watched(default_queue=self.settings.rabbitmq.default_queue)
        if egress:
            watched += topology.egress_watched([one.alias for one in self.settings.mailboxes if one.send])
        looks = RabbitQueueLooks(lambda: self.publisher.connection, lambda: self.publisher.blocked)
        return QueueWatch(watched, looks, self.clock, self.health, self.emit)

    def claims(self) -> Claims | None:
        """Return where large mails go; None where there is no such place."""
        return blob_claims(self.settings.blobs, self.blobs, self.publisher.largest_body_bytes)

    async def senders(self, stack: AsyncExitStack) -> list[MailboxSender | ReturnedDrain]:
        """Return a sender for each mailbox that is sent from, and the drain of requests that came back."""
        consumer = await stack.enter_async_context(RabbitConsumer(self.rabbit, self.emit))
        senders = {
            mailbox.alias: MailboxSender(
                alias=mailbox.alias,
                sender=Mailbox(mailbox.address),
                mailbox=EwsSender(self.client(mailbox), mailbox.address, certain_now=self.clock.certain_now),
                publisher=self.events,
                consumer=consumer,
                clock=self.clock,
                emit=self.emit,
                health=self.health,
                options=self.egress_options(mailbox),
                roster=self.roster,
            )
            for mailbox in self.settings.mailboxes
            if mailbox.send
        }
        returned = ReturnedDrain(
            senders=senders,
            publisher=self.events,
            consumer=consumer,
            clock=self.clock,
            emit=self.emit,
            health=self.health,
            limits=self.limits(),
            roster=self.roster,
        )
        for part in (*(sender.part for sender in senders.values()), RETURNED):
            self.health.expect(part)
        return [*senders.values(), returned]

    def client(self, mailbox: MailboxSettings) -> EwsClient:
        """Return the client for a mailbox: one for each app with OAuth, one for each login on-premises."""
        app = self.settings.app_name(mailbox)
        key = (app if app is not None else mailbox.alias, self.settings.ews_url(mailbox))
        if key not in self._clients:
            server_time = self.clock.server(f"Exchange at {urlsplit(key[1]).hostname}")
            self._clients[key] = ews_client(
                self.settings, mailbox, self._tokens(mailbox), self._observe, server_time, known=self._known
            )
        return self._clients[key]

    def _tokens(self, mailbox: MailboxSettings) -> TokenSource | None:
        app = self.settings.app_name(mailbox)
        return self.identities[app].tokens() if app is not None else None

    def _broker_tokens(self) -> TokenSource | None:
        section = self.settings.rabbitmq
        for name in apps_of_the_broker(self.settings):
            return self.identities[name].tokens(section.oauth_scope)
        return None

    def close_clients(self) -> None:
        self.streams.close()
        for client in self._clients.values():
            client.close()

    async def announce(
        self, readers: Sequence[MailboxReader], senders: Sequence[MailboxSender | ReturnedDrain], role: str
    ) -> None:
        """Announce this worker to the others, and hear them."""
        announcing = Announcing(
            self.roster,
            release=__version__,
            role=role,
            readers=readers,
            senders=[sender for sender in senders if isinstance(sender, MailboxSender)],
            health=self.health,
            emit=self.emit,
        )
        async with RabbitAnnouncements(
            self.rabbit, say=announcing.say, hear=announcing.hear, emit=self.emit
        ) as announcements:
            self.announcements = announcements
            while True:
                announcing.show(announcements.trouble)
                await self.clock.sleep(_LOOK_SECONDS)

    async def topology_verified(self, stop: asyncio.Event, *, ingest: bool, egress: bool) -> None:
        """Return once everything that all mailboxes need is declared; until then each part says what it waits for."""
        part = "broker:topology"
        waiting = [state.part for state in self.health.report() if state.status == "starting"]
        self.health.expect(part)
        showing = asyncio.create_task(self._show_waiting(waiting, part))
        try:
            await self._topology_there(part, stop, ingest=ingest, egress=egress)
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

    async def _topology_there(self, part: str, stop: asyncio.Event, *, ingest: bool, egress: bool) -> None:
        patience = Backoff()
        needs = [topology.ingest_needs()] if ingest else []
        if egress:
            needs.append(topology.egress_needs([]))  # a mailbox without its queues says so itself; others go on
        amqp_exchanges = sorted({name for names, _ in needs for name in names})
        queues = sorted({name for _, names in needs for name in names})
        while not stop.is_set():
            try:
                missing = await RabbitTopology(self.rabbit).verify(amqp_exchanges=amqp_exchanges, queues=queues)
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

    async def watch(self, readers: Sequence[MailboxReader]) -> None:
        """Keep health true about what all mailboxes share, and the gauges that nobody else sets."""
        while True:
            for reader in readers:
                self.metrics.ingest_in_flight.labels(reader.alias).set(reader.in_flight)
            self.metrics.ingest_in_flight_bytes.set(self.budget.taken_bytes)
            trouble = self.publisher.trouble
            if trouble is None and self.announcements is not None and self.announcements.blocked:
                trouble = BrokerBlocked.code  # which the publisher would be told with the next mail
            if trouble is None:
                self.health.ok("broker:publish")
            else:
                self.health.trouble("broker:publish", trouble)
            descriptors.show(self.health)
            self.events.show(self.health)
            self.identities.show(self.health, self.metrics)
            self.streams.show(self.health, self.metrics)
            self._show_clock()
            unanswered = (client.calls_unanswered for client in self._clients.values())
            self.metrics.ews_calls_unanswered.set(sum(unanswered))
            allowed = (client.calls_allowed for client in self._clients.values())
            self.metrics.ews_calls_allowed.set(min(filter(None, allowed), default=self.settings.connections_each))
            if self.certificate is not None:
                await self.certificate.show(self.health, self.metrics)
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

    async def follow(self, renewed: asyncio.Queue[Settings], senders: Sequence[MailboxSender | ReturnedDrain]) -> None:
        """Take up each configuration that comes, as far as `bridge.config.changes` says."""
        by_part = {sender.part: sender for sender in senders if isinstance(sender, MailboxSender)}
        while True:
            settings = await renewed.get()
            # It reads files, and a lock may be held while Entra is asked.
            await asyncio.to_thread(self.identities.change, {**settings.apps_in_use, **apps_of_the_broker(settings)})
            for old, new in zip(self.settings.mailboxes, settings.mailboxes, strict=False):
                if old.alias != new.alias:
                    break
                if (sender := by_part.get(f"mailbox:{new.alias}:egress")) is not None:
                    sender.change_rate(_rate(old, new))
                if new.password is not None:
                    self.client(old).change_password(new.password.get_secret_value())
                    self.streams.change_password(old, new.password.get_secret_value())

    def _observe(self, *, operation: str, code: str, seconds: float) -> None:
        self.metrics.ews_calls.labels(operation, code).inc()
        self.metrics.ews_call_seconds.labels(operation).observe(seconds)


def _egress_options(
    settings: EgressSettings, mailbox: MailboxSettings, limits: OutboundLimits, blobs: BlobReader | None
) -> EgressOptions:
    return EgressOptions(
        limits=limits,
        blobs=blobs,
        rate=_rate(mailbox, mailbox),
        concurrent_sends=settings.concurrent_sends,
        attempts_limit=settings.attempts_limit,
        give_up_after_seconds=settings.give_up_after_seconds,
        ledger_days=settings.ledger_days,
        self_test=settings.self_test,
        send=SendOptions(unknown_after_seconds=settings.unknown_after_seconds),
    )


def _rate(before: MailboxSettings, now: MailboxSettings) -> RateLimits:
    """Return how many mails may be sent; one that had no limit, or has none now, keeps what it had at the start."""

    def either(old: int | Literal["unlimited"], new: int | Literal["unlimited"]) -> int | None:
        current = old if "unlimited" in {old, new} else new
        return None if current == "unlimited" else current

    return RateLimits(
        per_minute=either(before.send_rate_per_minute, now.send_rate_per_minute),
        recipients_per_day=either(before.recipients_per_day, now.recipients_per_day),
    )
