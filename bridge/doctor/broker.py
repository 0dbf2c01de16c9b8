"""The broker: each node, the login, the rights that are there and should not be, the topology, policies over it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.adapters.rabbitmq.management import RabbitManagement
from bridge.adapters.rabbitmq.own_certificate import ends_at
from bridge.adapters.rabbitmq.rights import rabbit_rights
from bridge.bootstrap.broker import rabbit_settings
from bridge.bootstrap.topology import wanted_topology
from bridge.config.entra import DEFAULT_APP
from bridge.doctor.broker_rights import BrokerRights
from bridge.doctor.findings import doubtful, failed, ok, skipped, wrong
from bridge.doctor.hosts import reachable
from bridge.domain import expiry
from bridge.errors import BridgeError, BrokerAccessRefused
from bridge.wire import topology as names

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from bridge.adapters.rabbitmq.admin import Finding as Looked
    from bridge.adapters.rabbitmq.settings import RabbitSettings
    from bridge.config import Settings
    from bridge.doctor.apps import Apps
    from bridge.doctor.examination import Examination
    from bridge.doctor.findings import Finding
    from bridge.wire.topology import Topology

_DEAD: Final = (names.INBOUND_DEAD, names.DEAD)
_STEP: Final = "rabbitmq topology"


class Broker:
    """Examines the broker."""

    def __init__(self, examination: Examination, settings: Settings, apps: Apps) -> None:
        self._examination = examination
        self._apps = apps
        self._section = settings.rabbitmq
        self._settings = rabbit_settings(self._section, name="bridge check", app=settings.broker_app)
        self._wanted = wanted_topology(self._section, [mailbox.alias for mailbox in settings.mailboxes])

    async def examine(self) -> AsyncGenerator[Finding, None]:
        """Yield what is found; nothing is declared, published or consumed."""
        problem = self._no_token()
        if (finding := await self._certificate()) is not None:
            yield finding
        logged_in: str | None = None
        for url in self._settings.urls:
            finding = await reachable(self._examination, "rabbitmq", url, self._section.ca_file)
            if finding.code == "host_unreachable":  # what workers call it, who are told no more
                finding = wrong(finding.step, finding.tried, "broker_unavailable", finding.got)
            yield finding
            if finding.state == "failed":
                continue
            if problem:
                yield skipped("rabbitmq login", "log in", problem)
                continue
            finding = await self._login(url)
            yield finding
            logged_in = logged_in or (url if finding.state == "ok" else None)
        if logged_in is None:
            yield skipped(_STEP, "look at rights, exchanges and queues", problem or "there is no login")
            return
        node = self._settings.only(logged_in)
        rights = BrokerRights(self._examination, self._wanted)
        async for finding in self._rights(node, rights):
            yield finding
        async for finding in self._topology(node, may_configure=rights.may_configure):
            yield finding
        async for finding in self._beyond_amqp(node):
            yield finding

    async def _certificate(self) -> Finding | None:
        """Return when the client certificate ends; whether it is of any use shows in the login."""
        file = self._section.client_certificate_file
        end = await asyncio.to_thread(ends_at, file) if file is not None else None
        if end is None:
            return None
        step, tried, left = "rabbitmq certificate", "look when the client certificate ends", end - time.time()
        if expiry.stage(left) is None:
            return ok(step, tried, expiry.words(end, left))
        code = "broker_certificate_expires_soon" if left > 0 else "broker_certificate_expired"
        return doubtful(step, tried, code, expiry.words(end, left))

    def _no_token(self) -> str:
        if self._section.auth != "oauth":
            return ""
        return self._apps.problems.get(self._section.entra or DEFAULT_APP, "")

    async def _login(self, url: str) -> Finding:
        step, tried = "rabbitmq login", "log in, and open the virtual host"
        self._examination.begin(step, tried)
        try:
            await RabbitTopology(self._settings.only(url)).verify(amqp_exchanges=(), queues=())
        except BridgeError as error:
            return failed(step, tried, error)
        return ok(step, tried, "logged in, the virtual host is open")

    async def _rights(self, node: RabbitSettings, rights: BrokerRights) -> AsyncGenerator[Finding, None]:
        try:
            async with rabbit_rights(node, node.urls[0]) as asked:
                async for finding in rights.examine(asked):
                    yield finding
        except BridgeError as error:
            yield failed("rabbitmq rights", "ask for each right", error)

    async def _topology(self, node: RabbitSettings, *, may_configure: bool) -> AsyncGenerator[Finding, None]:
        tried = "look for each exchange and queue"
        self._examination.begin(_STEP, tried)
        try:
            found = await RabbitTopology(node).show(self._wanted)
        except BridgeError as error:
            yield failed(_STEP, tried, error)
            return
        missing = [f"{one.kind} {one.name}" for one in found if one.state == "missing"]
        differing = [one for one in found if one.state == "differs"]
        refused = [one for one in found if one.state == "refused"]
        if missing:
            yield wrong(_STEP, tried, "topology_missing", f"{len(missing)} missing: {', '.join(missing)}")
        for one in differing:
            yield wrong(_STEP, tried, _code_of(one), str(one))
        if not missing and not differing and not refused:
            yield ok(_STEP, tried, f"{len(found)} are there")
        if refused:
            yield skipped(_STEP, tried, f"this user may not look at {len(refused)} of them")
        elif not may_configure and not missing:
            why = "RabbitMQ compares them for users alone who may configure; run this as the user of topology apply"
            yield skipped(_STEP, "compare their arguments and types with what is wanted", why)
        for finding in _contents(found):
            yield finding

    async def _beyond_amqp(self, node: RabbitSettings) -> AsyncGenerator[Finding, None]:
        step, tried = "rabbitmq policies", "look for bindings, and for policies over the bridge's queues and exchanges"
        self._examination.begin(step, tried)
        url = self._section.management_url
        if url is None:
            look = "rabbitmqctl list_bindings, rabbitmqctl list_policies"
            yield skipped(step, tried, f"AMQP does not tell them; set rabbitmq.management_url, or look: {look}")
            return
        if self._section.auth == "external":
            yield skipped(step, tried, "the management API takes no client certificate as a login")
            return
        try:
            found = await asyncio.to_thread(_look, RabbitManagement(node, url), self._wanted)
        except BrokerAccessRefused as error:
            yield skipped(step, tried, f"{error.detail}: it has no tag for it, and needs none for its work")
            return
        except BridgeError as error:
            yield failed(step, tried, error)
            return
        for finding in found:
            yield finding


def _look(management: RabbitManagement, wanted: Topology) -> list[Finding]:
    """Return what the management API shows to be wrong."""
    findings = []
    if "administrator" in management.tags():
        tried = "look for the tag administrator"
        findings.append(doubtful("rabbitmq rights", tried, "broker_rights_too_wide", "it is there"))
    tried = "look for each binding"
    unwanted = not management.is_bound(names.INBOUND)
    unbound = [
        one for one in management.unbound(wanted.bindings) if not (unwanted and one.amqp_exchange == names.INBOUND)
    ]
    if unwanted:
        # As an ingest worker tells it, which meets this with its first mail.
        findings.append(wrong(_STEP, tried, "publish_unroutable", f"nothing is bound to {names.INBOUND}"))
    if unbound:
        told = ", ".join(f"{one.amqp_exchange} to {one.queue} by {one.routing_key or 'any key'}" for one in unbound)
        findings.append(wrong(_STEP, tried, "topology_missing", f"{len(unbound)} missing: {told}"))
    if not unwanted and not unbound:
        findings.append(ok(_STEP, tried, f"{len(wanted.bindings)} are there"))
    tried = "look for policies over the bridge's queues and exchanges"
    queues = [one.name for one in wanted.queues]
    overrides = management.overrides(queues, [one.name for one in wanted.amqp_exchanges])
    for one in overrides:
        told = f"{one.kind} {one.name}: policy {one.policy} sets {', '.join(one.settings) or 'something'}"
        findings.append(wrong("rabbitmq policies", tried, "policy_overrides", told))
    if not overrides:
        findings.append(ok("rabbitmq policies", tried, "there is none that changes anything"))
    return findings


def _code_of(looked: Looked) -> str:
    types = any(difference.argument == "x-queue-type" for difference in looked.differences)
    return "queue_type_wrong" if types else "topology_differs"


def _contents(found: list[Looked]) -> list[Finding]:
    """Return what is found about what waits in queues."""
    findings = []
    for one in found:
        step, tried = f"rabbitmq queue {one.name}", "count what waits"
        if one.kind != "queue" or not one.messages:
            continue
        if one.name in _DEAD:
            findings.append(doubtful(step, tried, "dead_letters_wait", f"{one.messages} message(s)"))
        elif one.name == names.INBOUND and not one.consumers:
            findings.append(doubtful(step, tried, "inbound_unread", f"{one.messages} mail(s), and no consumer"))
    return findings
