"""The sandbox as a whole: everything that lives in one directory, started, announced, and stopped by a signal."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sqlite3
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Final, cast

from aiohttp import web

from bridge.sandbox import clock, firsttime
from bridge.sandbox.admin import AdminApi
from bridge.sandbox.arenas import thread_begins
from bridge.sandbox.authentication import BearerAuthenticator
from bridge.sandbox.calls import CallLog
from bridge.sandbox.entra.application import entra_application
from bridge.sandbox.entra.federation import IssuerKeys
from bridge.sandbox.entra.graph import GraphServer
from bridge.sandbox.entra.issued import IssuedTokens
from bridge.sandbox.entra.keys import SigningKey, ensure_signing_key
from bridge.sandbox.entra.metadata import MetadataServer
from bridge.sandbox.entra.server import EntraServer
from bridge.sandbox.entra.workload import WorkloadIssuer
from bridge.sandbox.ews.behaviour import BehaviourSettings, ServerBehaviour
from bridge.sandbox.ews.behaviour.clocks import set_clocks
from bridge.sandbox.ews.faults import EwsFaults, count_calls, count_refusals
from bridge.sandbox.ews.frontend import FrontEnd
from bridge.sandbox.ews.service import EwsService
from bridge.sandbox.faults.rules import FaultBook
from bridge.sandbox.files import DirectoryClaim, DirectoryInUseError
from bridge.sandbox.gate import Gate
from bridge.sandbox.grants import TenantGrants
from bridge.sandbox.logs import configure_logging
from bridge.sandbox.mailflow import MailFlow
from bridge.sandbox.passwords import OnPremisesAuthenticator
from bridge.sandbox.ports import PortTakenError, bound, free_port
from bridge.sandbox.presented import Presented
from bridge.sandbox.settings import DEFAULT_MAILBOX, HOST, PORTS, Announcement, SandboxOptions
from bridge.sandbox.smtp import SmtpServer, listen
from bridge.sandbox.store import Store
from bridge.sandbox.tenant import Tenant, TenantFile, new_service_account

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from bridge.sandbox.ews.hooks import Authenticator

# Exchange takes requests of up to 64 MB; the EWS service refuses more itself, with Exchange's answer.
_EWS_BODY_LIMIT_BYTES: Final = 128 << 20
_THREADS: Final = 32
_STOP_SECONDS: Final = 0.5
_KEEP_ALIVE_SECONDS: Final = 120.0
_SERVER_NAME: Final = "sandbox.localhost"
_SERVED: Final = ("entra", "ews", "smtp", "admin", "metadata")

CANNOT_START: Final = 3
"""Exit code: the directory is in use, a port is taken, or the directory cannot be used."""


def run(options: SandboxOptions) -> int:
    """
    Run the sandbox until SIGTERM or SIGINT, and return the exit code.

    When all is ready, one line of JSON goes to standard output; what goes wrong goes to standard error in words.
    """
    configure_logging()
    os.umask(0o077)  # whatever else is written there holds mails or secrets
    try:
        options.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with DirectoryClaim(options.directory):
            asyncio.run(_serve(options))
    except (DirectoryInUseError, PortTakenError, OSError, ValueError, sqlite3.Error) as error:
        print(f"bridge sandbox: {error}", file=sys.stderr)  # noqa: T201 - this is the program's answer
        return CANNOT_START
    return 0


async def _serve(options: SandboxOptions) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if options.stop_with_stdin:
        _stop_with_stdin(loop, stop)
    loop.set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="sandbox", initializer=thread_begins))
    async with AsyncExitStack() as stack:
        announcement = await _start(options, stack)
        announcement.write()
        print(announcement.line(), flush=True)  # noqa: T201 - the line that scripts wait for
        # What was loaded stays for good: keep the collector from going through it again and again.
        gc.collect()
        gc.freeze()
        await stop.wait()


def _stop_with_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Have `stop` set once standard input ends. A thread, because the loop waits for no files and no /dev/null."""

    if sys.stdin is None:  # closed from the start: the descriptor may be a file of the sandbox's own by now
        stop.set()
        return
    descriptor = sys.stdin.fileno()

    def wait() -> None:
        with suppress(OSError):  # a terminal that went away
            while os.read(descriptor, 4096):
                pass
        with suppress(RuntimeError):  # the loop is closed: it is stopping for another reason
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait, name="standard-input", daemon=True).start()


async def _start(options: SandboxOptions, stack: AsyncExitStack) -> Announcement:
    directory = options.directory.resolve()
    tenants = TenantFile(directory / "tenant.json")
    tenant = tenants.tenant
    tenant.add_users(options.mailboxes or (() if tenant.users else (DEFAULT_MAILBOX,)))
    if options.on_premises and tenant.service_account is None:
        tenant.service_account = new_service_account()
    sockets = await _bind(tenant, options, stack)
    tenants.save()

    firsttime.prepare(directory)
    presented = Presented(firsttime.certificates_of(directory))
    key = ensure_signing_key(firsttime.signing_key_of(directory))
    store = Store(directory / "store.sqlite")
    stack.callback(store.close)
    for user in tenant.users:
        store.add_mailbox(user.address, alias=user.alias, username=user.username, password=user.password)
    book = FaultBook(directory / "faults.json")
    log = CallLog()

    entra_url = f"https://{HOST}:{tenant.ports['entra']}"
    issued = IssuedTokens()
    behaviour = ServerBehaviour(BehaviourSettings(directory / "behaviour.json", realistic=options.realistic), store)
    set_clocks(behaviour.book)
    entra = EntraServer(
        tenant,
        key,
        base_url=entra_url,
        now=clock.ENTRA.time,
        issued=issued,
        issuer_keys=IssuerKeys(presented.ca_file),
        setting=behaviour.book.of_all,
    )
    workload = WorkloadIssuer(entra_url, lambda: _workload_key(directory))
    graph = GraphServer(tenant, key, clock.ENTRA.time)
    authenticator: Authenticator = BearerAuthenticator(tenant, key, clock.EXCHANGE.time)
    users_changed: Callable[[], None] | None = None
    if options.on_premises:
        authenticator = by_password = OnPremisesAuthenticator(tenant, authenticator, directory / "ntlm_users")
        users_changed = by_password.write_users
    flow = MailFlow(store, tenant, server=_SERVER_NAME, behaviour=behaviour)
    ews = EwsService(
        store,
        authenticator=authenticator,
        mail_flow=flow.accepted,
        faults=EwsFaults(book, log),
        behaviour=behaviour,
        front_end=FrontEnd(on_premises=options.on_premises),
        grants=TenantGrants(tenant),
    )
    stack.push_async_callback(ews.close)
    ews_application = web.Application(
        middlewares=[count_refusals(log), count_calls], client_max_size=_EWS_BODY_LIMIT_BYTES
    )
    ews_application.router.add_route("*", "/{path:.*}", ews.handle)
    announcement = Announcement(directory, tenant, presented.ca_file, options.on_premises)
    admin = AdminApi(
        store,
        tenants,
        book,
        log,
        announcement,
        issued,
        behaviour.book,
        ews.subscriptions,
        users_changed,
        presented=presented,
        workload=workload,
    )

    entra_web = entra_application(entra, book, log, graph=graph, workload=workload)
    for service, application in (("entra", entra_web), ("ews", ews_application)):
        runner = await _runner(stack, application)
        gate = Gate(service, sockets[service], cast("web.Server", runner.server), presented, book)
        stack.push_async_callback(gate.close)
        gate.open()
    metadata = MetadataServer(tenant, entra.tokens, behaviour.book.of_all)
    for service, plain in (
        ("admin", admin.application(port=tenant.ports["admin"])),
        ("metadata", metadata.application(book, log, port=tenant.ports["metadata"])),
    ):
        runner = await _runner(stack, plain)
        await web.SockSite(runner, sockets[service], backlog=1024).start()
    smtp = await listen(SmtpServer(store, tenant, log, server=_SERVER_NAME, behaviour=behaviour), sockets["smtp"])
    stack.callback(smtp.close)
    carrier = asyncio.create_task(flow.run())
    stack.callback(carrier.cancel)
    return announcement


async def _bind(tenant: Tenant, options: SandboxOptions, stack: AsyncExitStack) -> dict[str, socket.socket]:
    """Return a bound socket for each server; the numbers are in the tenant, to be kept."""
    tenant.ports.update(options.wanted_ports())
    sockets: dict[str, socket.socket] = {}
    for name in PORTS:
        if name in tenant.ports and name in _SERVED:
            sockets[name] = await bound(name, tenant.ports[name])
        elif name not in tenant.ports:
            sockets[name], tenant.ports[name] = free_port()
        if name in sockets:
            stack.callback(sockets[name].close)
    # Only its number was wanted; it is for the bridge to listen on.
    suggested = sockets.pop("bridge_http", None)
    if suggested is not None:
        suggested.close()
    return sockets


async def _runner(stack: AsyncExitStack, application: web.Application) -> web.AppRunner:
    runner = web.AppRunner(
        application, access_log=None, keepalive_timeout=_KEEP_ALIVE_SECONDS, shutdown_timeout=_STOP_SECONDS
    )
    stack.push_async_callback(runner.cleanup)
    await runner.setup()
    return runner


def _workload_key(directory: Path) -> SigningKey:
    firsttime.prepare_workload_key(directory)
    return ensure_signing_key(firsttime.workload_key_of(directory))
