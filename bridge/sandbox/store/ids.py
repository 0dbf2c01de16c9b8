"""
Item, folder and attachment ids and change keys, in the shape that Exchange gives them.

A mailbox entry id holds the mailbox's guid, a folder counter and, for an item, an item counter, base64 coded; a
change key holds a change number. Clients must treat both as opaque and case-sensitive.
"""

from __future__ import annotations

import binascii
import struct
from base64 import b64decode, b64encode
from dataclasses import dataclass
from uuid import UUID

_HEAD = b"\x00\x03\x24\x00"
_FOLDER_KIND = b"\x00\x2e\x00\x00\x00\x00\x00"
_ITEM_KIND = b"\x00\x46\x00\x00\x00\x00\x00"
_CONVERSATION_HEAD = b"\x00\x04\x24\x00"
_CONVERSATION_KIND = b"\x00\x10\x00"
_FOLDER_TAG = b"\x01\x00"
_ITEM_TAG = b"\x07\x00"
_ATTACHMENT = b"\x12"
MAX_ATTACHMENT_DEPTH = 16
"""How deep attachments have ids of their own."""
_GUID_TEXT = 36
_COUNTERS_AT = len(_HEAD) + _GUID_TEXT + len(_ITEM_KIND) + 16 + len(_ITEM_TAG)
_ID_LENGTHS = {_COUNTERS_AT + 24: False, _COUNTERS_AT + 48: True}


_NOBODY = UUID(int=0)


class MalformedIdError(Exception):
    """The text is no id that this store could ever have given out."""


@dataclass(frozen=True, slots=True)
class EntryId:
    """
    What an id says: the mailbox, the folder, and for an item the item.

    An attachment adds its number, one in an attached mail the numbers of the mails around it before.
    """

    mailbox: UUID
    folder: int
    item: int | None
    attachment: tuple[int, ...] = ()
    occurrence: int | None = None
    """The number of an occurrence, of which the item is the master."""


class IdMint:
    """Makes the ids of one mailbox; the parts that never change are prepared once."""

    def __init__(self, guid: UUID) -> None:
        self._replica = guid.bytes
        shared = str(guid).encode()
        self._folder_head = _HEAD + shared + _FOLDER_KIND + self._replica + _FOLDER_TAG + self._replica
        self._item_head = _HEAD + shared + _ITEM_KIND + self._replica + _ITEM_TAG + self._replica
        self._conversation_head = _CONVERSATION_HEAD + shared + _CONVERSATION_KIND + self._replica[:10]
        self._key_tail = b"\x16\x00\x00\x00" + self._replica

    def folder_id(self, folder: int) -> str:
        """Return the id of a folder; it stays for the folder's life."""
        return b64encode(self._folder_head + _counter(folder)).decode()

    def item_id(self, folder: int, item: int) -> str:
        """Return the id of an item where it lies now; a move gives it another."""
        return b64encode(self._item_bytes(folder, item)).decode()

    def attachment_id(self, folder: int, item: int, *numbers: int) -> str:
        """Return the id of an attachment: the item's, the numbers of the mails it is inside of, and its own."""
        path = b"".join(_ATTACHMENT + struct.pack(">I", number) for number in numbers)
        return b64encode(self._item_bytes(folder, item) + bytes([len(numbers)]) + path).decode()

    def conversation_id(self, topic: int) -> str:
        """Return the id of the conversation of a topic's number."""
        return b64encode(self._conversation_head + _short_counter(topic)).decode()

    def occurrence_id(self, folder: int, item: int, occurrence: int) -> str:
        """Return the id of an occurrence: the master's, and the occurrence's number."""
        return b64encode(self._item_bytes(folder, item) + b"\x01\x10" + struct.pack(">I", occurrence)).decode()

    def item_change_key(self, change: int) -> str:
        """Return the change key of an item."""
        return b64encode(b"\x09\x00\x00\x00" + self._key_tail + _short_counter(change)).decode()

    def folder_change_key(self, change: int) -> str:
        """Return the change key of a folder."""
        return b64encode(b"\x01\x00\x00\x00" + self._key_tail + _short_counter(change)).decode()

    def entry_bytes(self, folder: int, item: int | None) -> bytes:
        """Return what is coded in the id of an item, or of a folder, without an attachment or occurrence."""
        return self._folder_head + _counter(folder) if item is None else self._item_bytes(folder, item)

    def _item_bytes(self, folder: int, item: int) -> bytes:
        return self._item_head + _counter(folder) + self._replica + _counter(item)


PARENT_CHANGE_KEY = "AQAAAA=="
"""What Exchange gives as change key of a ParentFolderId."""


def parse_id(text: str) -> EntryId:
    """
    Read an id.

    One that has the form, but not in all parts what this store puts there, is of a mailbox that there is nowhere.

    Raises:
        MalformedIdError: It has not the form of an id.
    """
    try:
        raw = b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedIdError from error
    # The same bytes can be written in other letters at the end, which would be a second id of the same item.
    if b64encode(raw).decode() != text:
        raise MalformedIdError
    end = raw[_COUNTERS_AT + 48 :]
    occurrence = struct.unpack(">I", end[2:])[0] if len(end) == 6 and end[:2] == b"\x01\x10" else None
    attachment = _attachment_path(end)
    if attachment or occurrence is not None:
        raw = raw[: _COUNTERS_AT + 48]
    if len(raw) not in _ID_LENGTHS or raw[:4] != _HEAD:
        raise MalformedIdError
    is_item = _ID_LENGTHS[len(raw)]
    kind = _ITEM_KIND if is_item else _FOLDER_KIND
    if raw[4 + _GUID_TEXT : 4 + _GUID_TEXT + len(kind)] != kind:
        raise MalformedIdError
    try:
        mailbox = UUID(raw[4 : 4 + _GUID_TEXT].decode("ascii"))
    except ValueError as error:
        raise MalformedIdError from error
    folder = int.from_bytes(raw[_COUNTERS_AT + 16 : _COUNTERS_AT + 22], "big")
    item = int.from_bytes(raw[-8:-2], "big") if is_item else None
    if IdMint(mailbox).entry_bytes(folder, item) != raw:
        mailbox = _NOBODY
    return EntryId(mailbox, folder, item, attachment, occurrence)


def _attachment_path(end: bytes) -> tuple[int, ...]:
    """Return the numbers that stand after an item's id, none if that is no such end."""
    if not end or end[0] > MAX_ATTACHMENT_DEPTH or len(end) != 1 + 5 * end[0]:
        return ()
    parts = [end[at : at + 5] for at in range(1, len(end), 5)]
    if any(part[:1] != _ATTACHMENT for part in parts):
        return ()
    return tuple(struct.unpack(">I", part[1:])[0] for part in parts)


def read_conversation_id(text: str) -> tuple[UUID, int]:
    """
    Return the guid of the mailbox and the number of the topic in a conversation's id.

    Raises:
        MalformedIdError: It has not the form of one.
    """
    try:
        raw = b64decode(text, validate=True)
        mailbox = UUID(raw[4 : 4 + _GUID_TEXT].decode("ascii"))
    except (binascii.Error, ValueError) as error:
        raise MalformedIdError from error
    head = _CONVERSATION_HEAD + str(mailbox).encode() + _CONVERSATION_KIND + mailbox.bytes[:10]
    if len(raw) != len(head) + 6 or not raw.startswith(head):
        raise MalformedIdError
    return mailbox, int.from_bytes(raw[-6:], "big")


def parse_change_key(text: str) -> int | None:
    """
    Return the change number in an item's or a folder's change key, None for one of another mailbox or form.

    Raises:
        MalformedIdError: It is not base64 at all (ErrorInvalidChangeKey).
    """
    try:
        raw = b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedIdError from error
    if not raw:
        raise MalformedIdError
    if len(raw) != 30:
        return None
    return int.from_bytes(raw[-6:], "big")


def _counter(value: int) -> bytes:
    return value.to_bytes(6, "big") + b"\x00\x00"


def _short_counter(value: int) -> bytes:
    return value.to_bytes(6, "big")
