"""GetUserOofSettings and SetUserOofSettings. Settings are kept and shown; no mail is answered by them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.clock import EXCHANGE
from bridge.sandbox.ews import xml
from bridge.sandbox.ews.context import Single, single
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.values import read_time
from bridge.sandbox.store import folders, foldertree
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store import Mailbox

KEY: Final = "oof"
"""Where the bag of a mailbox's root folder keeps the settings; no MAPI property has such a name."""
_REPLIES: Final = ("InternalReply", "ExternalReply")


def get_user_oof_settings(context: Context, request: etree._Element) -> str:
    """Answer a mailbox's out-of-office settings."""

    def get() -> str:
        with context.store.reading() as db:
            mailbox = _mailbox(context, db, request)
            return _shown(settings_of(db, mailbox))

    return _answer(context, get)


def set_user_oof_settings(context: Context, request: etree._Element) -> str:
    """Keep a mailbox's out-of-office settings; a scheduled absence must end in the future, after it began."""

    def change() -> str:
        with context.store.writing() as db:
            mailbox = _mailbox(context, db, request)
            given = request.find(xml.T + "UserOofSettings")
            if given is None:
                raise EwsError("ErrorInvalidRequest")
            before = settings_of(db, mailbox)
            root = folders.folder(db, mailbox.id, "root")
            foldertree.keep_quietly(db, root, {**root.bag, KEY: _read(given, before)})
        return ""

    return _answer(context, change)


def settings_of(db: sqlite3.Connection, mailbox: Mailbox) -> dict[str, Any]:
    """Return a mailbox's settings: `state`, `audience`, `start` and `end` (as the bag keeps times), the replies."""
    kept: dict[str, Any] | None = folders.folder(db, mailbox.id, "root").bag.get(KEY)
    if kept is not None:
        return kept
    # What Exchange shows of a mailbox whose owner never set any: disabled, the next day as its time.
    today = EXCHANGE.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "state": "Disabled",
        "audience": "All",
        "start": p.to_micros(today),
        "end": p.to_micros(today + timedelta(days=1)),
        "InternalReply": "",
        "ExternalReply": "",
    }


def is_away(settings: dict[str, Any]) -> bool:
    """Return whether the owner is away now."""
    now = p.to_micros(EXCHANGE.now())
    scheduled = settings["state"] == "Scheduled" and settings["start"] <= now < settings["end"]
    return bool(settings["state"] == "Enabled" or scheduled)


def _read(given: etree._Element, before: dict[str, Any]) -> dict[str, Any]:
    state = given.findtext(xml.T + "OofState") or "Disabled"
    duration = given.find(xml.T + "Duration")
    start, end = before["start"], before["end"]
    if duration is not None:
        try:
            start = read_time(duration.findtext(xml.T + "StartTime") or "")
            end = read_time(duration.findtext(xml.T + "EndTime") or "")
        except (ValueError, OverflowError) as error:
            raise EwsError("ErrorInvalidScheduledOofDuration") from error
    if state == "Scheduled" and (duration is None or start >= end or end <= p.to_micros(EXCHANGE.now())):
        raise EwsError("ErrorInvalidScheduledOofDuration")
    replies = {name: given.findtext(f"{xml.T}{name}/{xml.T}Message") for name in _REPLIES}
    return {
        "state": state,
        "audience": given.findtext(xml.T + "ExternalAudience") or "None",
        "start": start,
        "end": end,
        **{name: before[name] if text is None else text for name, text in replies.items()},
    }


def _shown(settings: dict[str, Any]) -> str:
    replies = "".join(f"<t:{name}>{xml.element('Message', settings[name])}</t:{name}>" for name in _REPLIES)
    return (
        f"<t:OofSettings><t:OofState>{settings['state']}</t:OofState>"
        f"<t:ExternalAudience>{settings['audience']}</t:ExternalAudience>{duration_xml(settings)}{replies}</t:OofSettings>"
        "<m:AllowExternalOof>All</m:AllowExternalOof>"
    )


def duration_xml(settings: dict[str, Any]) -> str:
    """Return the t:Duration of an absence."""
    start, end = xml.moment(settings["start"]), xml.moment(settings["end"])
    return f"<t:Duration><t:StartTime>{start}</t:StartTime><t:EndTime>{end}</t:EndTime></t:Duration>"


def _mailbox(context: Context, db: sqlite3.Connection, request: etree._Element) -> Mailbox:
    address = (request.findtext(f"{xml.T}Mailbox/{xml.T}Address") or "").strip()
    own = context.own_mailbox()
    if address.lower().removeprefix("smtp:") == own.address.lower():
        return own
    if folders.mailbox_by(db, "address", address) is None:
        raise EwsError("ErrorMailRecipientNotFound")
    raise EwsError("ErrorAccessDenied")


def _answer(context: Context, do: Callable[[], str]) -> str:
    # Beside the message, not in it: the schema of these two puts it so.
    shown: list[str] = []

    def keep() -> str:
        shown.append(do())
        return ""

    message: Single = single(context, keep)
    return (
        f'<m:ResponseMessage ResponseClass="{message.response_class}">{message.content}</m:ResponseMessage>'
        + "".join(shown)
    )
