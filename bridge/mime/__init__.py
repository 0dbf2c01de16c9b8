"""Mail as bytes to mail as values, and back: reading what comes in, composing what goes out."""

from bridge.mime.from_properties import from_properties
from bridge.mime.kind import KINDS, Kind, kind_of
from bridge.mime.limits import DEFAULT_LIMITS, Limits
from bridge.mime.parsed import (
    Address,
    Attachment,
    AuthenticationResult,
    Header,
    KindInputs,
    ParsedMail,
    Report,
    ReportedRecipient,
)
from bridge.mime.parser import parse

__all__ = [
    "DEFAULT_LIMITS",
    "KINDS",
    "Address",
    "Attachment",
    "AuthenticationResult",
    "Header",
    "Kind",
    "KindInputs",
    "Limits",
    "ParsedMail",
    "Report",
    "ReportedRecipient",
    "from_properties",
    "kind_of",
    "parse",
]
