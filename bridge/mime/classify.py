"""Gathers what the kind of a mail and its origin are decided by, from headers, structure and text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.mime.addresses import parse_addresses
from bridge.mime.bounces import from_mail_system, read_bounce, split_quoted
from bridge.mime.parsed import KindInputs, Report
from bridge.mime.reports import Returned, read_delivery_status, read_disposition, read_returned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.mime.content import ContentReader
    from bridge.mime.limits import Limits
    from bridge.mime.structure import Part
    from bridge.mime.words import HeaderText

_DELIVERY_STATUS = frozenset(("message/delivery-status", "message/global-delivery-status"))
_DISPOSITION = frozenset(("message/disposition-notification", "message/global-disposition-notification"))
_RETURNED = frozenset((
    "message/rfc822", "message/global", "text/rfc822-headers", "message/rfc822-headers", "message/global-headers",
))  # fmt: skip
_SMIME = frozenset(("application/pkcs7-mime", "application/x-pkcs7-mime"))
_RIGHTS_MANAGED = frozenset(("application/x-microsoft-rpmsg-message", "application/vnd.ms-rpmsg"))
_CALENDAR_METHOD = re.compile(rb"^METHOD:([A-Za-z]{1,20})\s*$", re.MULTILINE)
_CALENDAR_WINDOW = 8_192
# The words must be all, or be followed by the subject that is answered.
_AUTO_REPLY_SUBJECT = re.compile(
    r"\s*(?:automatic reply|auto(?:matic)?[- ]?(?:reply|response|respons)|out of (?:the )?office|abwesenheitsnotiz"
    r"|automatische antwort|réponse automatique|respuesta automática|risposta automatica)"
    r"(?: (?:auto-?reply|reply|response|message|notice|notification))?\s*(?:[:(-]|\Z)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Findings:
    """What was gathered."""

    inputs: KindInputs
    refers_to: tuple[str, ...]
    """Message ids of returned mails and of those that a report is about."""
    request_id: str | None


class Classifier:
    """Looks at one mail whose parts are known and whose text was read."""

    def __init__(
        self, root: Part, reader: ContentReader, first: Mapping[str, str], header: HeaderText, limits: Limits
    ) -> None:
        self._root = root
        self._reader = reader
        self._first = first
        self._header = header
        self._limits = limits
        self._leaves = _leaves(root)

    def classify(self, subject: str, text: str) -> Findings:
        """Return what is to be known for the kind, and which mails this one is about."""
        ids: list[str] = []
        report, about = self._standard_report()
        if about:
            ids.append(about)
        author = next(iter(parse_addresses(self._first.get("from", ""), self._header, 2)), None)
        returned_parts = [part for part in self._leaves if part.content_type in _RETURNED]
        if report is None:
            report = read_bounce(
                author,
                self._first,
                subject,
                text,
                returns_mail=bool(returned_parts),
                is_report=self._root.content_type == "multipart/report",
                limits=self._limits,
            )
        request_id = None
        if report is not None:
            returned = self._returned(returned_parts, text)
            ids.extend(returned.message_ids)
            request_id = returned.request_id
        inputs = KindInputs(
            report=report,
            calendar_method=self._calendar_method(),
            protected=self._is_protected(text),
            auto_reply=is_auto_reply(self._first, subject) and not (report is None and from_mail_system(author)),
        )
        return Findings(inputs, tuple(dict.fromkeys(ids)), request_id)

    def _standard_report(self) -> tuple[Report | None, str]:
        for part in self._leaves:
            if part.content_type in _DELIVERY_STATUS:
                report = read_delivery_status(self._reader.content(part), self._header, self._limits)
                if report is not None:
                    return report, ""
            elif part.content_type in _DISPOSITION:
                return read_disposition(self._reader.content(part), self._header, self._limits)
        return None, ""

    def _returned(self, parts: list[Part], text: str) -> Returned:
        for part in parts:
            returned = read_returned(self._reader.content(part), self._header, self._limits)
            if returned.message_ids or returned.request_id:
                return returned
        _, quoted = split_quoted(text)
        if not quoted:
            return Returned()
        return read_returned(quoted[: self._limits.report_bytes].encode("utf-8"), self._header, self._limits)

    def _calendar_method(self) -> str:
        """Return the method of a calendar part that is the mail itself, not a file that happens to be attached."""
        for part in self._leaves:
            if part.content_type != "text/calendar":
                continue
            # A method in the Content-Type is iMIP (RFC 6047), attached or not; a file's own may be anything.
            method = part.parameters.get("method", "")
            if not method and part.disposition.value != "attachment":
                match = _CALENDAR_METHOD.search(self._reader.content(part)[:_CALENDAR_WINDOW])
                method = match[1].decode("ascii") if match is not None else ""
            if method:
                return method.strip().lower()[:20]
        return ""

    def _is_protected(self, text: str) -> bool:
        root = self._root
        if root.content_type == "multipart/encrypted" or text.lstrip().startswith("-----BEGIN PGP MESSAGE-----"):
            return True
        readable = bool(text.strip())
        for part in self._leaves:
            if part.content_type in _RIGHTS_MANAGED:
                return True
            if not readable and _is_opaque(part):
                return True
        return (
            any(
                part.children is not None and part.content_type == "multipart/encrypted" for part in root.children or ()
            )
            and not readable
        )


def is_auto_reply(first: Mapping[str, str], subject: str) -> bool:
    """Return whether the headers (the first of each name) say that a machine answered a mail (RFC 3834)."""
    submitted = first.get("auto-submitted", "").partition(";")[0].strip().lower()
    if submitted.startswith("auto-replied"):
        return True
    if "x-autoreply" in first or "x-autorespond" in first:
        return True
    if first.get("precedence", "").strip().lower() == "auto_reply":
        return True
    if _AUTO_REPLY_SUBJECT.match(subject):
        # A person who answers an automatic reply puts `Re:` before it.
        return True
    # Exchange marks what its mailbox rules answer as auto-generated.
    source = first.get("x-ms-exchange-generated-message-source", "").lower()
    return submitted.startswith("auto-generated") and "mailbox rules agent" in source


def _is_opaque(part: Part) -> bool:
    name = (part.name or "").lower()
    if part.content_type in _SMIME:
        return part.parameters.get("smime-type", "").lower() != "certs-only" and not name.endswith(".p7c")
    return part.content_type == "application/octet-stream" and name.endswith(".p7m")


def _leaves(root: Part) -> list[Part]:
    found: list[Part] = []
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if part.children is None:
            found.append(part)
        else:
            waiting.extend(reversed(part.children))
    return found
