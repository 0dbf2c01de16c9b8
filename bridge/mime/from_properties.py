"""A mail whose MIME Exchange refuses to make, from its properties."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.mime import charsets
from bridge.mime.authentication import parse_authentication_results
from bridge.mime.bounces import read_bounce
from bridge.mime.classify import is_auto_reply
from bridge.mime.defects import Defects
from bridge.mime.html_text import html_to_text
from bridge.mime.limits import DEFAULT_LIMITS, Limits
from bridge.mime.parsed import Address, Header, Importance, KindInputs, ParsedMail
from bridge.mime.reports import MESSAGE_ID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.domain.mail import MailProperties

_IMPORTANCE: dict[str, Importance] = {"low": "low", "high": "high"}


def from_properties(properties: MailProperties, *, limits: Limits = DEFAULT_LIMITS) -> ParsedMail:
    """Return the mail with the defect `mime_refused`; of its attachments only the names are known, elsewhere."""
    defects = Defects()
    defects.add("mime_refused")

    def text_of(value: str) -> str:
        return charsets.clean(value, defects)

    def address_of(pair: tuple[str, str]) -> Address:
        return Address(text_of(pair[0]), text_of(pair[1]))

    def addresses_of(pairs: Sequence[tuple[str, str]]) -> tuple[Address, ...]:
        return tuple(address_of(pair) for pair in pairs)

    headers = tuple(Header(text_of(name), text_of(value)) for name, value in properties.headers)
    first: dict[str, str] = {}
    for item in headers:
        first.setdefault(item.name.lower(), item.value)
    subject = text_of(properties.subject)
    html = None if properties.html is None else text_of(properties.html)
    text = text_of(properties.text).replace("\r\n", "\n").replace("\r", "\n")
    if not text and html is not None:
        text = html_to_text(html, defects)
    author = None if properties.author is None else address_of(properties.author)
    in_reply_to = MESSAGE_ID.findall(properties.in_reply_to)
    references = MESSAGE_ID.findall(properties.references)[: limits.references]
    report = read_bounce(author, first, subject, text, returns_mail=False, is_report=False, limits=limits)
    return ParsedMail(
        headers=headers,
        subject=subject,
        author=author,
        sender=None if properties.sender is None else address_of(properties.sender),
        to=addresses_of(properties.to),
        cc=addresses_of(properties.cc),
        reply_to=addresses_of(properties.reply_to),
        date=properties.sent_at,
        message_id=text_of(properties.internet_message_id) or None,
        in_reply_to=in_reply_to[0] if in_reply_to else None,
        references=tuple(references),
        text=text,
        html=html,
        importance=_IMPORTANCE.get(properties.importance.lower(), "normal"),
        authentication_results=tuple(
            parse_authentication_results(item.value)
            for item in headers
            if item.name.lower() == "authentication-results"
        ),
        kind_inputs=KindInputs(report=report, auto_reply=is_auto_reply(first, subject)),
        refers_to=tuple(dict.fromkeys((*in_reply_to, *reversed(references)))),
        defects=defects.codes(),
    )
