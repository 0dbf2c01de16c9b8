"""Each mailbox: EWS lets the app in, the mailbox is there and open, its folders, its rights, its limits, its bounds."""

from __future__ import annotations

import time
from contextlib import aclosing
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

from bridge.bootstrap.exchange import entra_tokens, known_mailboxes
from bridge.bootstrap.mailboxes import OpenMailbox
from bridge.config.entra import DEFAULT_APP
from bridge.config.rules import is_microsoft_host
from bridge.doctor.findings import doubtful, failed, ok, skipped, wrong
from bridge.doctor.hosts import reachable
from bridge.doctor.rights import Rights
from bridge.doctor.sending import Sending
from bridge.domain.mailbox_state import MailboxState
from bridge.errors import BridgeError, EwsBlocked, MailboxAccessDenied, MailboxNotFound
from bridge.telemetry.reasons import count_known

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from bridge.config import MailboxSettings
    from bridge.doctor.apps import Apps
    from bridge.doctor.examination import Examination
    from bridge.doctor.findings import Finding
    from bridge.domain.concern import Concern
    from bridge.domain.mailbox_state import MailboxSize
    from bridge.ports.inbox import Inbox
    from bridge.ports.tokens import TokenSource

EWS_ENDS: Final = date(2027, 4, 1)
"""The day on which Microsoft ends EWS in Exchange Online, announced in February 2026."""
_OLD_SECONDS: Final = 7 * 24 * 3600
_MANY: Final = 1000
_CLOSED_TO_ALL: Final = frozenset({"ErrorAccountDisabled", "ErrorInvalidLicense"})
"""What Exchange answers for a mailbox that nobody can open, whatever the app's scope."""


class Mailboxes:
    """Examines all mailboxes of a configuration."""

    def __init__(self, examination: Examination, apps: Apps) -> None:
        self._examination = examination
        self._settings = examination.settings
        self._apps = apps
        self._tokens: dict[str, TokenSource] = {}

    async def examine(self) -> AsyncGenerator[Finding, None]:
        """Yield what is found of each host and mailbox."""
        known = known_mailboxes(self._settings)
        hosts: dict[str, str] = {}
        for mailbox in self._settings.mailboxes:
            url = self._settings.ews_url(mailbox)
            if url in hosts:
                continue
            finding = await reachable(self._examination, "ews", url, self._settings.ews.ca_file)
            yield finding
            hosts[url] = "EWS cannot be reached" if finding.state == "failed" else ""
            if is_microsoft_host(url):
                yield _end_of_ews()
        for mailbox in self._settings.mailboxes:
            name = self._settings.app_name(mailbox)
            app = self._settings.app(mailbox)
            problem = hosts[self._settings.ews_url(mailbox)] or self._apps.problems.get(name or "", "")
            if problem:
                yield skipped(f"mailbox {mailbox.alias}", "open it", problem)
                continue
            opened = OpenMailbox(self._settings, mailbox, self._tokens_of(mailbox), known=known)
            try:
                async with aclosing(self._examine(mailbox, opened)) as found:
                    async for finding in found:
                        yield finding.of_app(app.client_id if app is not None else None)
            finally:
                opened.close()

    def _tokens_of(self, mailbox: MailboxSettings) -> TokenSource | None:
        app = self._settings.app(mailbox)
        if app is None:
            return None
        name = self._settings.app_name(mailbox) or DEFAULT_APP
        if name not in self._tokens:
            self._tokens[name] = entra_tokens(app, name)
        return self._tokens[name]

    async def _examine(self, mailbox: MailboxSettings, opened: OpenMailbox) -> AsyncGenerator[Finding, None]:
        step = f"mailbox {mailbox.alias}"
        tried = "open it, as the app or account that is configured"
        self._examination.begin(step, tried)
        try:
            number = await opened.inbox_as_read.count("inbox")
        except BridgeError as error:
            yield failed(step, tried, error)
            if isinstance(error, MailboxNotFound):
                async for finding in self._bounds(mailbox, opened):
                    yield finding
            return
        yield ok(step, tried, f"it is open ({number} mail(s) in the inbox)")
        async for finding in self._folders(mailbox, opened):
            yield finding
        async with aclosing(Rights(self._examination, f"{step}, rights", opened).try_all()) as found:
            async for finding in found:
                yield finding
        async for finding in self._folder_counts(mailbox, opened.inbox_as_read):
            yield finding
        if mailbox.send:
            async for finding in Sending(self._examination, mailbox, opened).examine():
                yield finding
        async for finding in self._bounds(mailbox, opened):
            yield finding

    async def _folders(self, mailbox: MailboxSettings, opened: OpenMailbox) -> AsyncGenerator[Finding, None]:
        if mailbox.read:
            step, tried = f"mailbox {mailbox.alias}, folders", "compare folders and after_publish, by their ids"
            self._examination.begin(step, tried)
            try:
                await opened.trial.check_folders()
            except BridgeError as error:
                yield failed(step, tried, error)
            else:
                yield ok(step, tried, "mail that was published comes back into none")
        for folder in mailbox.folders if mailbox.read else ():
            step, tried = f"mailbox {mailbox.alias}, folder {folder}", "list it, oldest first"
            self._examination.begin(step, tried)
            try:
                listing = await opened.inbox_as_read.list_waiting(folder, limit=1)
            except BridgeError as error:
                yield failed(step, tried, error)
                continue
            oldest = listing.refs[0].received_at if listing.refs else None
            age = time.time() - oldest.timestamp() if oldest is not None else 0.0
            told = f"{listing.total} mail(s) wait" + (f", the oldest for {_duration(age)}" if listing.refs else "")
            old = listing.total >= _MANY or age >= _OLD_SECONDS
            yield doubtful(step, tried, "old_mail_waits", told) if old else ok(step, tried, told)
        if mailbox.read and mailbox.move_to is not None:
            yield await _exists(
                f"mailbox {mailbox.alias}, folder of after_publish", opened.inbox_as_read, mailbox.move_to
            )

    async def _folder_counts(self, mailbox: MailboxSettings, inbox: Inbox) -> AsyncGenerator[Finding, None]:
        """Yield how full it is, and for one that is read, what lies where nobody looks."""
        step = f"mailbox {mailbox.alias}, "
        self._examination.begin(step + "size", "measure it")
        try:
            seen = await inbox.count_folders()
        except BridgeError as error:
            yield failed(step + "size", "measure it", error)
            return
        yield _size(step + "size", seen.size)
        if not mailbox.read:
            return
        parked = MailboxState(parked=seen.parked or 0, parked_codes=count_known(seen.parked_codes or {}))
        yield _found(step + "parked mail", parked.concerns(junk_is_read=True))
        if "junkemail" not in mailbox.folders:
            yield _found(step + "junk folder", MailboxState(junk=seen.junk or 0).concerns(junk_is_read=False))

    async def _bounds(self, mailbox: MailboxSettings, opened: OpenMailbox) -> AsyncGenerator[Finding, None]:
        """Yield whether the app is kept out of the mailboxes that must stay closed to it."""
        for number, address in enumerate(mailbox.must_not_reach):
            step, tried = f"mailbox {mailbox.alias}, must_not_reach[{number}]", "open it, which must be refused"
            self._examination.begin(step, tried)
            try:
                await opened.inbox_of(address).count("inbox")
            except MailboxAccessDenied as error:
                if error.detail in _CLOSED_TO_ALL:
                    yield doubtful(step, tried, "scope_unproved", f"it is closed to everybody ({error.detail})")
                else:
                    yield ok(step, tried, f"refused ({error.detail or error.code}), as it must be")
            except MailboxNotFound as error:
                yield doubtful(step, tried, "scope_unproved", error.detail)
            except EwsBlocked as error:
                yield doubtful(step, tried, "scope_unproved", f"EWS is closed for it anyway ({error.code})")
            except BridgeError as error:
                yield failed(step, tried, error)
            else:
                yield wrong(step, tried, "scope_too_wide", "it was opened")


def _end_of_ews() -> Finding:
    left = (EWS_ENDS - datetime.now(UTC).date()).days
    told = f"in {left} days" if left > 0 else "that day has passed"
    return doubtful("ews, end", "look how long Exchange Online offers EWS", "ews_ends", told)


def _size(step: str, size: MailboxSize | None) -> Finding:
    tried = "compare what it holds with its quota"
    if size is None or size.limit_bytes is None:
        return skipped(step, tried, "Exchange does not tell both")
    for concern in MailboxState(size=size).concerns(junk_is_read=True):
        return (wrong if concern.stops_mail else doubtful)(step, tried, concern.code, concern.detail)
    return ok(step, tried, size.words)


def _found(step: str, concerns: Sequence[Concern]) -> Finding:
    tried = "count what lies there"
    for concern in concerns:
        return doubtful(step, tried, concern.code, concern.detail)
    return ok(step, tried, "nothing")


async def _exists(step: str, inbox: Inbox, folder: str) -> Finding:
    tried = "look whether it is there"
    try:
        await inbox.count(folder)
    except BridgeError as error:
        return failed(step, tried, error)
    return ok(step, tried, "it is")


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} seconds"
