"""How much of one mail is looked at in detail; what lies beyond becomes a defect and stays in the raw bytes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """
    Ceilings for one mail, far above what mail programs make.

    The parser takes one pass over the bytes, so these do not keep it fast: they keep the *result* small, and stop
    crafted mails from turning a few hundred kilobytes into millions of objects.
    """

    headers: int = 2_000
    """Header fields in one header block."""
    header_bytes: int = 262_144
    """Longest field whose value is decoded; a longer one is listed as it came."""
    encoded_words: int = 5_000
    """RFC 2047 words decoded in the whole mail."""
    parameters: int = 100
    """Parameters of one Content-Type or Content-Disposition."""
    addresses: int = 5_000
    """Addresses in one header field, and in all fields of one name."""
    references: int = 1_000
    """Message ids in References."""
    nesting: int = 200
    """Multiparts inside multiparts; a deeper one is carried as an attachment."""
    parts: int = 1_000
    """Parts of the whole mail; what follows is carried as one attachment."""
    delimiter_lines: int = 200_000
    """Lines that begin with `--`, looked at as possible boundaries."""
    report_bytes: int = 1_048_576
    """Longest delivery report, disposition notification, returned header or plain bounce text that is searched."""
    report_recipients: int = 500
    """Recipients of one delivery report."""
    html_characters: int = 4_000_000
    """Characters of HTML that are turned into text."""
    uuencoded_files: int = 50
    """Uuencoded files inside one text that are listed as attachments."""


DEFAULT_LIMITS = Limits()
