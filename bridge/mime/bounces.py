"""
Bounces that follow no standard: told from who sent them and from what they say.

Only what a mail system says of itself counts: somebody must sign as a mail system (`MAILER-DAEMON`, `postmaster`), and
the subject, the structure or the first lines must say that something was not delivered. A person's mail about a
bounce is a mail.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bridge.mime.parsed import Address, Report, ReportedRecipient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.mime.limits import Limits

# What a mail system writes before it quotes the mail, a few thousand characters, is all that is searched.
_WINDOW = 16_384

_DAEMONS = frozenset((
    "mailer-daemon", "mailerdaemon", "mail-daemon", "postmaster", "mail.delivery.system", "mail-delivery-system",
    "mdaemon", "post_master", "microsoftexchange329e71ec88ae4615bbc36ab6ce41109e",
))  # fmt: skip
_DAEMON_NAME = re.compile(r"mail delivery (?:sub)?system|mail administrator|system administrator", re.IGNORECASE)
_SUBJECT = re.compile(
    r"undeliver|delivery (?:status notification|failure|failed|has failed|problem|report|incomplete|delayed)"
    r"|(?:non-?|un)delivery|failure notice|returned mail|mail delivery|mail system error|delivery status"
    r"|could not (?:be delivered|send)|not delivered|message (?:delivery )?failed|warning: could not send",
    re.IGNORECASE,
)
_TEXT = re.compile(
    r"could not be (?:delivered|reached)|(?:was|were) not delivered|not (?:be )?deliver(?:ed|able)|did not reach"
    r"|unable to deliver|delivery (?:has )?failed|error(?: occurred)? (?:while trying to|delivering)"
    r"|failed permanently|undeliver|del[ei]very to the following|permanent (?:fatal )?error|user unknown"
    r"|invalid user address|failure reasons|delivery status notification|550[ -]",
    re.IGNORECASE,
)
_DELAYED = re.compile(r"\(delay\)|\bdelayed\b|could not send message for|not yet been delivered", re.IGNORECASE)
_QUOTED_MAIL = re.compile(
    r"^[-*= ]{0,40}(?:this is a copy of|(?:below|here) (?:this line )?is a copy"
    r"|original message(?: headers| follows)?|message headers? follows?|returned message"
    r"|the header of the (?:original )?message|included is a copy|end of message)\b",
    re.IGNORECASE | re.MULTILINE,
)
_ADDRESS = r"[^\s<>()\[\],;:\"'@]{1,64}@[A-Za-z0-9.-]{1,253}[A-Za-z0-9]"
_RECIPIENT_FIELD = re.compile(
    rf"^(?:final|original)-recipient:[ \t]*rfc822;[ \t]*<?({_ADDRESS})", re.IGNORECASE | re.MULTILINE
)
_RECIPIENTS = (
    re.compile(
        rf"^[ \t]*(?:[*•-][ \t]*)?<?({_ADDRESS})>?(?:<mailto:[^<>\s]{{1,320}}>)?"
        r"(?::| on\b[^\n]{0,100}|[ \t]*\(.{0,100}\))?[ \t]*$",
        re.MULTILINE,
    ),
    re.compile(
        rf"(?:rcpt to:|deliver(?:ed|ing)?(?: your mail| message)? to:?|mailbox:?)[ \t]*<?({_ADDRESS})", re.IGNORECASE
    ),
    re.compile(rf"<({_ADDRESS})>"),
    re.compile(rf"\(({_ADDRESS})\)"),
)
_STATUS = re.compile(
    r"(?:\b[45]\d\d[ -]|#|\bDSN |^Status:[ \t]*)#?([45]\.\d{1,3}\.\d{1,3})(?![\d.])", re.IGNORECASE | re.MULTILINE
)
_REPLY = re.compile(r"(?<![\d.-])([45]\d\d[ -]{1,3}(?:#?[245]\.\d|[A-Za-z<])[^\n]{0,500})")
_DIAGNOSTIC_FIELD = re.compile(
    r"^diagnostic-code:[ \t]*(?:[a-z0-9-]{1,20};)?[ \t]*([^\n]{1,500})", re.IGNORECASE | re.MULTILINE
)
_LISTED_ADDRESS = re.compile(_ADDRESS)


def from_mail_system(author: Address | None) -> bool:
    """Return whether the mail is signed by a mail system."""
    if author is None:
        return False
    local = author.address.partition("@")[0].strip().lower()
    return (
        local in _DAEMONS or (not local and author.name.lower() in _DAEMONS) or bool(_DAEMON_NAME.search(author.name))
    )


def read_bounce(
    author: Address | None,
    first: Mapping[str, str],
    subject: str,
    text: str,
    *,
    returns_mail: bool,
    is_report: bool,
    limits: Limits,
) -> Report | None:
    """Return what a bounce without a delivery report tells, or None where the mail is no bounce."""
    failed = first.get("x-failed-recipients", "")
    said, _ = split_quoted(text)
    window = said[:_WINDOW]
    if not failed:
        if not from_mail_system(author):
            return None
        if not (_SUBJECT.search(subject) or is_report or (returns_mail and _TEXT.search(window))):
            return None
    delayed = bool(_DELAYED.search(subject)) or (not _SUBJECT.search(subject) and bool(_DELAYED.search(window)))
    status = _STATUS.search(window)
    diagnostic = _DIAGNOSTIC_FIELD.search(window) or _REPLY.search(window)
    addresses = _LISTED_ADDRESS.findall(failed) or _recipients(window)
    known = ReportedRecipient(
        address="",
        action="delayed" if delayed else "failed",
        status=status[1] if status is not None else "",
        diagnostic=diagnostic[1].strip() if diagnostic is not None else "",
    )
    recipients = tuple(
        ReportedRecipient(address, known.action, known.status, known.diagnostic)
        for address in list(dict.fromkeys(addresses))[: limits.report_recipients]
    )
    return Report("delivery", recipients or (known,), standard=False)


def split_quoted(text: str) -> tuple[str, str]:
    """Return what the mail system says, and the mail that it quotes below, empty where it quotes none."""
    marker = _QUOTED_MAIL.search(text[: 4 * _WINDOW])
    if marker is None:
        return text, ""
    newline = text.find("\n", marker.end())
    return text[: marker.start()], "" if newline < 0 else text[newline:].lstrip("\r\n")


def _recipients(window: str) -> list[str]:
    """Return the addresses that the first pattern finds which finds any."""
    for pattern in (_RECIPIENT_FIELD, *_RECIPIENTS):
        found = [match for match in pattern.findall(window) if match.partition("@")[0].lower() not in _DAEMONS]
        if found:
            return found
    return []
