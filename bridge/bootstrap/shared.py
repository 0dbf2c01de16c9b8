"""What all workers of one process share."""

from __future__ import annotations

import platform
import uuid
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bridge import __version__
from bridge.adapters.entra.identities import Identities
from bridge.adapters.rabbitmq.own_certificate import OwnCertificate
from bridge.adapters.rabbitmq.publisher import RabbitPublisher
from bridge.adapters.system.clock import SystemClock
from bridge.bootstrap.blobs import blob_store
from bridge.bootstrap.broker import apps_of_the_broker, rabbit_settings
from bridge.bootstrap.exchange import ews_client, known_mailboxes
from bridge.domain.roster import Roster
from bridge.flow.byte_budget import ByteBudget
from bridge.telemetry.emitter import Emitter
from bridge.telemetry.health import Health
from bridge.telemetry.http import TelemetryServer
from bridge.telemetry.logging import count_lines_in, logger
from bridge.telemetry.metrics import Metrics
from bridge.worker.event_publisher import EventPublisher

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from bridge.adapters.ews.client import EwsClient
    from bridge.config.settings import MailboxSettings, Settings
    from bridge.ports.blobs import BlobStore
    from bridge.ports.tokens import TokenSource


class Shared:
    """Clock, metrics, health, the connection that publishes, and a client for each app or login at Exchange."""

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
        self.blobs: BlobStore | None = blob_store(settings.blobs) if settings.blobs is not None else None
        self.roster = Roster(
            uuid.uuid4().hex, frozenset(mailbox.alias for mailbox in settings.mailboxes), self.clock.monotonic
        )
        self._known = known_mailboxes(settings)
        self.clients: dict[tuple[str, str], EwsClient] = {}

    @classmethod
    async def start(cls, settings: Settings, role: str, stack: AsyncExitStack) -> Shared:
        """Return it with its publisher and its page; what it holds ends with the stack."""
        shared = cls(settings)
        count_lines_in(shared.metrics)
        shared.metrics.set_build(__version__, role)
        about = {
            "version": __version__,
            "role": role,
            "worker": shared.roster.own,
            "python": platform.python_version(),
        }
        server = TelemetryServer(shared.metrics, shared.health, about)
        await server.start(settings.http.host, settings.http.port)
        stack.push_async_callback(server.close)
        logger().info(
            "process.started", role=role, version=__version__, worker=shared.roster.own, health=f"{server.url}/health"
        )
        shared.identities.start()
        stack.callback(shared.identities.close)
        stack.callback(shared.close_clients)
        if shared.blobs is not None:
            stack.push_async_callback(shared.blobs.close)
        await stack.enter_async_context(shared.publisher)
        return shared

    def client(self, mailbox: MailboxSettings) -> EwsClient:
        """Return the client for a mailbox: one for each app with OAuth, one for each login on-premises."""
        app = self.settings.app_name(mailbox)
        key = (app if app is not None else mailbox.alias, self.settings.ews_url(mailbox))
        if key not in self.clients:
            server_time = self.clock.server(f"Exchange at {urlsplit(key[1]).hostname}")
            self.clients[key] = ews_client(
                self.settings, mailbox, self.tokens(mailbox), self.observe, server_time, known=self._known
            )
        return self.clients[key]

    def tokens(self, mailbox: MailboxSettings) -> TokenSource | None:
        """Return what a mailbox signs in with at Exchange; None where it has a login of its own."""
        app = self.settings.app_name(mailbox)
        return self.identities[app].tokens() if app is not None else None

    def _broker_tokens(self) -> TokenSource | None:
        section = self.settings.rabbitmq
        for name in apps_of_the_broker(self.settings):
            return self.identities[name].tokens(section.oauth_scope)
        return None

    def close_clients(self) -> None:
        """Close all connections to Exchange but those of the streams."""
        for client in self.clients.values():
            client.close()

    def observe(self, *, operation: str, code: str, seconds: float) -> None:
        """Count a call to Exchange."""
        self.metrics.ews_calls.labels(operation, code).inc()
        self.metrics.ews_call_seconds.labels(operation).observe(seconds)
