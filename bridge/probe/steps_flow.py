"""Guesses about mails on their way: each step sends to the mailbox itself, and to nobody else."""

from __future__ import annotations

import base64
import re
import time
from typing import TYPE_CHECKING, Final

from bridge.adapters.ews.soap import T, element
from bridge.adapters.ews.stamps import REQUEST_ID, properties_of, uri, written
from bridge.probe import requests_ews as ews
from bridge.probe.guesses import Needs, Seen, step

if TYPE_CHECKING:
    from lxml import etree

    from bridge.probe.context import ProbeContext

_MOMENTS_SECONDS: Final = 10.0
_SET_BY_THE_SERVER: Final = re.compile(rb"(?im)^(?:Received|Date):.*\r\n(?:[ \t].*\r\n)*")


def _yes(value: bool) -> str:  # noqa: FBT001 - a word for it
    return "yes" if value else "no"


def _mime(item: etree._Element) -> bytes:
    return base64.b64decode(item.findtext(f"{T}MimeContent") or "")


@step(13, "a mail sent over EWS arrives as it was submitted, but for Received and Date", needs=Needs.WRITE)
def bytes_that_arrive(probe: ProbeContext) -> Seen:
    subject = probe.ground.next_name()
    mime = probe.ground.mail(subject)
    arrived = _mime(probe.ground.item(probe.ground.send_and_receive(subject, mime).id, mime=True))
    (before, _, sent), (after, _, came) = mime.partition(b"\r\n\r\n"), arrived.partition(b"\r\n\r\n")
    header = _SET_BY_THE_SERVER.sub(b"", after + b"\r\n") == _SET_BY_THE_SERVER.sub(b"", before + b"\r\n")
    more = after.count(b"\r\n") - before.count(b"\r\n")
    return Seen(
        header and sent == came,
        f"the header's other bytes: {_yes(header)}; the body's: {_yes(sent == came)}; header lines: {more:+d}",
    )


@step(16, "a mail is delivered within moments of its acceptance", needs=Needs.WRITE)
def seconds_to_arrive(probe: ProbeContext) -> Seen:
    subject = probe.ground.next_name()
    arrived = probe.ground.send_and_receive(subject, probe.ground.mail(subject))
    return Seen(arrived.seconds < _MOMENTS_SECONDS, f"{arrived.seconds:.1f} s after the answer to SendItem")


@step(21, "a second SendItem is ErrorItemNotFound, one of a mail that is no draft ErrorAccessDenied", needs=Needs.WRITE)
def sent_twice(probe: ProbeContext) -> Seen:
    subject = probe.ground.next_name()
    draft = probe.ground.draft(probe.ground.mail(subject))
    since = probe.ground.send(draft, subject)
    again = probe.code(ews.send(draft))
    arrived = probe.ground.arrived(subject, since=since)
    received = probe.code(ews.send(arrived.id))
    if "NoError" in {again, received}:
        # It was sent after all, once or twice more.
        probe.ground.will_arrive(subject, copies=1 + [again, received].count("NoError"))
    same = again == "ErrorItemNotFound" and received == "ErrorAccessDenied"
    return Seen(same, f"the second: {again}; of a received mail: {received}")


@step(24, "the copy in Sent Items is not marked as submitted and has its named properties", needs=Needs.WRITE)
def sent_copy(probe: ProbeContext) -> Seen:
    subject = probe.ground.next_name()
    probe.ground.send_and_receive(subject, probe.ground.mail(subject), *written({REQUEST_ID: probe.ground.run}))
    shown = probe.ground.item(probe.ground.sent_copy(subject), uri(REQUEST_ID), ews.field("item:IsSubmitted"))
    kept = properties_of(shown).get(REQUEST_ID) == probe.ground.run
    submitted = shown.findtext(f"{T}IsSubmitted") == "true"
    same = kept and not submitted
    return Seen(same, f"named property kept: {_yes(kept)}; marked as submitted: {_yes(submitted)}")


@step(26, "PidTagSearchKey and PidTagMessageDeliveryTime stay when a mail is moved", needs=Needs.WRITE)
def moved_identity(probe: ProbeContext) -> Seen:
    def shown(found: ews.ItemId) -> tuple[str | None, str | None]:
        key, moment = ews.tag(ews.SEARCH_KEY, "Binary"), ews.tag(ews.DELIVERY_TIME, "SystemTime")
        item = probe.ground.item(found, key, moment)
        return ews.value_of(item, ews.SEARCH_KEY), ews.value_of(item, ews.DELIVERY_TIME)

    subject = probe.ground.next_name()
    arrived = probe.ground.send_and_receive(subject, probe.ground.mail(subject))
    before = shown(arrived.id)
    moved = ews.id_of(probe.ok(ews.move(arrived.id, probe.ground.folder())).first("ItemId"))
    after = shown(moved)
    key, moment = (there is not None and there == then for there, then in zip(before, after, strict=True))
    return Seen(key and moment, f"the search key stays: {_yes(key)}; the delivery time: {_yes(moment)}")


@step(27, "the change key of CreateItem sends the draft when nobody touched it, and not after an UpdateItem",
      needs=Needs.WRITE)  # fmt: skip
def fence(probe: ProbeContext) -> Seen:
    touched, subject = probe.ground.next_name(), probe.ground.next_name()
    stale = probe.ground.draft(probe.ground.mail(touched))
    probe.ok(ews.update(stale, uri(REQUEST_ID), written({REQUEST_ID: probe.ground.run})[0]))
    refused = probe.code(ews.send(stale))
    if refused == "NoError":
        probe.ground.will_arrive(touched)
    probe.ground.send_and_receive(subject, probe.ground.mail(subject))
    return Seen(refused != "NoError", f"untouched: NoError; after an UpdateItem: {refused}")


@step(29, "Bcc and requests for receipts are taken from the MIME of the draft", needs=Needs.WRITE)
def bcc(probe: ProbeContext) -> Seen:
    subject = probe.ground.next_name()
    address = probe.wire.target.address
    asking = probe.ground.draft(probe.ground.mail(probe.ground.next_name(), Disposition_Notification_To=address))
    shown = probe.ground.item(asking, ews.field("message:IsReadReceiptRequested"))
    receipt = shown.findtext(f"{T}IsReadReceiptRequested") == "true"
    arrived = probe.ground.send_and_receive(subject, probe.ground.mail(subject, to=False, Bcc=address))
    hidden = (
        b"\r\nbcc:" not in b"\r\n" + _mime(probe.ground.item(arrived.id, mime=True)).partition(b"\r\n\r\n")[0].lower()
    )
    return Seen(receipt and hidden, f"Bcc arrives, hidden: {_yes(hidden)}; a receipt is asked for: {_yes(receipt)}")


@step(30, "the Message-ID of the draft's MIME survives the send", needs=Needs.WRITE)
def message_id(probe: ProbeContext) -> Seen:
    subject = probe.ground.next_name()
    mime = probe.ground.mail(subject)
    arrived = probe.ground.send_and_receive(subject, mime)
    given = next(line for line in mime.decode().split("\r\n") if line.startswith("Message-ID: "))[12:]
    wanted = ews.field("message:InternetMessageId")
    kept = [
        probe.ground.item(found, wanted).findtext(f"{T}InternetMessageId") == given
        for found in (arrived.id, probe.ground.sent_copy(subject))
    ]
    return Seen(all(kept), f"at the recipient: {_yes(kept[0])}; in Sent Items: {_yes(kept[1])}")


@step(44, "the copy in Sent Items comes with the draft's search key and its named properties", needs=Needs.WRITE)
def late_copy(probe: ProbeContext) -> Seen:
    subject = probe.ground.next_name()
    draft = probe.ground.draft(probe.ground.mail(subject), *written({REQUEST_ID: probe.ground.run}))
    key = ews.tag(ews.SEARCH_KEY, "Binary")
    before = ews.value_of(probe.ground.item(draft, key), ews.SEARCH_KEY)
    since = probe.ground.send(draft, subject)
    copied = probe.ground.sent_copy(subject)
    seconds = time.monotonic() - since
    shown = probe.ground.item(copied, key, uri(REQUEST_ID))
    same_key = before is not None and ews.value_of(shown, ews.SEARCH_KEY) == before
    kept = properties_of(shown).get(REQUEST_ID) == probe.ground.run
    probe.ground.arrived(subject, since=since)
    words = f"after {seconds:.1f} s; its search key is the draft's: {_yes(same_key)}; named property: {_yes(kept)}"
    return Seen(same_key and kept, words)


@step(68, "a reply quotes From, Sent, To and Subject; a draft cannot be answered: ErrorInvalidOperation",
      needs=Needs.WRITE)  # fmt: skip
def reply(probe: ProbeContext) -> Seen:
    subject = probe.ground.next_name()
    arrived = probe.ground.send_and_receive(subject, probe.ground.mail(subject))
    answered = probe.ok(ews.create(probe.ground.folder(), _reply(probe, arrived.id))).first("ItemId")
    body = probe.ground.item(ews.id_of(answered), ews.field("item:Body")).findtext(f"{T}Body") or ""
    quoted = [name for name in ("From:", "Sent:", "To:", "Subject:") if name in body]
    draft = probe.ground.draft(probe.ground.mail(probe.ground.next_name()))
    refused = probe.code(ews.create(probe.ground.folder(), _reply(probe, draft)))
    same = len(quoted) == 4 and refused == "ErrorInvalidOperation"
    return Seen(same, f"of the four lines {len(quoted)} are there; a draft: {refused}")


def _reply(probe: ProbeContext, original: ews.ItemId) -> etree._Element:
    shown = probe.ground.item(original, ews.field("item:Subject")).find(f"{T}ItemId")
    current = ews.id_of(shown) if shown is not None else original
    return element(
        "t:ReplyToItem",
        element("t:ReferenceItemId", Id=current[0], ChangeKey=current[1]),
        element("t:NewBodyContent", text="An answer that is not sent.", BodyType="Text"),
    )
