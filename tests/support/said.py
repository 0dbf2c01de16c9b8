"""What a mail says, by the bridge's payload and by the sandbox's reading of its bytes, in one form to be compared."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bridge.sandbox.store.content import content, content_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ADDRESS = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+")
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9._$+-]+@[A-Za-z0-9.-]+>")
_UUENCODED = re.compile(r"^begin [0-7]{3,4} ", re.MULTILINE)


def differences(given: bytes, payload: Mapping[str, Any]) -> list[str]:
    """
    Return in what the payload of a mail whose MIME was made anew says something else than the bytes that came.

    Addresses and Message-IDs that are none, and letters that the sandbox cannot read, are left to each reader. Files
    that are uuencoded within a text are attachments to the bridge alone. The order of attachments is Exchange's own.
    """
    said, told = content_of(given), _of(payload)
    found = []
    if said["subject"] != told["subject"]:
        found.append("subject")
    found += [name for name in ("To", "Cc") if _addresses(said, name) != _addresses(told, name)]
    if _addresses(said, "From")[:1] != _addresses(told, "From")[:1]:
        found.append("From")
    if _MESSAGE_ID.fullmatch(said["message_id"]) and said["message_id"] != told["message_id"]:
        found.append("message_id")
    if _UUENCODED.search(said["text"] or ""):
        return found
    readable = [name for name in ("text", "html") if said[name] and "\ufffd" not in said[name]]
    found += [name for name in readable if said[name] != told[name]]
    if _files(said) != _files(told):
        found.append("attachments")
    return found


def _of(payload: Mapping[str, Any]) -> dict[str, Any]:
    def people(them: Sequence[Mapping[str, Any]]) -> list[list[str]]:
        return [[one["name"] or "", one["address"] or ""] for one in them]

    return content(
        subject=payload["subject"] or "",
        people={
            "From": people([payload["from"]] if payload["from"] else []),
            "To": people(payload["to"]),
            "Cc": people(payload["cc"]),
            "Reply-To": people(payload["reply_to"]),
        },
        message_id=payload["internet_message_id"] or "",
        text=payload["text"],
        html=payload["html"],
        attachments=[(one["content_type"], one["content_id"] or "", one["sha256"]) for one in payload["attachments"]],
    )


def _files(said: Mapping[str, Any]) -> list[str]:
    return sorted(sha256 for *_, sha256 in said["attachments"])


def _addresses(said: Mapping[str, Any], name: str) -> list[str]:
    return [address for _, address in said["people"][name] if _ADDRESS.fullmatch(address)]
