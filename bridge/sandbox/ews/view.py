"""One item as an operation looks at it: its bag, and what has to be read from its content only when asked for."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field, replace
from html import escape
from typing import TYPE_CHECKING, Any

from bridge.sandbox.clock import EXCHANGE
from bridge.sandbox.ews.rights import EVERYTHING, Right
from bridge.sandbox.store import conversations, items, mime
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.ids import MAX_ATTACHMENT_DEPTH
from bridge.sandbox.store.personal import OCCURRENCE
from bridge.sandbox.store.structure import Part, decode_words, header_block, parse, xml_safe

if TYPE_CHECKING:
    import sqlite3

    from bridge.sandbox.store import Mailbox
    from bridge.sandbox.store.items import Item
    from bridge.sandbox.store.mime import Attachment

_BODY_KEYS = frozenset({p.BODY_TEXT, p.BODY_HTML})
_ENTRY_ID = p.tag_key(0x0FFF, "Binary")
_NORMALIZED_SUBJECT = p.tag_key(0x0E1D, "String")
_HTML_BINARY = p.tag_key(0x1013, "Binary")
_PARENT_ENTRY_ID = p.tag_key(0x0E09, "Binary")


_OF_ITS_PLACE = frozenset({p.ARTICLE_NUMBER, p.RECORD_KEY, _ENTRY_ID, _PARENT_ENTRY_ID})


@dataclass(slots=True)
class View:
    """
    An item with lazy access to its MIME, bodies and attachments.

    For a mail inside another, `raw` is its MIME, `path` the numbers of the attachments that lead to it, and the item
    has the place of the outer one with a bag of its own.
    """

    db: sqlite3.Connection
    mailbox: Mailbox
    item: Item
    raw: bytes | None = None
    path: tuple[int, ...] = ()
    rights: Right = EVERYTHING
    """What who asks may do with it."""
    made_anew: bytes | None = None
    """The MIME to show in the place of the stored one."""
    _bodies: tuple[str | None, str | None] | None = field(default=None, init=False)
    _attachments: dict[int, Attachment] | None = field(default=None, init=False)

    @property
    def item_id(self) -> str:
        """The item's id, or that of the occurrence that it is."""
        occurrence = self.item.bag.get(OCCURRENCE)
        if occurrence is not None:
            return self.mailbox.mint.occurrence_id(self.item.folder, self.item.id, occurrence)
        return self.mailbox.mint.item_id(self.item.folder, self.item.id)

    @property
    def folder_id(self) -> str:
        """The id of the folder that the item is in."""
        return self.mailbox.mint.folder_id(items.folder_of(self.db, self.item))

    @property
    def change_key(self) -> str:
        """The item's change key."""
        return self.mailbox.mint.item_change_key(self.item.change)

    def attachment_id(self, number: int) -> str | None:
        """Return an attachment's id, None where mails are nested too deep for one."""
        if len(self.path) >= MAX_ATTACHMENT_DEPTH:
            return None
        return self.mailbox.mint.attachment_id(self.item.folder, self.item.id, *self.path, number)

    def inner(self, number: int) -> View:
        """Return the mail that is attached under a number."""
        attachment = self.attachments()[number]
        bag = mime.bag_of(attachment.content, EXCHANGE.now()) | (attachment.bag or {})
        return View(self.db, self.mailbox, replace(self.item, bag=bag), attachment.content, (*self.path, number))

    def mime(self) -> bytes:
        """Return the item's MIME."""
        if self.made_anew is not None:
            return self.made_anew
        return items.mime_of(self.db, self.item) if self.raw is None else self.raw

    def parsed(self) -> Part:
        """Return the tree of the item's MIME."""
        return parse(self.mime())

    def bodies(self) -> tuple[str | None, str | None]:
        """Return the item's text and HTML body."""
        if self._bodies is None:
            bag = self.item.bag
            if self.raw is None and self.item.content is None:
                self._bodies = bag.get(p.BODY_TEXT), bag.get(p.BODY_HTML)
            else:
                self._bodies = mime.bodies(self.mime())
        return self._bodies

    def body(self, wanted: str) -> tuple[str, str]:
        """Return (`HTML` or `Text`, the body in it), converted when the mail has only the other."""
        text, html = self.bodies()
        if wanted == "Text" or (wanted == "Best" and html is None):
            return "Text", text if text is not None else _text_of(html or "")
        if html is None:
            html = f"<html><body><pre>{escape(text)}</pre></body></html>" if text else ""
        return "HTML", html

    def attachments(self) -> dict[int, Attachment]:
        """Return the attachments by their numbers, in order, as they were when first asked for."""
        if self._attachments is None:
            if self.raw is not None:
                self._attachments = dict(enumerate(mime.attachments(self.raw), 1))
            else:
                self._attachments = dict(items.numbered_attachments(self.db, self.item))
        return self._attachments

    def value(self, key: str) -> Any:  # noqa: ANN401 - whatever JSON value the property has
        """Return the value of a property, None where the item has none; some are made of others or of the content."""
        bag = self.item.bag
        if key in bag:
            return bag[key]
        if key in _BODY_KEYS:
            return self.bodies()[key == p.BODY_HTML]
        header = p.header_of(key)
        if header is not None:
            found = self.parsed().header(header)
            return None if found is None else xml_safe(decode_words(found))
        return None if self.raw is not None and key in _OF_ITS_PLACE else self._made(key)

    def _made(self, key: str) -> str | int | None:
        bag = self.item.bag
        if key == p.ARTICLE_NUMBER:
            # A new one with each move, and rising within a folder: what IMAP wants of a UID.
            return self.item.id
        if key == p.RECORD_KEY:
            return b64encode(self.mailbox.guid.bytes + self.item.id.to_bytes(6, "big")).decode()
        if key == p.TRANSPORT_HEADERS and not bag.get(p.MESSAGE_FLAGS, 0) & p.FLAG_UNSENT:
            return xml_safe(header_block(self.mime()).decode("utf-8", "replace"))
        if key == _HTML_BINARY:
            html = self.bodies()[1]
            return None if html is None else b64encode(html.encode()).decode()
        if key == _ENTRY_ID:
            return self.item_id
        if key == _PARENT_ENTRY_ID:
            return self.folder_id
        if key == _NORMALIZED_SUBJECT:
            return str(bag.get(p.CONVERSATION_TOPIC, ""))
        return None

    def conversation_id(self) -> str | None:
        """Return the id of the conversation that the item's topic makes it part of, None for a mail inside another."""
        if self.raw is not None:
            return None
        topic = str(self.item.bag.get(p.CONVERSATION_TOPIC, ""))
        number = conversations.number_of(self.db, self.mailbox.id, topic)
        return None if number is None else self.mailbox.mint.conversation_id(number)


def _text_of(html: str) -> str:
    """Return HTML as text, which ends its last line."""
    text = mime.text_from_html(html)
    return f"{text}\r\n" if text else ""
