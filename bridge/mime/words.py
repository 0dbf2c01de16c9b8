"""Header values: bytes to text, and RFC 2047 encoded-words within the text."""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.mime import charsets

if TYPE_CHECKING:
    from bridge.mime.defects import Defects

# Every alternative stops at the next `?`, so a flood of openers costs no more than its length. Blanks inside the
# encoded text are not allowed by RFC 2047 and common all the same.
_WORD = re.compile(r"=\?([^?\s*]{1,64})(?:\*[^?\s]{0,64})?\?([bBqQ])\?([^?]*)\?=")
# Looked for at the beginning of a run of blanks alone: at each blank of it, the cost would be the square of its length.
_FOLD = re.compile(r"(?<![\t ])[\t ]*+[\r\n][\r\n\t ]*+")
_BREAKS = re.compile(r"[\r\n]+")


@dataclass(slots=True)
class Budget:
    """How many encoded-words of a mail may still be decoded."""

    words: int


@dataclass(frozen=True, slots=True)
class HeaderText:
    """Decodes the header fields of one mail."""

    defects: Defects
    budget: Budget
    charset: list[str] = field(default_factory=list)
    """The charset that the mail's body names: what 8-bit fields are most likely in when they are not UTF-8."""

    def unfold(self, value: bytes) -> str:
        """Return the field's text on one line, encoded-words untouched."""
        text = value.decode("ascii") if value.isascii() else self._decode_8bit(value)
        if "\n" in text or "\r" in text:
            text = _FOLD.sub(" ", text)
        if "\0" in text:
            text = charsets.clean(text, self.defects)
        return text.strip()

    def _decode_8bit(self, value: bytes) -> str:
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            self.defects.add("header_8bit")
        for label in self.charset:
            codec = charsets.codec_name(label)
            # Codecs that are not supersets of ASCII would eat the field's syntax.
            if codec is None or codec.startswith(("utf-16", "utf-32", "utf-7")):
                continue
            if codec == "cp1252":
                break  # almost all bytes fit it, and the label is that of the body
            try:
                return charsets.clean(value.decode(codec), self.defects)
            except (UnicodeError, ValueError):
                continue
        return charsets.clean(charsets.guess(value), self.defects)

    def decode(self, text: str) -> str:
        """
        Decode the encoded-words in one line of text; what is none, or is broken, stays as it is.

        Blanks between two words vanish (RFC 2047, 6.2). Neighbouring words in one charset are joined before they are
        decoded, because many programs cut multi-byte characters in two.
        """
        if "=?" not in text:
            return text
        out: list[str] = []
        pending = bytearray()
        pending_charset = ""
        end = 0

        for match in _WORD.finditer(text):
            if self.budget.words <= 0:
                self.defects.add("encoded_word_limit")
                break
            self.budget.words -= 1
            data = self._word_bytes(match[2], match[3])
            if data is None:
                continue
            between = text[end : match.start()]
            # Letters beyond ASCII within a word were decoded with the field, so they are no longer in its charset.
            charset = match[1].lower() if match[3].isascii() else "utf-8"
            adjacent = end > 0 and (not between or between.isspace())
            if adjacent and charset == pending_charset:
                pending += data
            else:
                out.append(self._text(pending, pending_charset))
                if not adjacent:
                    out.append(between)
                pending, pending_charset = bytearray(data), charset
            end = match.end()

        out.append(self._text(pending, pending_charset))
        out.append(text[end:])
        return _BREAKS.sub(" ", "".join(out)).strip()

    def _word_bytes(self, encoding: str, text: str) -> bytes | None:
        if not text.isascii():
            self.defects.add("encoded_word_broken")
        data = text.encode("utf-8")
        if encoding in "qQ":
            return binascii.a2b_qp(data, header=True)
        try:
            return binascii.a2b_base64(data + b"=" * (-len(data) % 4))
        except binascii.Error:
            self.defects.add("encoded_word_broken")
        try:
            # One character too many: cut off in the middle of a group.
            stripped = data.rstrip(b"=")
            return binascii.a2b_base64(stripped[: len(stripped) // 4 * 4])
        except binascii.Error:
            return None

    def _text(self, data: bytearray, charset: str) -> str:
        if not data:
            return ""
        codec = charsets.codec_name(charset)
        raw = bytes(data)
        if codec is None:
            self.defects.add("charset_unknown")
            return charsets.clean(charsets.guess(raw), self.defects)
        if codec == "cp1252":
            return charsets.clean(charsets.windows_1252(raw), self.defects)
        try:
            return charsets.clean(raw.decode(codec), self.defects)
        except (UnicodeError, ValueError, OverflowError):
            self.defects.add("encoded_word_broken")
        return charsets.clean(charsets.lenient(raw, codec), self.defects)
