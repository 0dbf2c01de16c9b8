"""What answers a mail: ReplyToItem, ReplyAllToItem, ForwardItem and SuppressReadReceipt in CreateItem."""

from __future__ import annotations

from base64 import b64decode, b64encode
from html import escape
from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.operations import receipts
from bridge.sandbox.ews.operations.changes import Changes, read_element
from bridge.sandbox.ews.view import View
from bridge.sandbox.store import items
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    import sqlite3

    from lxml import etree

    from bridge.sandbox.ews.context import Context

_PREFIXES: Final = {"ReplyToItem": "RE: ", "ReplyAllToItem": "RE: ", "ForwardItem": "FW: "}
# PidTagLastVerbExecuted and PidTagIconIndex (MS-OXOMSG 2.2.1.11, 2.2.1.10).
_VERBS: Final = {"ReplyToItem": 102, "ReplyAllToItem": 103, "ForwardItem": 104}
_ICONS: Final = {"ReplyToItem": 261, "ReplyAllToItem": 261, "ForwardItem": 262}
TAGS: Final = frozenset(xml.T + name for name in (*_PREFIXES, "SuppressReadReceipt"))


def read_response(context: Context, db: sqlite3.Connection, node: etree._Element) -> Changes:
    """
    Return the mail that a response object makes of the one it refers to, which is marked as answered.

    Raises:
        EwsError: The mail is not there, or is a draft, which nobody can answer.
    """
    name = str(node.tag).rpartition("}")[2]
    view = _referred(context, db, node)
    given = Changes()
    words: etree._Element | None = None
    for element in node:
        if not isinstance(element.tag, str) or element.tag == xml.T + "ReferenceItemId":
            continue
        kind = element.tag.rpartition("}")[2]
        if kind == "NewBodyContent":
            words = element
        elif kind != "IsSpecificMessageReply":
            read_element(element, given)
    made = _made_of(view, name)
    if words is not None:
        _quote(view, made, words.text or "", html=words.get("BodyType") == "HTML")
    made.bag = {key: value for key, value in made.bag.items() if key not in given.removals} | given.bag
    items.update(db, view.item, {p.LAST_VERB: _VERBS[name], p.LAST_VERB_TIME: items.now_micros(), p.ICON: _ICONS[name]})
    return made


def suppress_read_receipt(context: Context, db: sqlite3.Connection, node: etree._Element) -> None:
    """
    Take the request for a read receipt as answered: none will be sent.

    Raises:
        EwsError: ErrorReadReceiptNotPending, it asks for none, or is junk.
    """
    view = _referred(context, db, node)
    if not receipts.is_pending(db, view.item):
        raise EwsError("ErrorReadReceiptNotPending")
    view.item.bag[receipts.SETTLED] = True
    items.rewrite(db, view.item)


def _referred(context: Context, db: sqlite3.Connection, node: etree._Element) -> View:
    reference = node.find(xml.T + "ReferenceItemId")
    if reference is None:
        raise EwsError("ErrorInvalidIdEmpty")
    mailbox, item = context.item_referred(db, reference)
    if item.bag.get(p.MESSAGE_FLAGS, 0) & p.FLAG_UNSENT:
        raise EwsError("ErrorInvalidOperation", "A draft cannot be answered or forwarded.")
    return View(db, mailbox, item)


def _made_of(view: View, name: str) -> Changes:
    bag = view.item.bag
    topic = str(bag.get(p.CONVERSATION_TOPIC, ""))
    changes = Changes()
    changes.bag[p.SUBJECT] = _PREFIXES[name] + topic
    message_id = bag.get(p.INTERNET_MESSAGE_ID)
    if message_id and name != "ForwardItem":
        changes.bag[p.IN_REPLY_TO] = message_id
    if message_id:
        changes.bag[p.INTERNET_REFERENCES] = f"{bag.get(p.INTERNET_REFERENCES) or ''} {message_id}".strip()
    index = bag.get(p.CONVERSATION_INDEX)
    if index:
        # A reply's index is its parent's with five bytes of time more (MS-OXOMSG 2.2.1.3).
        seconds = (items.now_micros() // 1_000_000).to_bytes(8, "big")[-5:]
        changes.bag[p.CONVERSATION_INDEX] = b64encode(b64decode(index) + seconds).decode()
    if name == "ForwardItem":
        changes.attachments.extend(view.attachments().values())
        return changes
    author = [[bag.get(p.SENT_REPRESENTING_NAME, ""), bag.get(p.SENT_REPRESENTING_ADDRESS, "")]]
    answered = [list(one) for one in bag.get(p.REPLY_TO) or () if one[1]] or [one for one in author if one[1]]
    changes.bag[p.RECIPIENTS_TO] = answered
    if name == "ReplyAllToItem":
        known = {one[1].lower() for one in answered} | {view.mailbox.address.lower()}
        for key, into in ((p.RECIPIENTS_TO, answered), (p.RECIPIENTS_CC, changes.bag.setdefault(p.RECIPIENTS_CC, []))):
            for display, address in bag.get(key, ()):
                if address and address.lower() not in known:
                    known.add(address.lower())
                    into.append([display, address])
    return changes


def _quote(view: View, made: Changes, text: str, *, html: bool) -> None:
    """Put new words above the original, which keeps its form where the new words have it too."""
    heading = _heading(view)
    if html:
        _, original = view.body("HTML")
        lines = "<br>".join(f"<b>{escape(name)}:</b> {escape(value)}" for name, value in heading)
        made.bag[p.BODY_HTML] = f"{text}<hr><div>{lines}</div><br>{original}"
        return
    _, original = view.body("Text")
    lines = "\r\n".join(f"{name}: {value}" for name, value in heading)
    made.bag[p.BODY_TEXT] = f"{text}\r\n\r\n________________________________\r\n{lines}\r\n\r\n{original}"


def _heading(view: View) -> list[tuple[str, str]]:
    bag = view.item.bag
    sent = p.from_micros(int(bag.get(p.CLIENT_SUBMIT_TIME, 0)))
    shown = [
        ("From", str(bag.get(p.SENT_REPRESENTING_NAME, ""))),
        ("Sent", f"{sent:%A, %B %d, %Y %H:%M}"),
        ("To", str(bag.get(p.DISPLAY_TO, ""))),
        ("Cc", str(bag.get(p.DISPLAY_CC, ""))),
        ("Subject", str(bag.get(p.SUBJECT, ""))),
    ]
    return [(name, value) for name, value in shown if value]
