"""
What a client is given to come back with: how far it has got in synchronising one folder, or the folders below one.

A state means what it says in any process at any later time: it holds numbers of the store's own counter. It is opaque
to clients, as Exchange's is: base64 of a gzip stream.
"""

from __future__ import annotations

import binascii
import gzip
import json
import zlib
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Final

_MOST_TEXT: Final = 4096
_MOST_BYTES: Final = 1024
_FIELDS: Final = 7


class InvalidSyncStateError(Exception):
    """A text is no state that this server gave out for this purpose."""


@dataclass(frozen=True, slots=True)
class SyncState:
    """
    A place in a round of changes.

    A round tells all that happened between two numbers: objects made after `known` and up to `until`, then changes
    of those that were known before. `made` and `changed` are how far it has come with each; when both are `until`,
    the round is over and the client knows the state as of `until`.
    """

    kind: str
    mailbox: str
    folder: int
    known: int
    until: int
    made: int
    changed: int

    @property
    def finished(self) -> bool:
        """Return whether the round is over, so that the next one may begin."""
        return self.made >= self.until and self.changed >= self.until

    def text(self) -> str:
        """Return the state as a client gets it."""
        numbers = [self.kind, self.mailbox, self.folder, self.known, self.until, self.made, self.changed]
        return b64encode(gzip.compress(json.dumps(numbers).encode(), mtime=0)).decode()


def begin(kind: str, mailbox: str, folder: int) -> SyncState:
    """Return the state of a client that knows nothing."""
    return SyncState(kind, mailbox, folder, 0, 0, 0, 0)


def read_sync_state(text: str, kind: str, mailbox: str, folder: int) -> SyncState:
    """
    Return what a state says.

    Raises:
        InvalidSyncStateError: It is damaged, or of another folder, mailbox or operation.
    """
    try:
        if len(text) > _MOST_TEXT:
            raise InvalidSyncStateError
        unpacking = zlib.decompressobj(wbits=31)
        raw = unpacking.decompress(b64decode("".join(text.split()), validate=True), _MOST_BYTES)
        if not unpacking.eof or unpacking.unused_data:
            raise InvalidSyncStateError
        read = json.loads(raw)
    except (binascii.Error, zlib.error, ValueError, RecursionError) as error:
        raise InvalidSyncStateError from error
    if not isinstance(read, list) or len(read) != _FIELDS or read[:3] != [kind, mailbox, folder]:
        raise InvalidSyncStateError
    if not all(type(number) is int and 0 <= number < 1 << 48 for number in read[3:]):
        raise InvalidSyncStateError
    return SyncState(kind, mailbox, folder, *read[3:])
