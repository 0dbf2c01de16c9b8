"""Read receipts: a mail that asks for one is answered when it is marked read, or deleted unread, unless suppressed."""

from __future__ import annotations

from email.utils import format_datetime
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from bridge.sandbox.clock import EXCHANGE
from bridge.sandbox.ews import xml
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.store import folders, items, mime, sends
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.compose import person, with_headers
from bridge.sandbox.store.structure import parse, xml_safe

if TYPE_CHECKING:
    import sqlite3

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store import Mailbox
    from bridge.sandbox.store.items import Item

SETTLED: Final = "receipt suppressed"
"""Set on a mail whose request for a read receipt is answered: by a receipt, or by the wish to send none."""


def is_pending(db: sqlite3.Connection, item: Item) -> bool:
    """Return whether a mail asks for a read receipt that was neither sent nor suppressed; junk gets none."""
    if not item.bag.get(p.READ_RECEIPT_REQUESTED) or item.bag.get(SETTLED):
        return False
    return folders.folder(db, item.mailbox, item.folder).distinguished != "junkemail"


def settle(
    context: Context, db: sqlite3.Connection, mailbox: Mailbox, item: Item, *, deleted: bool, suppress: str | None
) -> None:
    """
    Answer the request for a read receipt of a mail that is about to be read or deleted; nothing where there is none.

    `suppress` is the request's SuppressReadReceipts. A mail that is read already has been answered before.
    """
    if item.bag.get(p.MESSAGE_FLAGS, 0) & (p.FLAG_UNSENT | p.FLAG_READ) or not is_pending(db, item):
        return
    if not xml.truth(suppress):
        _send(context, db, mailbox, item, deleted=deleted)
    item.bag[SETTLED] = True
    items.rewrite(db, item)


def _send(context: Context, db: sqlite3.Connection, mailbox: Mailbox, item: Item, *, deleted: bool) -> None:
    asked = parse(items.mime_of(db, item)).header("Disposition-Notification-To") or ""
    recipients = list(mime.split_addresses(asked))
    if not recipients:
        return
    content = _notification(mailbox, item, recipients, deleted=deleted)
    bag = mime.bag_of(content, EXCHANGE.now()) | {p.MESSAGE_FLAGS: p.FLAG_UNSENT | p.FLAG_READ}
    bag |= {p.DELIVERY_TIME: items.now_micros(), p.LAST_MODIFIER_NAME: mailbox.display_name}
    db.execute("SAVEPOINT receipt")
    try:
        receipt = items.insert(db, mailbox.id, folders.folder(db, mailbox.id, "outbox").id, bag, mime=content)
        context.submit(db, mailbox, receipt, save_to=None)
    except EwsError:
        # A mailbox that may not send, or no more today, reads and deletes all the same.
        db.execute("ROLLBACK TO receipt")
    finally:
        db.execute("RELEASE receipt")


def _notification(mailbox: Mailbox, item: Item, recipients: list[tuple[str, str]], *, deleted: bool) -> bytes:
    """Return the message disposition notification (RFC 8098)."""
    boundary, about = f"{uuid4()}", " ".join(xml_safe(str(item.bag.get(p.INTERNET_MESSAGE_ID) or "")).split())
    subject = " ".join(xml_safe(str(item.bag.get(p.SUBJECT) or "")).split())
    kind = "deleted" if deleted else "displayed"
    text = (
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        f"Your message\r\n\r\n   To: {mailbox.display_name}\r\n   Subject: {subject}\r\n\r\n"
        f"was {'deleted without being read' if deleted else 'read'}.\r\n"
    )
    report = (
        "Content-Type: message/disposition-notification\r\n\r\n"
        f"Final-Recipient: rfc822;{mailbox.address}\r\nOriginal-Message-ID: {about}\r\n"
        f"Disposition: automatic-action/MDN-sent-automatically; {kind}\r\n"
    )
    body = "".join(f"--{boundary}\r\n{part}\r\n" for part in (text, report)) + f"--{boundary}--\r\n"
    head = (
        "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=disposition-notification;\r\n"
        f'\tboundary="{boundary}"\r\n\r\n'
    )
    return with_headers(
        (head + body).encode("utf-8", "replace"),
        [
            ("From", person(mailbox.display_name, mailbox.address)),
            ("To", ", ".join(person(name, address) for name, address in recipients)),
            ("Subject", f"{'Not read' if deleted else 'Read'}: {subject}"),
            ("Date", format_datetime(EXCHANGE.now().replace(microsecond=0))),
            ("Message-ID", sends.new_message_id(mailbox)),
            ("In-Reply-To", about),
            ("References", about),
        ],
    )
