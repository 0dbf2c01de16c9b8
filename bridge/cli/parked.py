"""What `bridge parked list` and `bridge parked export` do."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from typing import TYPE_CHECKING

from bridge.bootstrap.exchange import entra_tokens
from bridge.bootstrap.mailboxes import OpenMailbox
from bridge.cli.exits import Exit, answer, say
from bridge.domain.mail import FailedFetch, FetchedMail, SpooledMail
from bridge.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection
    from pathlib import Path

    from bridge.config import MailboxSettings, Settings
    from bridge.ports.parked import ParkedMail


def list_parked(settings: Settings, aliases: Collection[str], *, as_json: bool) -> int:
    """Show every parked mail."""

    async def work() -> list[tuple[str, ParkedMail]]:
        return [
            (mailbox.alias, mail)
            async for mailbox, opened in mailboxes(settings, aliases)
            for mail in await opened.parked.list_parked()
        ]

    found = asyncio.run(work())
    if as_json:
        answer(json.dumps([_fields(alias, mail) for alias, mail in found], indent=2))
        return Exit.OK
    for alias, mail in found:
        answer("  ".join(str(value) for value in _fields(alias, mail).values()))
    say(f"{len(found)} parked")
    return Exit.OK


def export(settings: Settings, aliases: Collection[str], message_id: str, file: Path) -> int:
    """Write one parked mail to a file."""

    async def work() -> tuple[bytes | None, str]:
        async for _, opened in mailboxes(settings, aliases):
            for mail in await opened.parked.list_parked():
                if mail.ref.message_id == message_id:
                    [fetched] = await opened.inbox.fetch([mail.ref])
                    if isinstance(fetched, FetchedMail):
                        return fetched.mime, ""
                    if isinstance(fetched, SpooledMail):
                        return fetched.file.read(), ""
                    why = fetched.error.code if isinstance(fetched, FailedFetch) else "Exchange does not give its MIME"
                    return None, why
        return None, "no such mail is parked"

    mime, problem = asyncio.run(work())
    if mime is None:
        say(problem)
        return Exit.NO
    try:
        with file.open("xb") as target:
            target.write(mime)
    except OSError as error:
        say(f"{file}: {error.strerror}")
        return Exit.USAGE
    return Exit.OK


async def mailboxes(settings: Settings, aliases: Collection[str]) -> AsyncIterator[tuple[MailboxSettings, OpenMailbox]]:
    """Yield the mailboxes with these aliases, all of them for none, each open while it is its turn."""
    unknown = set(aliases) - {mailbox.alias for mailbox in settings.mailboxes}
    if unknown:
        raise ConfigurationError(f"--mailbox {min(unknown)}: no mailbox has this alias")
    tokens = {name: entra_tokens(app, name) for name, app in settings.apps_in_use.items()}
    for mailbox in settings.mailboxes:
        if mailbox.alias in aliases or not aliases:
            with closing(OpenMailbox(settings, mailbox, tokens.get(settings.app_name(mailbox) or ""))) as opened:
                yield mailbox, opened


def _fields(alias: str, mail: ParkedMail) -> dict[str, object]:
    received_at = mail.ref.received_at
    return {
        "mailbox": alias,
        "message_id": mail.ref.message_id,
        "received_at": received_at.isoformat() if received_at is not None else None,
        "size_bytes": mail.ref.size_bytes,
        "item_class": mail.ref.item_class,
        "code": mail.code,
    }
