"""`bridge parked retry`: what would stop a mail again, said beforehand, and what became of it, said afterwards."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from bridge.bootstrap.blobs import blob_store
from bridge.bootstrap.broker import rabbit_settings
from bridge.bootstrap.reading import blob_claims, parser_subprocesses
from bridge.cli.exits import Exit, answer, say
from bridge.cli.parked import mailboxes
from bridge.domain.mail import FailedFetch, SpooledMail, VanishedMail
from bridge.errors import BlobStoreUnavailable, BlobStoreUnusable, BridgeError, MessageError, MessageTooLarge
from bridge.ingest.compose import Composer
from bridge.telemetry.reasons import CODES, hint_for, words_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from bridge.config import Settings
    from bridge.domain.mail import MailRef
    from bridge.ingest.compose import Claims, LargeMailReader
    from bridge.ports.inbox import Inbox
    from bridge.ports.parked import ParkedMails
    from bridge.telemetry.events import Event

Outcome = Literal["put_back", "refused", "not_moved", "published", "parked_again", "waiting"]
_LOOK_SECONDS: Final = 1.0
_PAGE: Final = 1_000
_IS_NO: Final[frozenset[Outcome]] = frozenset({"refused", "not_moved", "parked_again"})


@dataclass(slots=True)
class Tried:
    """One mail, and how far it came."""

    mailbox: str
    message_id: str
    outcome: Outcome
    code: str = "ok"
    """Why it came no further."""

    def as_fields(self) -> dict[str, str]:
        """Return it for JSON."""
        return {"mailbox": self.mailbox, "message_id": self.message_id, "outcome": self.outcome, "code": self.code}


def retry(
    settings: Settings,
    aliases: Collection[str],
    message_ids: Collection[str],
    *,
    every: bool,
    force: bool,
    wait_seconds: float | None,
    as_json: bool,
) -> int:
    """Put parked mails back into the inbox, but for those that would be stopped again; return the exit code."""
    tried = asyncio.run(
        _retry(settings, aliases, None if every else set(message_ids), force=force, wait_seconds=wait_seconds)
    )
    missing = set() if every else set(message_ids) - {one.message_id for one in tried}
    if as_json:
        answer(json.dumps([one.as_fields() for one in tried], indent=2))
    else:
        for one in tried:
            answer("  ".join(one.as_fields().values()))
        if every and not tried:
            say("nothing is parked")
    for code in sorted({one.code for one in tried if one.outcome in {"refused", "parked_again"}}):
        say(f"{code}: {words_for(code)}" + (f": {hint_for(code)}" if hint_for(code) else ""))
    if refused := sum(one.outcome == "refused" for one in tried):
        say(f"{refused} would be stopped again and stay parked; --force puts them back all the same")
    for message_id in sorted(missing):
        say(f"{message_id}: no such mail is parked")
    if missing or any(one.outcome in _IS_NO for one in tried):
        return Exit.NO
    if any(one.outcome == "waiting" for one in tried):
        say("some are still in the inbox: is a worker running, and ready?")
        return Exit.TIMEOUT
    return Exit.OK


async def _retry(
    settings: Settings,
    aliases: Collection[str],
    wanted: Collection[str] | None,
    *,
    force: bool,
    wait_seconds: float | None,
) -> list[Tried]:
    tried: list[Tried] = []
    deadline = asyncio.get_running_loop().time() + (wait_seconds or 0.0)
    async with _rehearsing(settings) as rehearsal:
        async for mailbox, opened in mailboxes(settings, aliases):
            parked, inbox = opened.parked, opened.inbox
            going: list[MailRef] = []
            for mail in await parked.list_parked():
                ref = mail.ref
                if wanted is not None and ref.message_id not in wanted:
                    continue
                code = None if force else await rehearsal.stops(mailbox.alias, inbox, ref)
                if code is None:
                    going.append(ref)
                else:
                    tried.append(Tried(mailbox.alias, ref.message_id, "refused", code))
            moved = [
                Tried(mailbox.alias, one.ref.message_id, "put_back")
                if one.error is None
                else Tried(mailbox.alias, one.ref.message_id, "not_moved", one.error.code)
                for one in await parked.put_back(going)
            ]
            tried += moved
            if wait_seconds is not None:
                await follow([one for one in moved if one.outcome == "put_back"], inbox, parked, deadline)
    return tried


async def follow(moved: Sequence[Tried], inbox: Inbox, parked: ParkedMails, deadline: float) -> None:
    """Note what becomes of each mail, for as long as there is time."""
    time = asyncio.get_running_loop().time
    left = {one.message_id: one for one in moved}
    unseen: set[str] = set()
    for one in moved:
        one.outcome = "waiting"
    while left:
        # In the direction in which a worker moves a mail: one that is in neither has left both.
        in_inbox = await _in_inbox(inbox)
        again = {mail.ref.message_id: mail.code for mail in await parked.list_parked()}
        over = time() >= deadline
        for message_id, one in list(left.items()):
            if message_id in again:
                code = again[message_id]
                if code is None and not over:
                    continue  # the reason is written after the move
                one.outcome, one.code = "parked_again", code if code in CODES else BridgeError.code
            elif message_id not in in_inbox and message_id in unseen:
                one.outcome = "published"
            else:
                continue
            del left[message_id]
        # Once more: what leaves the inbox between two pages makes the second one skip as many.
        unseen = left.keys() - in_inbox
        if over:
            return
        if left:
            await asyncio.sleep(min(_LOOK_SECONDS, max(0.0, deadline - time())))


async def _in_inbox(inbox: Inbox) -> set[str]:
    found: list[str] = []
    while True:
        listing = await inbox.list_waiting("inbox", limit=_PAGE, offset=len(found))
        found += [ref.message_id for ref in listing.refs]
        if listing.complete or not listing.refs:
            return set(found)


class Rehearsal:
    """Does with a mail what a worker does, but for the publish and the removal."""

    def __init__(self, parsers: LargeMailReader, largest_body_bytes: int, claims: Claims | None) -> None:
        self._parsers = parsers
        self._largest_body_bytes = largest_body_bytes
        self._claims = claims

    async def stops(self, alias: str, inbox: Inbox, ref: MailRef) -> str | None:
        """
        Return the code of what would stop a mail again; None where nothing would.

        Raises:
            BridgeError: Exchange cannot at the moment, whichever mail is asked for.
        """
        [fetched] = await inbox.fetch([ref])
        if isinstance(fetched, FailedFetch):
            if isinstance(fetched.error, MessageError):
                return fetched.error.code
            raise fetched.error
        if isinstance(fetched, VanishedMail):
            return None  # then there is nothing to move, which is no error
        compose = Composer(
            alias, self._parsers, _tell_nobody, largest_body_bytes=self._largest_body_bytes, claims=self._claims
        )
        try:
            *_, message = await compose(fetched)
        except (MessageError, BlobStoreUnavailable, BlobStoreUnusable) as error:
            return error.code
        except BridgeError:
            raise
        except Exception:  # noqa: BLE001 - a bug, which a worker meets as well: it parks the mail for it
            return "unexpected_error"
        finally:
            if isinstance(fetched, SpooledMail):
                fetched.file.close()
        return MessageTooLarge.code if len(message.body) > self._largest_body_bytes else None


@asynccontextmanager
async def _rehearsing(settings: Settings) -> AsyncIterator[Rehearsal]:
    parsers = parser_subprocesses()
    store = blob_store(settings.blobs) if settings.blobs is not None else None
    largest = rabbit_settings(settings.rabbitmq, name="bridge parked").largest_body_bytes
    try:
        yield Rehearsal(parsers, largest, blob_claims(settings.blobs, store, largest))
    finally:
        await parsers.close()
        if store is not None:
            await store.close()


def _tell_nobody(_: Event) -> None:
    """What a rehearsal writes into the blob store is written again by the worker, under the same key."""
