"""Machine-readable reports: delivery status (RFC 3464) and disposition (RFC 8098), and the mail that they return."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.mime.headers import Field, read_block
from bridge.mime.parsed import Report, ReportedRecipient

if TYPE_CHECKING:
    from bridge.mime.limits import Limits
    from bridge.mime.words import HeaderText

REQUEST_ID_HEADER = "x-bridge-request-id"

MESSAGE_ID = re.compile(r"<[^<>\s]{1,990}>")
_BLANK_LINES = re.compile(rb"(?:\r?\n){2,}+")
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_ACTIONS = frozenset(("failed", "delayed", "delivered", "relayed", "expanded"))


@dataclass(frozen=True, slots=True)
class Returned:
    """What the header of a returned mail says about it."""

    message_ids: tuple[str, ...] = ()
    request_id: str | None = None


def read_delivery_status(content: bytes, header: HeaderText, limits: Limits) -> Report | None:
    """Return the report, or None where not one recipient is named."""
    recipients: list[ReportedRecipient] = []
    for fields in _groups(content, header, limits):
        values = _values(fields, header)
        address = _address(values.get("final-recipient", "")) or _address(values.get("original-recipient", ""))
        if not address and "action" not in values:
            continue  # the fields of the message as a whole
        if len(recipients) >= limits.report_recipients:
            header.defects.add("report_limit")
            break
        words = values.get("action", "").lower().split(maxsplit=1)
        status = _STATUS.search(values.get("status", ""))
        recipients.append(
            ReportedRecipient(
                address=address,
                action=words[0] if words and words[0] in _ACTIONS else "",
                status=status[0] if status is not None else "",
                diagnostic=_after_type(values.get("diagnostic-code", "")),
            )
        )
    return Report("delivery", tuple(recipients)) if recipients else None


def read_disposition(content: bytes, header: HeaderText, limits: Limits) -> tuple[Report, str]:
    """Return the report and the Message-ID of the mail that was read, empty where it is not named."""
    values: dict[str, str] = {}
    for fields in _groups(content, header, limits):
        values = {**_values(fields, header), **values}
    recipient = _address(values.get("final-recipient", "")) or _address(values.get("original-recipient", ""))
    # action-mode/sending-mode; disposition-type/modifiers
    kind = values.get("disposition", "").rpartition(";")[2].partition("/")[0].strip().lower()
    original = MESSAGE_ID.search(values.get("original-message-id", ""))
    recipients = (ReportedRecipient(recipient, "", "", ""),) if recipient else ()
    return Report("disposition", recipients, kind[:64]), original[0] if original is not None else ""


def read_returned(content: bytes, header: HeaderText, limits: Limits) -> Returned:
    """Return what the header of a returned mail tells, however much of it came back."""
    if len(content) > limits.report_bytes:
        content = content[: limits.report_bytes]
    block = read_block(content.lstrip(b"\r\n"), 0, limit=limits.headers, defects=header.defects)
    message_ids: list[str] = []
    request_id = None
    for item in block.fields:
        if item.key == "message-id":
            found = MESSAGE_ID.search(header.unfold(item.value))
            if found is not None:
                message_ids.append(found[0])
        elif item.key == REQUEST_ID_HEADER and request_id is None:
            request_id = header.decode(header.unfold(item.value))[:256] or None
    return Returned(tuple(message_ids), request_id)


def _groups(content: bytes, header: HeaderText, limits: Limits) -> list[list[Field]]:
    if len(content) > limits.report_bytes:
        header.defects.add("report_limit")
        content = content[: limits.report_bytes]
    blocks = _BLANK_LINES.split(content, maxsplit=limits.report_recipients + 2)
    return [read_block(block, 0, limit=limits.headers, defects=header.defects).fields for block in blocks]


def _values(fields: list[Field], header: HeaderText) -> dict[str, str]:
    values: dict[str, str] = {}
    for item in fields:
        if item.key not in values:
            values[item.key] = header.decode(header.unfold(item.value))
    return values


def _after_type(value: str) -> str:
    """Return `550 5.1.1 ...` of `smtp; 550 5.1.1 ...`."""
    kind, separator, rest = value.partition(";")
    return rest.strip() if separator and len(kind) <= 32 and " " not in kind.strip() else value.strip()


def _address(value: str) -> str:
    address = _after_type(value).strip()
    match = re.fullmatch(r"[^<]{0,200}<([^<>]{1,320})>.{0,200}", address)
    return (match[1] if match is not None else address).strip()
