"""Who is who: the directory of mailboxes and groups, and the contacts of a mailbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.contactfields import CONTACT_FIELDS
from bridge.sandbox.ews.fields import element_for
from bridge.sandbox.ews.view import View
from bridge.sandbox.store import folders, items
from bridge.sandbox.store import personal as k
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence

    from bridge.sandbox.store import Mailbox
    from bridge.sandbox.store.items import Item

_MOST_CONTACTS: Final = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the directory or of somebody's contacts."""

    name: str
    address: str
    kind: str
    """The kind of mailbox: Mailbox, PublicDL, PrivateDL, Contact."""
    others: tuple[str, ...] = ()
    """What else it may be found by."""
    view: View | None = None
    """The contact."""

    def matches(self, entry: str) -> bool:
        """Return whether one of its names, or a word of them, begins so."""
        names = (self.name, self.address, *self.others, *self.name.split())
        return bool(entry) and any(name.lower().startswith(entry) for name in names)

    def mailbox_xml(self, element: str = "t:Mailbox") -> str:
        """Return it as an address."""
        where = f"<t:EmailAddress>{xml.text(self.address)}</t:EmailAddress>" if self.address else ""
        identifier = ""
        if self.view is not None:
            identifier = f'<t:ItemId Id="{self.view.item_id}" ChangeKey="{self.view.change_key}"/>'
        return (
            f"<{element}>{xml.element('Name', self.name)}{where}<t:RoutingType>{'SMTP' if self.address else 'MAPIPDL'}"
            f"</t:RoutingType><t:MailboxType>{self.kind}</t:MailboxType>{identifier}</{element}>"
        )

    def contact_xml(self) -> str:
        """Return all that is known of it, as a contact."""
        if self.view is not None:
            shown = "".join(
                field.show(self.view)
                for field in CONTACT_FIELDS
                if "g" in field.shapes and field.uri != "contacts:HasPicture"
            )
            return f"<t:Contact>{shown}</t:Contact>"
        return (
            f"<t:Contact>{xml.element('DisplayName', self.name)}<t:EmailAddresses>"
            f'<t:Entry Key="EmailAddress1">SMTP:{xml.text(self.address)}</t:Entry></t:EmailAddresses>'
            "<t:ContactSource>ActiveDirectory</t:ContactSource></t:Contact>"
        )


def directory(db: sqlite3.Connection, groups: Mapping[str, Sequence[str]]) -> list[Entry]:
    """Return the mailboxes and groups of the organisation."""
    listed = [
        Entry(one.display_name, one.address, "Mailbox", (one.alias, one.username)) for one in folders.mailboxes(db)
    ]
    listed.extend(Entry(address.partition("@")[0], address, "PublicDL") for address in groups)
    return listed


def by_address(db: sqlite3.Connection, groups: Mapping[str, Sequence[str]], address: str) -> Entry:
    """Return who has an address: somebody outside where the directory does not say."""
    known = next((one for one in directory(db, groups) if one.address.lower() == address.lower()), None)
    return known or Entry(address, address, "OneOff")


def contacts(db: sqlite3.Connection, mailbox: Mailbox, folder: int) -> Iterator[Entry]:
    """Yield the contacts and distribution lists of a folder."""
    query = f"SELECT {items.COLUMNS} FROM items WHERE folder = ? ORDER BY id DESC LIMIT {_MOST_CONTACTS}"  # noqa: S608 - constants
    for row in db.execute(query, (folder,)):
        item = items.item_of(row)
        kind = element_for(str(item.bag.get(p.MESSAGE_CLASS, "")))
        if kind == "DistributionList":
            yield Entry(_name(item), "", "PrivateDL", view=View(db, mailbox, item))
        elif kind == "Contact":
            others = tuple(str(item.bag[key]) for key in (k.GIVEN_NAME, k.SURNAME, k.FILE_AS) if item.bag.get(key))
            for address, shown, _ in k.EMAILS.values():
                if item.bag.get(address):
                    names = (*others, str(item.bag.get(shown) or ""))
                    yield Entry(_name(item), item.bag[address], "Contact", names, View(db, mailbox, item))


def _name(item: Item) -> str:
    return str(item.bag.get(k.DISPLAY_NAME) or item.bag.get(k.FILE_AS) or item.bag.get(p.SUBJECT) or "")
