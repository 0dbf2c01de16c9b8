"""A recorded request as it stands, but for ids, states and addresses, which are those of a mailbox of the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

from tests.recordings.mailbox import MALFORMED, OTHER, STRANGE_FOLDER, STRANGE_ITEM
from tests.support.soap import MESSAGES, TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.recordings.mailbox import Mailbox

_FOLDERS = frozenset({"FolderId", "ParentFolderId"})
_ITEMS = frozenset({"ItemId", "ParentItemId", "ReferenceItemId", "RecurringMasterItemId"})
_ATTACHMENTS = frozenset({"AttachmentId"})
_IDS = _FOLDERS | _ITEMS | _ATTACHMENTS | {"AlternateId"}
# What the server alone makes and understands: as opaque as ids.
_OPAQUE = frozenset({"SubscriptionId", "Watermark", "SyncState", "Data", "UnresolvedEntry"})
_ADDRESSES = frozenset({"EmailAddress", "SmtpAddress", "PrincipalName", "PrimarySmtpAddress"})
_SHORTEST = 80


def resent(mailbox: Mailbox, recorded: etree._Element, built: str | None) -> etree._Element:
    """
    Return a copy of a recorded envelope to send.

    `built` is a request for the same operation in a mailbox that was brought into the state of the answer: its ids take
    the places of the recorded ones, in order. Where it has none, or is None, new things are made in the mailbox. An id
    that the answer calls malformed, or of a mailbox that there is not, stays what it is.
    """
    envelope = etree.fromstring(etree.tostring(recorded))
    state = (
        None
        if built is None
        else etree.fromstring(f'<r xmlns:t="{TYPES[1:-1]}" xmlns:m="{MESSAGES[1:-1]}">{built}</r>')
    )
    malformed = built is not None and MALFORMED in built
    taken: dict[tuple[str, str], int] = {}
    for node in [one for one in envelope.iter() if isinstance(one.tag, str)]:
        name = _name(node)
        if name in _IDS and node.get("Id") is not None:
            found = _next(state, node, taken)
            if not malformed or _looks_real(str(node.get("Id"))):
                _replace_id(mailbox, node, found)
        elif name in _OPAQUE and len(node) == 0:
            found = _next(state, node, taken)
            node.text = _fresh_text(mailbox, name) if found is None else found.text
        elif name in _ADDRESSES and len(node) == 0:
            node.text = _address(mailbox, node)
    return envelope


def _next(
    state: etree._Element | None, node: etree._Element, taken: dict[tuple[str, str], int]
) -> etree._Element | None:
    """Return the built element for the place of a recorded one: of the same name, below the same parent if possible."""
    if state is None:
        return None
    name, parent = _name(node), _name(node.getparent())
    named = [one for one in state.iter() if isinstance(one.tag, str) and _name(one) == name]
    same = [one for one in named if _name(one.getparent()) == parent] or named
    if not same:
        return None
    number = taken.get((name, parent), 0)
    taken[name, parent] = number + 1
    return same[min(number, len(same) - 1)]


def _replace_id(mailbox: Mailbox, node: etree._Element, found: etree._Element | None) -> None:
    if found is not None and found.get("Id") in (STRANGE_FOLDER, STRANGE_ITEM):
        return  # what was strange to the one is strange to the other
    if found is not None and found.get("Id") == MALFORMED:
        found = None
    wanted = node.get("ChangeKey") is not None
    if found is not None:
        new, key = str(found.get("Id")), found.get("ChangeKey") or ""
    else:
        new, key = _fresh(mailbox, _name(node))
    if node.get("Mailbox") is not None:
        node.set("Mailbox", mailbox.address)
    node.set("Id", new)
    if wanted:
        node.set("ChangeKey", key or mailbox.change_key(new, of_item=_name(node) in _ITEMS))


def _looks_real(text: str) -> bool:
    """Tell an id that Exchange made from what a test or a page puts in its place."""
    return len(text) > _SHORTEST and text.startswith(("AAMk", "AQMk"))


def _fresh(mailbox: Mailbox, name: str) -> tuple[str, str]:
    if name in _FOLDERS:
        return mailbox.folder(), ""
    if name in _ATTACHMENTS:
        return mailbox.attachment(), ""
    return mailbox.item()


def _fresh_text(mailbox: Mailbox, name: str) -> str:
    makers: Mapping[str, Callable[[], str]] = {
        "SubscriptionId": lambda: mailbox.subscribed()[0],
        "Watermark": lambda: mailbox.subscribed()[1],
        "SyncState": mailbox.sync_state,
        "Data": lambda: mailbox.exported(mailbox.item()[0]),
        "UnresolvedEntry": lambda: mailbox.address,
    }
    return makers[name]()


def _address(mailbox: Mailbox, node: etree._Element) -> str:
    """Return the own address for whose folder is named, somebody else's for all others."""
    above = [_name(one) for one in node.iterancestors()]
    return mailbox.address if "DistinguishedFolderId" in above or "ExchangeImpersonation" in above else OTHER


def _name(node: etree._Element | None) -> str:
    return "" if node is None else etree.QName(node).localname
