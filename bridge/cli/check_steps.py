"""The steps of `bridge check`. None changes anything; one whose ground is missing is skipped, and says so."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from bridge.adapters.ews.inbox import EwsInbox
from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.adapters.system.reach import reach
from bridge.bootstrap import entra_tokens, ews_client, rabbit_settings
from bridge.cli.broker import wanted_topology
from bridge.cli.findings import Finding, failed, skipped
from bridge.config import TopologySettings
from bridge.errors import BridgeError, CredentialsRejected, FolderNotFound, MailboxAccessDenied, MailboxNotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path

    from bridge.config import MailboxSettings, Settings
    from bridge.ports.tokens import TokenSource

_OLD_SECONDS = 7 * 24 * 3600
_MANY = 1000
_REACH_FIXES = {
    "name_unresolved": "check the host's name, and this machine's DNS",
    "host_unreachable": "check that it runs, the port, and firewalls in between",
    "tls_untrusted": "give the CA's certificate as ca_file in this section; verification cannot be turned off",
    "tls_failed": "check that the port speaks TLS",
    "ca_file_unusable": "give a PEM file with CA certificates",
}
_REACH_WORDS = {
    "name_unresolved": "the name cannot be resolved",
    "host_unreachable": "no connection",
    "tls_untrusted": "the certificate is not trusted",
    "tls_failed": "no TLS",
    "ca_file_unusable": "ca_file cannot be used",
}


async def check_everything(settings: Settings) -> AsyncIterator[Finding]:
    """Yield what each step found, as it is found."""
    async for finding in _check_exchange(settings):
        yield finding
    async for finding in _check_broker(settings):
        yield finding


async def _check_exchange(settings: Settings) -> AsyncIterator[Finding]:
    tokens: TokenSource | None = None
    problem = ""
    if settings.ews.auth == "oauth" and settings.entra is not None:
        finding = await _reachable("entra", settings.entra.authority, settings.entra.ca_file)
        yield finding
        if finding.state == "failed":
            problem = "Entra cannot be reached"
            yield skipped("entra token", problem)
        else:
            tokens = entra_tokens(settings.entra)
            finding = await _token(tokens)
            yield finding
            problem = "there is no token" if finding.state == "failed" else ""
    finding = await _reachable("ews", settings.ews.url, settings.ews.ca_file)
    yield finding
    problem = "EWS cannot be reached" if finding.state == "failed" else problem
    for mailbox in settings.mailboxes:
        if problem:
            yield skipped(f"mailbox {mailbox.alias}", problem)
            continue
        async for found in _check_mailbox(settings, mailbox, tokens):
            yield found


async def _reachable(step: str, url: str, ca_file: Path | None) -> Finding:
    parts = urlsplit(url)
    tls = parts.scheme in {"https", "amqps"}
    host = parts.hostname or "localhost"
    port = parts.port or {"https": 443, "amqps": 5671}.get(parts.scheme, 5672)
    step = f"{step} {host}:{port}"
    proxy = getproxies_environment().get(parts.scheme)
    if proxy and not proxy_bypass(host):
        through = urlsplit(proxy)
        return Finding(step, "ok", "proxied", f"is reached through the proxy {through.hostname}:{through.port}")
    found = await reach(host, port, tls=tls, ca_file=ca_file)
    if found.code == "ok":
        return Finding(step, "ok", "ok", f"reached{' with TLS' if tls else ''} ({found.detail})")
    detail = f" ({found.detail})" if found.detail else ""
    return Finding(step, "failed", found.code, _REACH_WORDS[found.code] + detail, _REACH_FIXES[found.code])


async def _token(tokens: TokenSource) -> Finding:
    try:
        token = await asyncio.to_thread(tokens.token)
    except BridgeError as error:
        return failed("entra token", error)
    minutes = (token.expires_at - time.time()) / 60
    return Finding("entra token", "ok", "ok", f"valid for {minutes:.0f} minutes")


async def _check_mailbox(
    settings: Settings, mailbox: MailboxSettings, tokens: TokenSource | None
) -> AsyncIterator[Finding]:
    client = ews_client(settings, mailbox, tokens)
    try:
        inbox = EwsInbox(client, mailbox.address, ignore_before=mailbox.ignore_before)
        for folder in mailbox.folders:
            step = f"mailbox {mailbox.alias}, folder {folder}"
            try:
                listing = await inbox.list_waiting(folder, limit=1)
            except FolderNotFound as error:
                yield failed(step, error)
                continue
            except BridgeError as error:
                yield (
                    _refused(step, error) if tokens and isinstance(error, CredentialsRejected) else failed(step, error)
                )
                return  # the same would be said of everything else in this mailbox
            oldest = listing.refs[0].received_at if listing.refs else None
            age = time.time() - oldest.timestamp() if oldest is not None else 0.0
            told = f"{listing.total} mail(s) wait" + (f", the oldest for {_duration(age)}" if listing.refs else "")
            if mailbox.read and (listing.total >= _MANY or age >= _OLD_SECONDS):
                fix = "all of it will be published; set ignore_before for this mailbox to leave old mail where it is"
                yield Finding(step, "warning", "old_mail_waits", told, fix)
            else:
                yield Finding(step, "ok", "ok", told)
        async for found in _check_junk(mailbox, inbox.count("junkemail")):
            yield found
    finally:
        client.close()
    for number, address in enumerate(mailbox.must_not_reach):
        yield await _out_of_reach(settings, mailbox, tokens, number, address)


def _refused(step: str, error: BridgeError) -> Finding:
    """Return the finding where Exchange refuses a token that Entra has just given: the secret is right."""
    fix = "give the app the role Application EWS.AccessAsApp for this mailbox; a change takes up to two hours"
    return replace(failed(step, error), what=f"Exchange takes no token of this app ({error.detail})", fix=fix)


async def _check_junk(mailbox: MailboxSettings, count: Awaitable[int]) -> AsyncIterator[Finding]:
    step = f"mailbox {mailbox.alias}, junk folder"
    try:
        number = await count
    except BridgeError as error:
        yield failed(step, error)
        return
    if number and "junkemail" not in mailbox.folders:
        fix = "look through it; add junkemail to folders to have it read as well"
        yield Finding(step, "warning", "junk_waits", f"{number} mail(s) that nobody reads", fix)


async def _out_of_reach(
    settings: Settings, mailbox: MailboxSettings, tokens: TokenSource | None, number: int, address: str
) -> Finding:
    step = f"mailbox {mailbox.alias}, must_not_reach[{number}]"
    client = ews_client(settings, mailbox, tokens)
    try:
        await EwsInbox(client, address).count("inbox")
    except (MailboxAccessDenied, MailboxNotFound):
        return Finding(step, "ok", "ok", "is out of reach, as it must be")
    except BridgeError as error:
        return failed(step, error)
    finally:
        client.close()
    what = "can be opened: the app is not limited to its mailboxes"
    fix = "revoke full_access_as_app in Entra: that consent defeats the scope of RBAC for Applications"
    return Finding(step, "failed", "scope_too_wide", what, fix)


async def _check_broker(settings: Settings) -> AsyncIterator[Finding]:
    section, logged_in = settings.rabbitmq, False
    broker = rabbit_settings(section, name="bridge check", app=settings.broker_app)
    for url in section.urls:
        finding = await _reachable("rabbitmq", url.get_secret_value(), section.ca_file)
        yield finding
        if finding.state == "failed":
            continue
        try:
            node = broker.only(url.get_secret_value())
            await RabbitTopology(node).verify(amqp_exchanges=(), queues=())
        except BridgeError as error:
            yield failed("rabbitmq login", error)
        else:
            logged_in = True
            yield Finding("rabbitmq login", "ok", "ok", "logged in, the virtual host is open")
    if not logged_in:
        yield skipped("rabbitmq topology", "there is no login")
        return
    wanted = wanted_topology(TopologySettings(rabbitmq=section, mailboxes=settings.mailboxes))
    try:
        found = await RabbitTopology(broker).show(wanted)
    except BridgeError as error:
        yield failed("rabbitmq topology", error)
        return
    missing = [f"{one.kind} {one.name}" for one in found if one.state == "missing"]
    differing = [one for one in found if one.state == "differs"]
    if missing:
        what = f"{len(missing)} missing: {', '.join(missing)}"
        yield Finding("rabbitmq topology", "failed", "topology_missing", what, "bridge topology apply")
    for one in differing:
        fix = "drain it, delete it, then bridge topology apply"
        yield Finding("rabbitmq topology", "failed", "topology_differs", str(one), fix)
    if not missing and not differing:
        yield Finding("rabbitmq topology", "ok", "ok", f"{len(found)} exchanges and queues are as they should be")


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} seconds"
