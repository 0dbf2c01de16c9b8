"""Bytes of a mail to `ParsedMail`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.mime.addresses import parse_addresses
from bridge.mime.authentication import parse_authentication_results
from bridge.mime.classify import Classifier
from bridge.mime.content import ContentReader, select
from bridge.mime.dates import parse_date
from bridge.mime.defects import Defects
from bridge.mime.headers import Field, HeaderBlock, read_block
from bridge.mime.limits import DEFAULT_LIMITS, Limits
from bridge.mime.parsed import Address, Header, Importance, ParsedMail
from bridge.mime.reports import MESSAGE_ID
from bridge.mime.structure import read_structure
from bridge.mime.words import Budget, HeaderText

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.mime.mapped import RawMail
    from bridge.mime.sink import Sink

_ONCE = ("from", "sender", "reply-to", "to", "cc", "message-id", "in-reply-to", "references", "subject", "date")
_LONGEST_ID = 998
_IMPORTANCE: dict[str, Importance] = {
    "high": "high", "urgent": "high", "highest": "high", "1": "high", "2": "high",
    "normal": "normal", "3": "normal",
    "low": "low", "non-urgent": "low", "lowest": "low", "4": "low", "5": "low",
}  # fmt: skip


def parse(raw: RawMail, *, limits: Limits = DEFAULT_LIMITS, sink: Sink | None = None) -> ParsedMail:
    """
    Return what a mail says, its large attachments in the sink where there is one.

    Never raises, whatever the bytes are, and takes time in proportion to their number. What is broken is read as mail
    programs would read it, and named in `defects`. Beyond the limits nothing is cut in silence: the defect says what
    was left out, and the raw bytes have it.
    """
    defects = Defects()
    if not raw:
        defects.add("empty")
    elif raw.find(b"\n") < 0 and raw.find(b"\r") >= 0:
        defects.add("cr_only_line_ends")
        raw = raw[:].replace(b"\r", b"\n")
    header = HeaderText(defects, Budget(limits.encoded_words))
    block = read_block(raw, 0, limit=limits.headers, defects=defects, root=True)
    root = read_structure(raw, block, header, limits)
    _note_charset(raw, block, root.parameters.get("charset"), header)

    texts = [header.unfold(item.value) for item in block.fields]
    headers = _headers(block.fields, texts, header, limits)
    first = _first_of_each(block.fields, texts, defects, limits)

    body = select(root)
    reader = ContentReader(raw, header, limits, sink)
    html = reader.html(body.html_parts)
    text = reader.text(body)
    attachments = reader.attachments(body.attached, html)

    message_id = _message_id(first.get("message-id", ""), defects)
    in_reply_to = MESSAGE_ID.findall(first.get("in-reply-to", ""))
    references = MESSAGE_ID.findall(first.get("references", ""))
    if len(references) > limits.references:
        defects.add("reference_limit")
        references = references[: limits.references]
    author = _addresses(first, "from", header, limits)
    subject = header.decode(first.get("subject", ""))
    found = Classifier(root, reader, first, header, limits).classify(subject, text)

    return ParsedMail(
        headers=headers,
        subject=subject,
        author=author[0] if author else None,
        sender=next(iter(_addresses(first, "sender", header, limits)), None),
        to=_all_addresses(block.fields, texts, "to", header, limits),
        cc=_all_addresses(block.fields, texts, "cc", header, limits),
        reply_to=_addresses(first, "reply-to", header, limits),
        date=parse_date(first.get("date", ""), defects),
        message_id=message_id,
        in_reply_to=in_reply_to[0] if in_reply_to else None,
        references=tuple(references),
        text=text,
        html=html,
        attachments=attachments,
        importance=_importance(first),
        authentication_results=tuple(
            parse_authentication_results(item.value)
            for item in headers
            if item.name.lower() == "authentication-results" and len(item.value) <= limits.header_bytes
        ),
        kind_inputs=found.inputs,
        refers_to=tuple(dict.fromkeys((*found.refers_to, *in_reply_to, *reversed(references)))),
        answered_request_id=found.request_id,
        defects=defects.codes(),
    )


def _note_charset(raw: RawMail, block: HeaderBlock, charset: str | None, header: HeaderText) -> None:
    """Tell the header decoder which charset the body claims; only 8-bit headers need it."""
    if charset and not raw[: block.body].isascii():
        header.charset.append(charset)


def _headers(fields: Sequence[Field], texts: Sequence[str], header: HeaderText, limits: Limits) -> tuple[Header, ...]:
    listed: list[Header] = []
    for item, text in zip(fields, texts, strict=True):
        if len(item.value) > limits.header_bytes:
            header.defects.add("header_too_long")
            listed.append(Header(item.name, text))
        else:
            listed.append(Header(item.name, header.decode(text) if "=?" in text else text))
    return tuple(listed)


def _first_of_each(fields: Sequence[Field], texts: Sequence[str], defects: Defects, limits: Limits) -> dict[str, str]:
    """Return the undecoded text of the first field of each name; one that is too long is not read in detail."""
    first: dict[str, str] = {}
    for item, text in zip(fields, texts, strict=True):
        if item.key not in first:
            first[item.key] = text if len(item.value) <= limits.header_bytes else ""
        elif item.key in _ONCE:
            defects.add("header_duplicate")
    return first


def _addresses(first: Mapping[str, str], key: str, header: HeaderText, limits: Limits) -> tuple[Address, ...]:
    return parse_addresses(first.get(key, ""), header, limits.addresses)


def _all_addresses(
    fields: Sequence[Field], texts: Sequence[str], key: str, header: HeaderText, limits: Limits
) -> tuple[Address, ...]:
    """Return the recipients of all fields of one name: some programs write a field for each."""
    found: list[Address] = []
    for item, text in zip(fields, texts, strict=True):
        if item.key == key and len(item.value) <= limits.header_bytes:
            left = limits.addresses - len(found)
            if left <= 0:
                header.defects.add("address_limit")
                break
            found.extend(parse_addresses(text, header, left))
    return tuple(found)


def _message_id(text: str, defects: Defects) -> str | None:
    match = MESSAGE_ID.search(text)
    if match is not None:
        return match[0]
    if text:
        defects.add("message_id_invalid")
    return text if text and len(text) <= _LONGEST_ID and not any(map(str.isspace, text)) else None


def _importance(first: Mapping[str, str]) -> Importance:
    for key in ("importance", "x-priority", "priority", "x-msmail-priority"):
        words = first.get(key, "").lower().split(maxsplit=1)
        if words and (found := _IMPORTANCE.get(words[0])) is not None:
            return found
    return "normal"
