"""The two shapes of calls that sending makes: a search by restriction, and changes whose answer may be lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bridge.adapters.ews.folder_ids import folder_ids
from bridge.adapters.ews.soap import M, T, element
from bridge.adapters.ews.stamps import items_of
from bridge.errors import BridgeError, CallNotPossible, MailboxUnavailable, MessageError, SendOutcomeUnknown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lxml import etree

    from bridge.adapters.ews.client import EwsClient
    from bridge.adapters.ews.soap import ResponseMessage
    from bridge.adapters.http_insertion import Insertion

LARGE_BYTES: Final = 1 << 20
"""What is written apart, and given longer."""
_SLOWEST_BYTES_PER_SECOND: Final = 1 << 20
_MOST_FOUND = 100_000
_PAGE = 250  # Exchange Online gives no more of a restricted search (EWS throttling)


async def change(
    client: EwsClient,
    address: str,
    request: etree._Element,
    *,
    look: Callable[[], None] = lambda: None,
    longer_by_seconds: float = 0.0,
) -> ResponseMessage:
    """
    Return the answer to a call that changes one thing; `look` is called right before it, and may raise.

    One that carries much may take longer.

    Raises:
        SendOutcomeUnknown: There is no usable answer, or one that says that Exchange itself does not know
            (ErrorTimeoutExpired, ErrorInternalServerError and their like).
        BridgeError: The meaning of a refusal.
    """
    [answer] = await changes(client, address, request, 1, look=look, longer_by_seconds=longer_by_seconds)
    if isinstance(answer, BridgeError):
        raise answer
    return answer


async def changes(
    client: EwsClient,
    address: str,
    request: etree._Element,
    count: int,
    *,
    look: Callable[[], None] = lambda: None,
    longer_by_seconds: float = 0.0,
    content: Insertion | None = None,
) -> list[ResponseMessage | BridgeError]:
    """
    Return what came of each change of a call that makes several, in their order: its answer, or why it was not made.

    Raises:
        SendOutcomeUnknown: Any of them may have been made; or the call was refused for one that is not told.
        BridgeError: The meaning of a refusal of the whole call.
    """
    try:
        seconds = client.call_timeout_seconds + longer_by_seconds if longer_by_seconds else None
        if content is not None:
            messages = await client.call_with_content(address, request, content, timeout_seconds=seconds)
        else:
            messages = await client.call(address, request, timeout_seconds=seconds, look=look)
    except MailboxUnavailable as error:
        raise SendOutcomeUnknown(error.detail) from error
    except (MessageError, CallNotPossible) as error:
        if count == 1:
            raise
        raise SendOutcomeUnknown("refused together with others") from error
    if len(messages) != count:
        raise SendOutcomeUnknown("another number of answers than of changes")
    return [_outcome(message) for message in messages]


def _outcome(message: ResponseMessage) -> ResponseMessage | BridgeError:
    if isinstance(message.error, MailboxUnavailable):
        unknown = SendOutcomeUnknown(message.code)
        unknown.__cause__ = message.error
        return unknown
    return message if message.error is None else message.error


async def change_with_content(
    client: EwsClient, address: str, request: etree._Element, content: Insertion
) -> ResponseMessage:
    """
    Return the answer to a change that carries content in the place of its mark; it may take longer.

    Raises:
        SendOutcomeUnknown, BridgeError: As `change`.
    """
    longer = content.size / _SLOWEST_BYTES_PER_SECOND
    [answer] = await changes(client, address, request, 1, longer_by_seconds=longer, content=content)
    if isinstance(answer, BridgeError):
        raise answer
    return answer


async def change_with(
    client: EwsClient, address: str, request: Callable[[], etree._Element], *, size: int
) -> ResponseMessage:
    """
    Return the answer to a change that carries so many bytes: a large one is written apart, and may take longer.

    Raises:
        SendOutcomeUnknown, BridgeError: As `change`.
    """
    [answer] = await changes_with(client, address, request, 1, size=size)
    if isinstance(answer, BridgeError):
        raise answer
    return answer


async def changes_with(
    client: EwsClient, address: str, request: Callable[[], etree._Element], count: int, *, size: int
) -> list[ResponseMessage | BridgeError]:
    """
    Return what came of each change of a call that makes several, in their order, and carries so many bytes.

    Raises:
        SendOutcomeUnknown, BridgeError: As `changes`.
    """
    if size < LARGE_BYTES:
        return await changes(client, address, request(), count)
    # Base64 and XML of the largest hold up heartbeats otherwise.
    written = await asyncio.to_thread(request)
    return await changes(client, address, written, count, longer_by_seconds=size / _SLOWEST_BYTES_PER_SECOND)


async def find(
    client: EwsClient,
    address: str,
    folder: etree._Element,
    restriction: etree._Element | None,
    *,
    fields: Sequence[etree._Element],
    limit: int = _PAGE,
    offset: int = 0,
    sort_by: str | None = None,
    last_first: bool = False,
) -> ResponseMessage:
    """Return one page of a search in a folder: a restriction is never answered from the search index."""
    shape = [element("t:BaseShape", text="IdOnly")]
    if fields:
        shape.append(element("t:AdditionalProperties", *fields))
    order = element(
        "t:FieldOrder", element("t:FieldURI", FieldURI=sort_by or ""), Order="Descending" if last_first else "Ascending"
    )
    request = element(
        "m:FindItem",
        element("m:ItemShape", *shape),
        element(
            "m:IndexedPageItemView",
            MaxEntriesReturned=str(min(limit, _PAGE)),
            Offset=str(offset),
            BasePoint="Beginning",
        ),
        *([element("m:Restriction", restriction)] if restriction is not None else []),
        *([element("m:SortOrder", order)] if sort_by else []),
        folder_ids("m:ParentFolderIds", folder),
        Traversal="Shallow",
    )
    return await client.call_one(address, request)


async def find_all(
    client: EwsClient,
    address: str,
    folder: etree._Element,
    restriction: etree._Element | None,
    *,
    fields: Sequence[etree._Element],
    sort_by: str | None = None,
    one_page: bool = False,
) -> list[etree._Element]:
    """
    Return every item that a search finds, page by page.

    What leaves the folder between two pages makes the second one skip as many. Of a single request that is so little
    that there is one page; a search for many, of whose mails some leave at any moment, is not to go on to another.

    Raises:
        MailboxUnavailable: They never come to an end, or not where they have to.
        BridgeError: The meaning of a refusal.
    """
    found: list[etree._Element] = []
    while len(found) < _MOST_FOUND:
        message = await find(client, address, folder, restriction, fields=fields, offset=len(found), sort_by=sort_by)
        root = message.element.find(f"{M}RootFolder")
        if root is None or root.find(f"{T}Items") is None:
            raise MailboxUnavailable("FindItem answered without items")
        page = list(items_of(message))
        found += page
        if not page or (root.get("IncludesLastItemInRange") or "true").lower() in {"true", "1"}:
            return found
        if one_page:
            raise MailboxUnavailable("FindItem finds more than fits on its page")
    raise MailboxUnavailable("FindItem has no last page")
