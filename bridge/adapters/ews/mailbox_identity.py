"""
That a mailbox is the one of its configured address, as Exchange itself says it, before anything is done in it.

A server could open another mailbox than was meant: the login's own, where it does not read whose folder was named. So
it is asked in which mailbox the folder lies that it opened. One that does not tell is shown the name of a mailbox that
cannot exist: whoever opens that as well opens everything as one and the same.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bridge.adapters.ews.folder_ids import distinguished, folder_ids, name_mailbox
from bridge.adapters.ews.soap import M, T, element
from bridge.errors import (
    BridgeError,
    FolderNotFound,
    MailboxAccessDenied,
    MailboxConfiguredTwice,
    MailboxNotProved,
    MailboxThrottled,
    MailboxUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from lxml import etree

    from bridge.adapters.ews.soap import ResponseMessage

    Ask = Callable[[str, etree._Element], Awaitable[list[ResponseMessage]]]  # noqa: SLF001 - lxml names its type so

_NOBODY: Final = "nobody@bridge.invalid"
"""Named as the mailbox of an id: an answer that says it back is a copy of the question."""


class KnownMailboxes:
    """The mailboxes of a configuration that proved to be themselves; all clients of a process share it."""

    def __init__(self, aliases: Mapping[str, str] | None = None) -> None:
        """`aliases`: those of the configured addresses, in the order of the configuration."""
        self._aliases = {address.lower(): alias for address, alias in (aliases or {}).items()}
        self._identities: dict[str, str] = {}
        self._twins: dict[str, str] = {}

    def is_proved(self, address: str) -> bool:
        """Whether a mailbox has proved to be the one of this address."""
        return address.lower() in self._identities

    def note(self, address: str, identity: str) -> None:
        """Note that the mailbox of an address is proved; `identity` is the same for one and the same mailbox."""
        self._identities[address.lower()] = identity
        same = [one for one in self._aliases if self._identities.get(one) == identity]
        for later in same[1:]:
            self._twins[later] = self._aliases[same[0]]

    def check(self, address: str) -> None:
        """
        Return if no mailbox that is configured earlier is this one.

        Raises:
            MailboxConfiguredTwice: There is one: both would carry each mail, under two names.
        """
        twin = self._twins.get(address.lower())
        if twin is not None:
            raise MailboxConfiguredTwice(f"it is the mailbox {twin}")


@dataclass(slots=True)
class _Attempts:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    number: int = 0
    error: BridgeError | None = None


class IdentityProof:
    """Has the mailboxes that one client opens prove to be the configured ones: once each, before its first call."""

    def __init__(self, ask: Ask, known: KnownMailboxes, *, impersonates: bool = False) -> None:
        """`ask` makes a call in a mailbox, proved or not; `impersonates`: as the account of that mailbox."""
        self._ask = ask
        self._impersonates = impersonates
        self._nobody = f"no-such-mailbox-{uuid.uuid4().hex}"
        self._known = known
        self._attempts: dict[str, _Attempts] = {}

    async def ensure(self, address: str) -> None:
        """
        Return once the mailbox has proved to be the one of this address.

        Raises:
            MailboxNotProved: The server does not tell, and would open any name.
            MailboxConfiguredTwice: It is one that is configured under another name, too.
            BridgeError: It cannot be opened, or not at the moment.
        """
        if not self._known.is_proved(address):
            attempts = self._attempts.setdefault(address, _Attempts())
            before = attempts.number
            async with attempts.lock:
                if not self._known.is_proved(address):
                    if attempts.number != before and attempts.error is not None:
                        raise attempts.error  # found out while this call waited
                    await self._prove(address, attempts)
        self._known.check(address)

    async def _prove(self, address: str, attempts: _Attempts) -> None:
        try:
            identity = await self._opened(address, address)
            if await self._told_address(address, identity) != address.lower():
                await self._names_matter(address, identity)
        except BridgeError as error:
            attempts.error = error
            raise
        finally:
            attempts.number += 1
        self._known.note(address, identity)

    async def _opened(self, address: str, named: str) -> str:
        """Return the id of the inbox in the mailbox that is named, asked for in the name of the configured one."""
        request = element(
            "m:GetFolder",
            element("m:FolderShape", element("t:BaseShape", text="IdOnly")),
            folder_ids("m:FolderIds", distinguished("inbox")),
        )
        name_mailbox(request, named)
        messages = await self._ask(address, request)
        if len(messages) != 1:
            raise MailboxUnavailable("another number of answers than of questions")
        error = messages[0].error
        if isinstance(error, FolderNotFound) or messages[0].code == "ErrorItemNotFound":
            # Each mailbox has an inbox: it is not there for this app or account.
            raise MailboxAccessDenied(messages[0].code) from error
        messages[0].raise_error()
        found = next(messages[0].element.iter(f"{T}FolderId"), None)
        if found is None or not found.get("Id"):
            raise MailboxUnavailable("a folder was opened and its id not told")
        return str(found.get("Id"))

    async def _told_address(self, address: str, folder: str) -> str | None:
        """Return the address of the mailbox in which a folder lies, as the server says; None where it does not."""
        source = element("t:AlternateId", Format="EwsId", Id=folder, Mailbox=_NOBODY)
        request = element("m:ConvertId", element("m:SourceIds", source), DestinationFormat="HexEntryId")
        try:
            [message] = await self._ask(address, request)
        except MailboxThrottled:
            raise
        except (BridgeError, ValueError):
            return None  # not every server knows the operation
        found = next(message.element.iter(f"{M}AlternateId"), None)
        told = (found.get("Mailbox") or "").strip().lower() if message.error is None and found is not None else ""
        return told if told and told != _NOBODY else None

    async def _names_matter(self, address: str, identity: str) -> None:
        """
        Return if the server opens the configured mailbox by its name and refuses one that cannot exist.

        Then the name is one of the mailbox's own, if not its first. The name that counts is that of the folder's
        mailbox, or, on a server that ignores it, of the account that is impersonated.
        """
        nobody = f"{self._nobody}@{address.rpartition('@')[2]}"
        askers = (address, nobody) if self._impersonates else (address,)
        for asker in askers:
            if await self._refuses(nobody, asker, address, identity):
                return
        raise MailboxNotProved("a mailbox that does not exist was opened likewise")

    async def _refuses(self, nobody: str, asker: str, address: str, identity: str) -> bool:
        """
        Return whether the server refuses to open a mailbox that cannot exist; `asker` is impersonated.

        A refusal counts where it comes twice alike, with the configured mailbox open in between: a server that is in
        trouble refuses both.
        """
        refusals = set()
        for _ in range(2):
            try:
                await self._opened(asker, nobody)
            except MailboxThrottled:
                raise
            except BridgeError as refusal:
                refusals.add((type(refusal), refusal.detail))
            else:
                return False
            if await self._opened(address, address) != identity:
                raise MailboxNotProved("the same name opened two mailboxes")
        if len(refusals) != 1:
            raise MailboxUnavailable("a mailbox that does not exist was refused in two ways")
        return True
