"""Chooses who subscribes to Exchange's notifications, and for which mailboxes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bridge.adapters.ews.notifications import EwsNotifications
from bridge.adapters.ews.stream_thread import StreamTimes
from bridge.bootstrap.exchange import connection, login
from bridge.ingest.notifications.state import StreamLimits
from bridge.ingest.notifications.streams import NotificationStreams
from bridge.telemetry.health import STANDING_BY, reading_part

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.adapters.ews.client import EwsClient
    from bridge.config.settings import MailboxSettings, Settings
    from bridge.ingest.notifications.streams import MailboxNotifications
    from bridge.ports.clock import Clock
    from bridge.ports.tokens import TokenSource
    from bridge.telemetry.events import Emit
    from bridge.telemetry.health import Health
    from bridge.telemetry.metrics import Metrics

PART: Final = "exchange:notifications"


def most_connections(settings: Settings, tokens: TokenSource | None) -> int:
    """Return how many connections a login may have: a mailbox's own needs one, others serve several of Exchange's."""
    return settings.ingest.stream_connections if tokens is not None or settings.ews.impersonate else 1


class NotificationStreamPool:
    """One streams for each app, or for each login on-premises, as far as there may be connections."""

    def __init__(self, settings: Settings, clock: Clock, emit: Emit, observe: Callable[..., None]) -> None:
        self._settings, self._clock, self._emit, self._observe = settings, clock, emit, observe
        self._streams: dict[tuple[str, str], tuple[NotificationStreams, EwsNotifications]] = {}
        self._shown: set[str] = set()
        self._readers: set[str] = set()

    def notices(
        self, mailbox: MailboxSettings, client: EwsClient, tokens: TokenSource | None
    ) -> MailboxNotifications | None:
        """Return a mailbox's part in it; None where it is not to be told of."""
        if not self._settings.ingest.streaming:
            return None
        key = self._key(mailbox)
        if key not in self._streams:
            if tokens is None and len(self._streams) >= self._settings.ingest.stream_connections:
                return None  # each login has a connection of its own
            made = _notifications(self._settings, mailbox, tokens, client, self._observe)
            limits = StreamLimits(connections=most_connections(self._settings, tokens))
            streams = NotificationStreams(made, clock=self._clock, emit=self._emit, limits=limits)
            self._streams[key] = (streams, made)
        self._readers.add(reading_part(mailbox.alias))
        return self._streams[key][0].of(mailbox.alias, mailbox.address, mailbox.folders)

    def _key(self, mailbox: MailboxSettings) -> tuple[str, str]:
        app = self._settings.app_name(mailbox)
        if app is None:
            # One service account may serve many mailboxes; a mailbox's own login serves that one.
            app = f"login {mailbox.username}" if self._settings.ews.impersonate else f"mailbox {mailbox.alias}"
        return app, self._settings.ews_url(mailbox)

    async def run(self) -> None:
        """Run all of them until cancelled; the first that dies of a bug ends the others."""
        if self._streams:
            await asyncio.gather(*(streams.run() for streams, _ in self._streams.values()))

    def show(self, health: Health, metrics: Metrics) -> None:
        """Keep gauges and health true."""
        if not self._streams:
            return
        statuses = [streams.status for streams, _ in self._streams.values()]
        metrics.ingest_stream_connections.set(sum(one.connections for one in statuses))
        metrics.ingest_stream_subscriptions.set(sum(one.subscriptions for one in statuses))
        aliases = {alias: is_notified for one in statuses for alias, is_notified in one.aliases.items()}
        for alias in self._shown - aliases.keys():
            metrics.ingest_streamed.remove(alias)
        for alias, is_notified in aliases.items():
            metrics.ingest_streamed.labels(alias).set(is_notified)
        for alias in {*self._shown} | aliases.keys():
            if not aliases.get(alias):
                metrics.ingest_stream_age.forget(alias)
        self._shown = {*aliases}
        self._show_health(
            health, aliases, [(one.trouble, one.unnotified) for one in statuses if one.trouble is not None]
        )

    def _show_health(self, health: Health, aliases: dict[str, bool], troubles: list[tuple[str | None, int]]) -> None:
        if not aliases:
            if self._all_elsewhere(health):
                health.standby(PART)
            elif (code := self._why_nothing_is_read(health)) is not None:
                health.trouble(PART, code, "no mailbox is read here, so no notifications are asked for")
            else:
                health.begin(PART)
        elif troubles:
            untold = sum(count for _, count in troubles)
            health.warn(PART, str(troubles[0][0]), f"{untold} of {len(aliases)} mailboxes are listed instead")
        elif all(aliases.values()):
            health.ok(PART)
        elif (state := health.state(PART)) is not None and state.status in {"standby", "trouble"}:
            health.expect(PART)  # a mailbox is read here again
        else:
            health.progress(PART)

    def _all_elsewhere(self, health: Health) -> bool:
        """Whether other workers read all of the mailboxes; that this one reads none may have other reasons."""
        states = [health.state(part) for part in self._readers]
        return all(state is not None and state.code in STANDING_BY for state in states)

    def _why_nothing_is_read(self, health: Health) -> str | None:
        """Return what keeps a reader from its work, which keeps this from it too; None where nothing is known."""
        states = [state for part in sorted(self._readers) if (state := health.state(part)) is not None]
        return next((state.code for state in states if state.status in {"trouble", "stale"}), None)

    def change_password(self, mailbox: MailboxSettings, password: str) -> None:
        """Sign in with this password from the next call on."""
        if (found := self._streams.get(self._key(mailbox))) is not None:
            found[1].change_password(password)

    def close(self) -> None:
        """Close all connections."""
        for _, notifications in self._streams.values():
            notifications.close()


def _notifications(
    settings: Settings,
    mailbox: MailboxSettings,
    tokens: TokenSource | None,
    client: EwsClient,
    observe: Callable[..., None],
) -> EwsNotifications:
    """Return what has Exchange tell of new mail, with the login of a client's; it has connections of its own."""
    return EwsNotifications(
        connection(settings, mailbox, tokens),
        client,
        tokens=tokens,
        login=login(settings, mailbox, tokens),
        observe=observe,
        times=StreamTimes(
            minutes=settings.ingest.stream_minutes, silence_seconds=settings.ingest.stream_silence_seconds
        ),
    )
