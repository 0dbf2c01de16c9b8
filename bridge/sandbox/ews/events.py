"""From the log of changes to the events of one subscription."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.subscriptions import watermark
from bridge.sandbox.store import associated, changes, folders
from bridge.sandbox.store.ids import PARENT_CHANGE_KEY

if TYPE_CHECKING:
    import sqlite3

    from bridge.sandbox.ews.subscriptions import Subscription
    from bridge.sandbox.store import Folder
    from bridge.sandbox.store.changes import Change
    from bridge.sandbox.store.ids import IdMint

MOST_EVENTS: Final = 50
"""How many changes one answer tells."""
_SCANNED: Final = 5000
_ITEM_KEY: Final = "CQAAAA=="
_NAMES: Final = {
    changes.CREATED: "CreatedEvent",
    changes.ARRIVED: "NewMailEvent",
    changes.COPIED: "CopiedEvent",
    changes.MODIFIED: "ModifiedEvent",
    changes.READ_FLAG: "ModifiedEvent",
    changes.MOVED: "MovedEvent",
    changes.DELETED: "DeletedEvent",
}


@dataclass(frozen=True, slots=True)
class Page:
    """Some events of a subscription as XML, and where the log was read to."""

    events: tuple[str, ...]
    place: int
    more: bool


def read_events(db: sqlite3.Connection, subscription: Subscription, place: int, *, watermarks: bool) -> Page:
    """
    Return the events after a place in the log.

    With `watermarks` each says where it is (GetEvents); those of streams say nothing.

    Raises:
        EwsError: ErrorMissedNotificationEvents, the log no longer has everything after the place.
    """
    if not changes.is_kept(db, place):
        raise EwsError("ErrorMissedNotificationEvents")
    mailbox = subscription.mailbox
    log = changes.after(db, mailbox.id, place, _SCANNED)
    if not log:
        return Page((), max(place, changes.last(db)), more=False)
    every = {folder.id: folder for folder in folders.folders(db, mailbox.id)}
    hidden = _hidden(every) | associated.places(db, mailbox.id)
    writer = _EventWriter(subscription, every, hidden, watermarks=watermarks)
    told = 0
    for change in log:
        told += writer.tell(change)
        place = change.seq
        if told >= MOST_EVENTS:
            break
    more = bool(changes.after(db, mailbox.id, place, 1))
    # What follows is of other mailboxes: to stand behind it keeps an idle subscription from falling out of the log.
    place = place if more else changes.last(db)
    return Page(writer.finished(place), place, more)


def status_event(place: int, *, watermarks: bool) -> str:
    """Return the event that says that there is none."""
    return f"<t:StatusEvent>{_watermark(place)}</t:StatusEvent>" if watermarks else "<t:StatusEvent/>"


class _EventWriter:
    """Collects the events of one answer."""

    def __init__(
        self, subscription: Subscription, every: dict[int, Folder], hidden: frozenset[int], *, watermarks: bool
    ) -> None:
        self._wanted = subscription.events
        self._folders = subscription.folders
        self._mint: IdMint = subscription.mailbox.mint
        self._every = every
        self._watermarks = watermarks
        self._hidden = hidden
        self._events: list[str] = []
        # Folders whose counts changed, each with the change that did it last: they are modified, too.
        self._touched: dict[int, Change] = {}

    def tell(self, change: Change) -> bool:
        """Take a change, and tell whether the subscription hears of it."""
        kind = self._kind(change)
        if kind is None:
            return False
        places = {place for place in (change.folder, change.old_folder) if place is not None}
        if change.of_folder:
            places |= {number for number in (change.object, change.old_object) if number is not None}
        if self._folders is not None and not places & self._folders:
            return False
        if not change.of_folder and kind != changes.MODIFIED:
            for place in places:
                self._touched.pop(place, None)
                self._touched[place] = change
        if _NAMES[kind] not in self._wanted:
            return False
        self._events.append(self._event(kind, change))
        return True

    def finished(self, place: int) -> tuple[str, ...]:
        """Return all events up to a place in the log; folders whose counts changed come last, with its watermark."""
        if "ModifiedEvent" in self._wanted:
            for number, change in self._touched.items():
                folder = self._every.get(number)
                heard = self._folders is None or number in self._folders
                if folder is not None and folder.parent is not None and number not in self._hidden and heard:
                    inner = self._head(change, place) + self._folder(number, folder.parent, "")
                    self._events.append(
                        f"<t:ModifiedEvent>{inner}<t:UnreadCount>{folder.unread}</t:UnreadCount></t:ModifiedEvent>"
                    )
        return tuple(self._events)

    def _kind(self, change: Change) -> str | None:
        """Return what the change is for who sees no Recoverable and no associated items: None is nothing at all."""
        gone = change.folder is None or change.folder in self._hidden
        if change.kind == changes.MOVED:
            was_gone = change.old_folder in self._hidden
            if gone:
                return None if was_gone else changes.DELETED
            return changes.CREATED if was_gone else changes.MOVED
        if change.kind == changes.DELETED:
            return None if change.old_folder in self._hidden else changes.DELETED
        return None if gone else change.kind

    def _event(self, kind: str, change: Change) -> str:
        name = _NAMES[kind]
        if kind == changes.DELETED:
            where = self._object(change, change.old_object, change.old_folder, "")
        else:
            where = self._object(change, change.object, change.folder, "")
        if kind in (changes.MOVED, changes.COPIED):
            where += self._object(change, change.old_object, change.old_folder, "Old")
        return f"<t:{name}>{self._head(change, change.seq)}{where}</t:{name}>"

    def _head(self, change: Change, place: int) -> str:
        moment = datetime.fromtimestamp(change.moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"{_watermark(place) if self._watermarks else ''}<t:TimeStamp>{moment}</t:TimeStamp>"

    def _object(self, change: Change, number: int | None, place: int | None, old: str) -> str:
        if number is None or place is None:
            raise AssertionError("a change without its object")
        if change.of_folder:
            return self._folder(number, place, old)
        item = f'<t:{old}ItemId Id="{self._mint.item_id(place, number)}" ChangeKey="{_ITEM_KEY}"/>'
        return item + self._parent(place, old)

    def _folder(self, number: int, parent: int, old: str) -> str:
        shown = f'<t:{old}FolderId Id="{self._mint.folder_id(number)}" ChangeKey="{PARENT_CHANGE_KEY}"/>'
        return shown + self._parent(parent, old)

    def _parent(self, number: int, old: str) -> str:
        shown = f'Id="{self._mint.folder_id(number)}" ChangeKey="{PARENT_CHANGE_KEY}"'
        return f"<t:{old}ParentFolderId {shown}/>"


def _watermark(place: int) -> str:
    return f"<t:Watermark>{watermark(place)}</t:Watermark>"


def _hidden(every: dict[int, Folder]) -> frozenset[int]:
    """Return the folders of Recoverable Items: what lies there is deleted."""
    return frozenset(
        number for number, folder in every.items() if (folder.distinguished or "").startswith("recoverableitems")
    )
