"""
The answer to GetStreamingEvents: SOAP envelopes one after another, cut out of the bytes as they come, and read.

A message is read once it is whole, however the network cut it up. Whatever is no message, or larger than one may be,
ends the stream; nothing is repaired and nothing kept beyond one message.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from lxml import etree

from bridge.adapters.ews.errors import plain_code
from bridge.adapters.ews.soap import SOAP, M, T
from bridge.domain.notices import Notice, StreamGarbled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

LARGEST_MESSAGE_BYTES: Final = 4 << 20
"""A heartbeat for 200 subscriptions takes 60 KB, an event 600 bytes."""

_END: Final = re.compile(rb"</(?:[A-Za-z_][\w.-]{0,63}:)?Envelope\s{0,64}>")
_LONGEST_END: Final = 160
_SPACE: Final = b" \t\r\n\xef\xbb\xbf"
"""With the mark that some servers begin with: each message is a document of its own."""

_ARRIVALS: Final = frozenset({f"{T}NewMailEvent", f"{T}CreatedEvent", f"{T}CopiedEvent"})
_MOVED: Final = f"{T}MovedEvent"
_FOLDERS_REMEMBERED: Final = 16


class EnvelopeCutter:
    """Cuts whole envelopes out of bytes that come in any pieces."""

    def __init__(self, largest_bytes: int = LARGEST_MESSAGE_BYTES) -> None:
        self._largest = largest_bytes
        self._held = bytearray()
        self._looked = 0

    @property
    def is_within(self) -> bool:
        """Whether the bytes so far end in the middle of a message."""
        return bool(self._held)

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """
        Yield each envelope that this piece completes.

        Raises:
            StreamGarbled: What came cannot be the beginning of a message, or is too large for one.
        """
        self._held += piece
        while (found := _END.search(self._held, self._looked)) is not None:
            envelope = bytes(self._held[: found.end()])
            del self._held[: found.end()]
            self._looked = 0
            self._check(envelope)
            yield envelope.lstrip(_SPACE)
        if self._held[:1] and self._held[0] in _SPACE:
            self._held = self._held.lstrip(_SPACE)
        self._check(self._held)
        self._looked = max(0, len(self._held) - _LONGEST_END)

    def _check(self, message: bytes | bytearray) -> None:
        if len(message) > self._largest:
            raise StreamGarbled("a message of the stream is larger than any may be")
        first = bytes(message[:256]).lstrip(_SPACE)[:1]
        if first not in {b"", b"<"}:
            raise StreamGarbled("the stream sends what is no XML")


class Refusal(Exception):  # noqa: N818 - an answer, which the caller turns into an error
    """The stream says an error about itself and not about single subscriptions."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


# About the subscriptions of the stream, all of them where none is named.
_OF_SUBSCRIPTIONS: Final = frozenset({
    "ErrorMissedNotificationEvents",
    "ErrorReadEventsFailed",
    "ErrorSubscriptionNotFound",
    "ErrorSubscriptionUnsubscribed",
    "ErrorExpiredSubscription",
    "ErrorInvalidSubscription",
    "ErrorInvalidWatermark",
    "ErrorSubscriptionAccessDenied",
    "ErrorNewEventStreamConnectionOpened",
})  # fmt: skip


class NoticeReader:
    """
    Reads messages; remembers which folders mail comes into, to tell a mail that is taken out from one that is put in.

    Exchange tells of both with the same MovedEvent, and the bridge itself moves every mail that it has published.
    """

    def __init__(self, subscriptions: Sequence[str]) -> None:
        self._all = frozenset(subscriptions)
        self._folders: dict[str, None] = {}

    def read(self, envelope: bytes) -> Notice:
        """
        Return what a message says.

        Raises:
            StreamGarbled: It is no message of a stream.
            Refusal: It is an error, and not one of single subscriptions.
        """
        arrived, lost, closed = set[str](), set[str](), False
        for message in _messages(envelope):
            code = (message.findtext(f"{M}ResponseCode") or "").strip()
            closed = closed or (message.findtext(f"{M}ConnectionStatus") or "").strip() == "Closed"
            if message.get("ResponseClass") == "Error" or code not in {"", "NoError"}:
                named = {(one.text or "").strip() for one in message.iterfind(f"{M}ErrorSubscriptionIds/*")}
                if not named and code not in _OF_SUBSCRIPTIONS:
                    raise Refusal(plain_code(code))
                lost |= (named or self._all) & self._all
            for notification in message.iterfind(f"{M}Notifications/{M}Notification"):
                if self._something_came(notification):
                    arrived.add((notification.findtext(f"{T}SubscriptionId") or "").strip())
        return Notice(frozenset(arrived & self._all), frozenset(lost), closed)

    def _something_came(self, events: Iterable[etree._Element]) -> bool:
        came = False
        for event in events:
            if event.tag in _ARRIVALS:
                self._remember(_folder(event, "ParentFolderId"))
                came = True
            elif event.tag == _MOVED:
                came = came or not self._is_taken_out(event)
        return came

    def _remember(self, folder: str) -> None:
        self._folders.pop(folder, None)
        self._folders[folder] = None
        while len(self._folders) > _FOLDERS_REMEMBERED * max(1, len(self._all)):
            del self._folders[next(iter(self._folders))]

    def _is_taken_out(self, moved: etree._Element) -> bool:
        """Whether it surely was; a listing for nothing costs one call, a mail that is not listed waits for the next."""
        return _folder(moved, "OldParentFolderId") in self._folders and (
            _folder(moved, "ParentFolderId") not in self._folders
        )


def _folder(event: etree._Element, name: str) -> str:
    found = event.find(f"{T}{name}")
    return "" if found is None else found.get("Id") or ""


def _messages(envelope: bytes) -> list[etree._Element]:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        root = etree.fromstring(envelope, parser)
    except etree.XMLSyntaxError:
        raise StreamGarbled("a message of the stream is no XML") from None  # the parser's text may quote it
    answer = root.find(f"{{{SOAP}}}Body/{M}GetStreamingEventsResponse/{M}ResponseMessages")
    if answer is None:
        raise StreamGarbled("a message of the stream is another answer")
    return list(answer.iterchildren(f"{M}GetStreamingEventsResponseMessage"))
