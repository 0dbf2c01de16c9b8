"""What an operation works with: the mailbox it acts in, the store, and how ids of the request are looked up."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.errors import EwsError, FaultError, of_store
from bridge.sandbox.ews.hooks import NoGrants
from bridge.sandbox.ews.rights import EVERYTHING, LEVELS, Right, allowed_by, check_right, with_owned
from bridge.sandbox.ews.subscriptions import Subscriptions
from bridge.sandbox.ews.versions import LATEST, SchemaVersion
from bridge.sandbox.ews.view import View
from bridge.sandbox.ews.zones import UTC_NAME
from bridge.sandbox.store import folders, items
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.errors import FolderNotFoundError, StoreError
from bridge.sandbox.store.ids import MalformedIdError, parse_change_key, parse_id

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable
    from datetime import tzinfo

    from lxml import etree

    from bridge.sandbox.ews.behaviour import ServerBehaviour
    from bridge.sandbox.ews.hooks import Caller, Grants, ItemError, Strikes
    from bridge.sandbox.store import Folder, Mailbox, Store, SubmittedMail
    from bridge.sandbox.store.ids import EntryId
    from bridge.sandbox.store.items import Item


@dataclass(slots=True)
class Context:
    """One call. `mailbox` is the one acted in, None for an account without a mailbox that impersonates nobody."""

    store: Store
    caller: Caller
    mailbox: Mailbox | None
    impersonating: bool
    strikes: Strikes
    behaviour: ServerBehaviour
    operation: str = ""
    version: SchemaVersion = LATEST
    """What the request asked for by RequestServerVersion."""
    zone: tzinfo = UTC
    """Where times of the request are meant that name no zone themselves (TimeZoneContext)."""
    zone_name: str = UTC_NAME
    submitted: list[SubmittedMail] = field(default_factory=list)
    """Mails that the call's transaction accepted for sending; handed on once it is committed."""
    subscriptions: Subscriptions = field(default_factory=Subscriptions)
    grants: Grants = field(default_factory=NoGrants)

    def submit(self, db: sqlite3.Connection, mailbox: Mailbox, item: Item, *, save_to: int | None) -> None:
        """
        Accept an item for sending, within the mailbox's limits; what it raises is what `ServerBehaviour.submit` does.

        Raises:
            EwsError: ErrorSendAsDenied, it lies in the mailbox of somebody whom the caller may not send as.
        """
        if mailbox is not self.mailbox and not self.may_send(mailbox.address, on_behalf=False):
            raise EwsError("ErrorSendAsDenied")
        self.submitted.append(self.behaviour.submit(db, mailbox, item, save_to=save_to))

    def own_mailbox(self) -> Mailbox:
        """
        Return the mailbox acted in.

        Raises:
            EwsError: ErrorMissingEmailAddress, there is none.
        """
        if self.mailbox is None:
            raise EwsError("ErrorMissingEmailAddress")
        return self.mailbox

    def target_folder(self, db: sqlite3.Connection, request: etree._Element) -> tuple[Mailbox, Folder]:
        """Return where a request moves or copies to; one that is not there has a code of its own."""
        try:
            return self.find_folder(db, child(request, "ToFolderId"))
        except EwsError as error:
            if error.code in ("ErrorItemNotFound", "ErrorFolderNotFound"):
                raise EwsError("ErrorToFolderNotFound") from error
            raise

    def find_folder(self, db: sqlite3.Connection, holder: etree._Element) -> tuple[Mailbox, Folder]:
        """Return the folder that the one id inside an element such as ParentFolderId names."""
        return self.folder_of(db, next(child for child in holder if isinstance(child.tag, str)))

    def find_saved_folder(self, db: sqlite3.Connection, holder: etree._Element) -> tuple[Mailbox, Folder]:
        """
        Return the folder of a SavedItemFolderId, like `find_folder`.

        Raises:
            EwsError: ErrorSavedItemFolderNotFound, there is none of that id (any more).
        """
        try:
            return self.find_folder(db, holder)
        except EwsError as error:
            if error.code == "ErrorItemNotFound":
                raise EwsError("ErrorSavedItemFolderNotFound") from error
            raise

    def folder_of(self, db: sqlite3.Connection, node: etree._Element) -> tuple[Mailbox, Folder]:
        """
        Return the folder that a FolderId or DistinguishedFolderId names, and its mailbox.

        Raises:
            EwsError: It is malformed, unknown, or in a mailbox that the caller may not open.
        """
        if node.tag == xml.T + "DistinguishedFolderId":
            mailbox = self._mailbox_named(db, node)
            try:
                folder = folders.folder(db, mailbox.id, str(node.get("Id")))
            except FolderNotFoundError as error:
                public = node.get("Id") == "publicfoldersroot"
                raise EwsError("ErrorNoPublicFolderReplicaAvailable" if public else "ErrorFolderNotFound") from error
            self._check_right(mailbox, folder, missing="ErrorFolderNotFound")
            return mailbox, folder
        if node.tag != xml.T + "FolderId":
            raise EwsError("ErrorFolderNotFound")
        return self._folder_by(db, entry_of(str(node.get("Id"))))

    def item_of(self, db: sqlite3.Connection, node: etree._Element) -> tuple[Mailbox, Item]:
        """
        Return the item that an ItemId names, and its mailbox. Its ChangeKey must have the form of one, no more.

        Raises:
            EwsError: It is malformed, unknown, moved away, or in a mailbox that the caller may not open.
        """
        if node.tag != xml.T + "ItemId":
            raise EwsError("ErrorItemNotFound")
        return self.item_referred(db, node)

    def item_referred(self, db: sqlite3.Connection, node: etree._Element) -> tuple[Mailbox, Item]:
        """Return the item that an element with an item's id names, whatever its name; else like `item_of`."""
        change_of(node)
        return self.item_by(db, entry_of(str(node.get("Id"))))

    def item_by(self, db: sqlite3.Connection, entry: EntryId) -> tuple[Mailbox, Item]:
        """Return the item of an id that was read, and its mailbox."""
        if entry.item is None:
            raise EwsError("ErrorCannotUseFolderIdForItemId")
        if entry.occurrence is not None:
            raise EwsError("ErrorCalendarCannotMoveOrCopyOccurrence")
        mailbox = self._mailbox_of(db, entry)
        try:
            item = items.read(db, mailbox.id, entry.item)
        except StoreError as error:
            raise of_store(error) from error
        if item.folder != entry.folder:
            raise EwsError("ErrorItemNotFound")
        if mailbox is not self.mailbox:
            holder = folders.folder(db, mailbox.id, items.folder_of(db, item))
            self._check_right(mailbox, holder, item=item, missing="ErrorItemNotFound")
        return mailbox, item

    def find_folder_id(self, db: sqlite3.Connection, holder: etree._Element) -> tuple[Mailbox, Folder]:
        """Return the folder whose bare id stands in an element's ParentFolderId."""
        node = holder.find(xml.T + "ParentFolderId")
        return self._folder_by(db, entry_of("" if node is None else str(node.get("Id"))))

    def _folder_by(self, db: sqlite3.Connection, entry: EntryId) -> tuple[Mailbox, Folder]:
        if entry.item is not None:
            raise EwsError("ErrorCannotUseItemIdForFolderId")
        mailbox = self._mailbox_of(db, entry)
        try:
            folder = folders.folder(db, mailbox.id, entry.folder)
        except FolderNotFoundError as error:
            raise EwsError("ErrorItemNotFound") from error
        self._check_right(mailbox, folder, missing="ErrorItemNotFound")
        return mailbox, folder

    def view_of(self, db: sqlite3.Connection, node: etree._Element) -> View:
        """Return the view of the item that an ItemId names."""
        mailbox, item = self.item_of(db, node)
        return View(db, mailbox, item)

    def _mailbox_named(self, db: sqlite3.Connection, node: etree._Element) -> Mailbox:
        address = node.findtext(f"{xml.T}Mailbox/{xml.T}EmailAddress")
        if not address or (self.mailbox is not None and address.lower() == self.mailbox.address.lower()):
            return self.own_mailbox()
        found = folders.mailbox_by(db, "address", address)
        if found is None:
            raise EwsError("ErrorNonExistentMailbox")
        return found

    def _mailbox_of(self, db: sqlite3.Connection, entry: EntryId) -> Mailbox:
        if self.mailbox is not None and entry.mailbox == self.mailbox.guid:
            return self.mailbox
        found = folders.mailbox_by(db, "guid", str(entry.mailbox))
        if found is None:
            guid = f'<t:Value Name="MailboxGuid">{entry.mailbox}</t:Value>'
            raise EwsError("ErrorNonExistentMailbox", "No mailbox with such guid.", guid)
        return found

    def address_of(self, entry: EntryId) -> str:
        """
        Return the primary address of the mailbox that an id belongs to.

        Raises:
            EwsError: ErrorNonExistentMailbox, there is none (any more).
        """
        with self.store.reading() as db:
            return self._mailbox_of(db, entry).address

    def may_send(self, address: str, *, on_behalf: bool) -> bool:
        """Return whether mail may be from an address; `on_behalf`, if its Sender is who acts here."""
        if self.mailbox is not None and address.lower() == self.mailbox.address.lower():
            return True
        account = self._account()
        return account is not None and self.grants.sends(account, address, on_behalf=on_behalf)

    def _account(self) -> str | None:
        # Impersonation gives the rights of the one impersonated, those in mailboxes of others included.
        return self.mailbox.address if self.impersonating and self.mailbox else self.caller.mailbox

    def signed(self, db: sqlite3.Connection, mailbox: Mailbox, item: Item) -> Item:
        """Return a new item; one in the mailbox of somebody else says who made it, whose own it is."""
        account = self._account()
        if mailbox is self.mailbox or account is None:
            return item
        item.bag[p.CREATOR_ADDRESS] = account.lower()
        return items.rewrite(db, item)

    def _check_right(self, mailbox: Mailbox, folder: Folder, *, missing: str, item: Item | None = None) -> None:
        """Return if the caller, or who is impersonated, may do this operation with a folder or an item in it."""
        check_right(self.operation, self.rights_on(mailbox, folder, item), item=item is not None, missing=missing)

    def _owns(self, mailbox: Mailbox) -> bool:
        return mailbox is self.mailbox or (not self.impersonating and self.caller.may_open(mailbox.address))

    def rights_on(self, mailbox: Mailbox, folder: Folder, item: Item | None = None) -> Right:
        """Return what the caller, or who is impersonated, may do with a folder, or with an item in it."""
        if self._owns(mailbox):
            return EVERYTHING
        account = self._account()
        if account is None:
            return Right.NONE
        names = [mailbox.mint.folder_id(folder.id), folder.distinguished or ""]
        whole = self.grants.opens(account, mailbox.address)
        granted = EVERYTHING if whole else LEVELS[self.grants.level(account, mailbox.address, names)]
        granted |= allowed_by(folder.bag, account)
        owned = item is not None and item.bag.get(p.CREATOR_ADDRESS) == account.lower()
        return with_owned(granted) if owned else granted

    def rights_on_item(self, view: View) -> Right:
        """Return what the caller, or who is impersonated, may do with an item."""
        if self._owns(view.mailbox):
            return EVERYTHING
        return self.rights_on(view.mailbox, folders.folder(view.db, view.mailbox.id, view.item.folder), view.item)


def entry_of(text: str) -> EntryId:
    """
    Return what an id says.

    Raises:
        EwsError: ErrorInvalidIdEmpty or ErrorInvalidIdMalformed.
    """
    if not text:
        raise EwsError("ErrorInvalidIdEmpty")
    try:
        return parse_id(text)
    except MalformedIdError as error:
        raise EwsError("ErrorInvalidIdMalformed") from error


def change_of(node: etree._Element) -> int | None:
    """
    Return the change number of an id's ChangeKey: None where there is none, -1 for one that is not of this store.

    Raises:
        EwsError: ErrorInvalidChangeKey, it has not even the form.
    """
    key = node.get("ChangeKey")
    if not key:
        return None
    try:
        change = parse_change_key(str(key))
    except MalformedIdError as error:
        raise EwsError("ErrorInvalidChangeKey") from error
    return -1 if change is None else change


def children(node: etree._Element | None) -> list[etree._Element]:
    """Return the element children of a node, none for None."""
    return [] if node is None else [child for child in node if isinstance(child.tag, str)]


def child(node: etree._Element, name: str) -> etree._Element:
    """Return a child in the messages namespace that the grammar made sure of."""
    found = node.find(xml.M + name)
    if found is None:
        raise FaultError("ErrorInvalidRequest")
    return found


def batch(
    context: Context,
    operation: str,
    nodes: Iterable[etree._Element],
    do: Callable[[etree._Element], str],
    *,
    on_error: str = "",
    changing: sqlite3.Connection | None = None,
) -> str:
    """
    Return a response message for each node: what `do` answers, or the error it raised.

    `on_error` is the empty element that the schema wants in a message of this operation also when it failed. With
    `changing`, the connection of the call's transaction, a node that fails leaves nothing behind.
    """
    name = f"m:{operation}ResponseMessage"
    parts = []
    end = context.behaviour.batch_end()
    for number, node in enumerate(nodes, 1):
        if end is not None and number > 1 and context.behaviour.elapsed() >= end:
            parts.append(error_message(name, EwsError("ErrorBatchProcessingStopped"), on_error, kind="Warning"))
            continue
        struck = context.strikes.item(number)
        try:
            _strike(struck, done=False)
            if context.mailbox is not None:
                context.behaviour.check_open(context.mailbox)
            inner = do(node) if changing is None else _undone_on_error(changing, do, node)
            _strike(struck, done=True)
            parts.append(f'<{name} ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>{inner}</{name}>')
        except StoreError as error:
            parts.append(error_message(name, of_store(error), on_error))
        except EwsError as error:
            parts.append(error_message(name, error, on_error))
    return f"<m:ResponseMessages>{''.join(parts)}</m:ResponseMessages>"


@dataclass(frozen=True, slots=True)
class Single:
    """The content of a response element that is itself the one response message; `response_class` is its attribute."""

    content: str
    response_class: str = "Success"


def single(context: Context, do: Callable[[], str]) -> Single:
    """Return the one response message of an operation without a batch: what `do` answers, or the error it raised."""
    struck = context.strikes.item(1)
    try:
        _strike(struck, done=False)
        content = do()
        _strike(struck, done=True)
        return Single(f"<m:ResponseCode>NoError</m:ResponseCode>{content}")
    except StoreError as error:
        return Single(_error_content(of_store(error)), "Error")
    except EwsError as error:
        return Single(_error_content(error), "Error")


def _strike(struck: ItemError | None, *, done: bool) -> None:
    if struck is not None and struck.done is done:
        values = "".join(
            f'<t:Value Name="{xml.attribute(key)}">{xml.text(value)}</t:Value>' for key, value in struck.values.items()
        )
        raise EwsError(struck.code, struck.text, values)


def _undone_on_error(db: sqlite3.Connection, do: Callable[[etree._Element], str], node: etree._Element) -> str:
    db.execute("SAVEPOINT one_of_a_batch")
    try:
        return do(node)
    except (EwsError, StoreError):
        db.execute("ROLLBACK TO one_of_a_batch")
        raise
    finally:
        if db.in_transaction:
            db.execute("RELEASE one_of_a_batch")


def error_message(name: str, error: EwsError, inner: str = "", *, kind: str = "Error") -> str:
    """Return a response message that says an error, or with `kind` a warning."""
    return f'<{name} ResponseClass="{kind}">{_error_content(error)}{inner}</{name}>'


def _error_content(error: EwsError) -> str:
    detail = f"<m:MessageXml>{error.xml}</m:MessageXml>" if error.xml else ""
    return (
        f"<m:MessageText>{xml.text(error.text)}</m:MessageText><m:ResponseCode>{error.code}</m:ResponseCode>"
        f"<m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>{detail}"
    )
