"""
One large mail out of an answer, decoded as it arrives: neither the answer nor the mail is ever held as a whole.

As strict as `soap.parse_answer`, which gets everything of the answer but the MIME.
"""

from __future__ import annotations

import binascii
import hashlib
from typing import TYPE_CHECKING, Final

from lxml import etree

from bridge.adapters.ews.soap import MalformedAnswer, T, messages_of
from bridge.errors import MailboxUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.adapters.ews.soap import ResponseMessage

_MIME: Final = f"{T}MimeContent"
_BLANKS: Final = b" \t\r\n\x0b\x0c"
_TAIL_BYTES: Final = 256
_QUAD: Final = 4


class StreamedMime:
    """The MIME of the one mail that was asked for."""

    def __init__(self, keep: Callable[[bytes], None]) -> None:
        self._keep = keep
        self._digest = hashlib.sha256()
        self._left = b""
        self.size = 0
        self.seen = False
        """Whether there was any."""
        self.broken = False
        """Whether it is no base64; then nothing of it counts."""
        self.failure: Exception | None = None
        """Why it could not be kept. lxml keeps to itself what its target raises, and calls the answer broken."""

    @property
    def sha256(self) -> str:
        """The digest of what came."""
        return self._digest.hexdigest()

    def feed(self, text: str) -> None:
        """Take the next characters."""
        if not self.broken and self.failure is None:
            try:
                self._feed(text)
            except Exception as error:  # noqa: BLE001 - raised again, outside of the parser
                self.failure = error

    def end(self) -> None:
        """Take the end."""
        if not self.broken and self.failure is None:
            try:
                self._decode(self._left)
                self._left = b""
            except Exception as error:  # noqa: BLE001 - as above
                self.failure = error

    def _feed(self, text: str) -> None:
        try:
            symbols = self._left + text.encode("ascii").translate(None, _BLANKS)
        except UnicodeEncodeError:
            self.broken = True
            return
        # The last four are held back: padding may stand in those alone.
        ready = max(0, (len(symbols) - 1) // _QUAD * _QUAD)
        self._left = symbols[ready:]
        if b"=" in symbols[:ready]:
            self.broken = True
        else:
            self._decode(symbols[:ready])

    def _decode(self, symbols: bytes) -> None:
        try:
            data = binascii.a2b_base64(symbols, strict_mode=True) if symbols else b""
        except binascii.Error:
            self.broken = True
            return
        self._digest.update(data)
        self.size += len(data)
        self._keep(data)


class StreamedAnswer:
    """Takes an answer piece by piece; see `close`."""

    def __init__(self, mime: StreamedMime) -> None:
        self._mime = mime
        self._target = _Target(mime)
        self._parser = etree.XMLParser(
            target=self._target, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True
        )
        self._tail = b""
        self._error: Exception | None = None
        self.fed = False

    def feed(self, piece: bytes) -> None:
        """
        Take the next bytes; what is wrong with them is told at the end, when all have come.

        Raises:
            BlobStoreUnusable: There is no room for the mail.
        """
        self.fed = True
        self._tail = (self._tail + piece)[-_TAIL_BYTES:]
        if self._error is None:
            try:
                self._parser.feed(piece)
            except (etree.XMLSyntaxError, _DoctypeError) as error:
                self._error = error
        if self._mime.failure is not None:
            raise self._mime.failure

    def close(self, operation: str) -> list[ResponseMessage]:
        """
        Return the response messages, without the MIME.

        Raises:
            MailboxUnavailable: Not the answer of this operation, or cut off.
            MalformedAnswer: Whole, but not well-formed.
            BridgeError: The meaning of a SOAP fault.
        """
        whole = self._tail.rstrip().endswith(b"Envelope>")
        if not whole:
            raise MailboxUnavailable("the answer is cut off or no SOAP")
        if self._error is not None:
            raise MalformedAnswer(type(self._error).__name__)  # the parser's text may quote the mail
        try:
            envelope = self._parser.close()
        except etree.XMLSyntaxError as error:
            raise MalformedAnswer(type(error).__name__) from None
        return messages_of(envelope, operation)


class _DoctypeError(Exception):
    """The answer begins with a document type."""


class _Target:
    """Builds the tree of everything but the MIME."""

    def __init__(self, mime: StreamedMime) -> None:
        self._builder = etree.TreeBuilder()
        self._mime = mime
        self._in_mime = False

    def doctype(self, *_: str | None) -> None:
        """Refuse: SOAP has none, and it is all that entities could come by."""
        raise _DoctypeError

    def start(self, tag: str | bytes, attrib: dict[str | bytes, str | bytes]) -> None:
        """Begin an element."""
        if tag == _MIME and not self._mime.seen:
            self._in_mime = self._mime.seen = True
        self._builder.start(tag, dict(attrib))

    def end(self, tag: str | bytes) -> None:
        """End an element."""
        if tag == _MIME and self._in_mime:
            self._in_mime = False
            self._mime.end()
        self._builder.end(tag)

    def data(self, data: str | bytes) -> None:
        """Take characters, as many as there are just now."""
        if self._in_mime:
            self._mime.feed(str(data))
        else:
            self._builder.data(data)

    def comment(self, text: str | bytes) -> None:
        """Pass over a comment."""

    def close(self) -> etree._Element:
        """Return the tree."""
        return self._builder.close()
