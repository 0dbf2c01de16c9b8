"""
What inbox rules do with a mail that arrives: where it goes, what is set on it, where copies of it go.

Rules are kept in the words of EWS. All conditions of a rule must hold, and none of its exceptions; of the texts or
addresses of one condition any will do. What is asked of a mail that this store cannot tell does not hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from lxml import etree

from bridge.sandbox.store import folders, mime
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.errors import FolderNotFoundError
from bridge.sandbox.store.ids import MalformedIdError, parse_id
from bridge.sandbox.store.structure import header_block, parse

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping

    from bridge.sandbox.store.folders import Mailbox

    Element = etree._Element  # noqa: SLF001 - the only name that it has

KEY: Final = "rules"
"""Where the root folder of a mailbox keeps them: a list of dictionaries, in the order in which they are applied."""
_T: Final = "{http://schemas.microsoft.com/exchange/services/2006/types}"
_LEVELS: Final = {"low": 0, "normal": 1, "high": 2}
_SENSITIVITIES: Final = {"normal": 0, "personal": 1, "private": 2, "confidential": 3}
_PURGED: Final = "recoverableitemspurges"


@dataclass(slots=True)
class Fate:
    """What becomes of a mail."""

    folder: int
    copies: list[int] = field(default_factory=list)


@dataclass
class _Arriving:
    """A mail that arrives, as conditions look at it."""

    mailbox: Mailbox
    bag: p.Bag
    content: bytes

    @cached_property
    def body(self) -> str:
        text, html = mime.bodies(self.content)
        return f"{text or ''}\n{mime.text_from_html(html) if html else ''}".casefold()

    @cached_property
    def headers(self) -> str:
        return header_block(self.content).decode("utf-8", "replace").casefold()

    @cached_property
    def to(self) -> list[str]:
        return _addresses(self.bag.get(p.RECIPIENTS_TO))

    @cached_property
    def cc(self) -> list[str]:
        return _addresses(self.bag.get(p.RECIPIENTS_CC))

    @property
    def me(self) -> str:
        return self.mailbox.address.casefold()

    @property
    def kind(self) -> str:
        return str(self.bag.get(p.MESSAGE_CLASS, "")).casefold()

    @property
    def subject(self) -> str:
        return str(self.bag.get(p.SUBJECT, "")).casefold()

    @property
    def sender(self) -> str:
        return str(self.bag.get(p.SENT_REPRESENTING_ADDRESS, "")).casefold()

    def header(self, name: str) -> str:
        return (parse(self.content).header(name) or "").strip().casefold()


def apply(db: sqlite3.Connection, mailbox: Mailbox, bag: p.Bag, content: bytes) -> Fate:
    """Return what becomes of a mail that arrives in a mailbox; what rules set on it is in the bag then."""
    fate = Fate(folders.folder(db, mailbox.id, "inbox").id)
    rules: list[dict[str, Any]] = folders.folder(db, mailbox.id, "root").bag.get(KEY, [])
    mail = _Arriving(mailbox, bag, content)
    places: list[int] = []
    for rule in rules:
        if not rule["enabled"] or not _applies(rule, mail):
            continue
        actions = etree.fromstring(str(rule["Actions"]))
        _set(bag, actions)
        _place(db, mailbox, actions, places, fate.copies)
        if _is_true(actions, "StopProcessingRules"):
            break
    if places:
        fate.folder = places[0]
    return fate


def _applies(rule: Mapping[str, Any], mail: _Arriving) -> bool:
    held = [_holds(one, mail) for one in _parts(rule, "Conditions")]
    return all(one is not False for one in held) and not any(_holds(one, mail) for one in _parts(rule, "Exceptions"))


def _parts(rule: Mapping[str, Any], name: str) -> Iterable[Element]:
    return etree.fromstring(str(rule[name])) if name in rule else ()


def _holds(condition: Element, mail: _Arriving) -> bool | None:
    """Return whether a condition holds; None for one that asks for nothing."""
    name = str(condition.tag).removeprefix(_T)
    if name in _FLAGS:
        return _FLAGS[name](mail) if _truth(condition.text) else None
    if name in _TEXTS:
        return any(one in place for one in _strings(condition) for place in _TEXTS[name](mail))
    if name in _OTHERS:
        return _OTHERS[name](mail, condition)
    return False


def _is_between(condition: Element, least: str, most: str, value: float, read: Callable[[str], float]) -> bool:
    low, high = condition.findtext(_T + least), condition.findtext(_T + most)
    try:
        return (not low or value >= read(low)) and (not high or value <= read(high))
    except ValueError:  # in no calendar: no mail is kept back for it
        return False


def _set(bag: p.Bag, actions: Element) -> None:
    categories = [one.text or "" for one in actions.iterfind(f"{_T}AssignCategories/{_T}String")]
    if categories:
        known = list(bag.get(p.KEYWORDS) or ())
        bag[p.KEYWORDS] = known + [one for one in categories if one not in known]
    importance = (actions.findtext(_T + "MarkImportance") or "").casefold()
    if importance in _LEVELS:
        bag[p.IMPORTANCE] = _LEVELS[importance]
    if _is_true(actions, "MarkAsRead"):
        bag[p.MESSAGE_FLAGS] = bag.get(p.MESSAGE_FLAGS, 0) | p.FLAG_READ


def _place(db: sqlite3.Connection, mailbox: Mailbox, actions: Element, places: list[int], copies: list[int]) -> None:
    """Note where a rule has the mail go: the first that says so has its way, unless one does away with it."""
    if _is_true(actions, "PermanentDelete"):
        places.insert(0, folders.folder(db, mailbox.id, _PURGED).id)
    elif _is_true(actions, "Delete"):
        places.append(folders.folder(db, mailbox.id, "deleteditems").id)
    for name, into in (("MoveToFolder", places), ("CopyToFolder", copies)):
        for named in actions.iterfind(f"{_T}{name}/*"):
            found = _folder(db, mailbox, named)
            if found is not None:
                into.append(found)


def _folder(db: sqlite3.Connection, mailbox: Mailbox, named: Element) -> int | None:
    """Return the folder that an action names, None for one that is no longer there."""
    name = str(named.get("Id"))
    try:
        if named.tag == _T + "DistinguishedFolderId":
            return folders.folder(db, mailbox.id, name).id
        entry = parse_id(name)
        return folders.folder(db, mailbox.id, entry.folder).id if entry.mailbox == mailbox.guid else None
    except (FolderNotFoundError, MalformedIdError):
        return None


def _addresses(people: Iterable[tuple[str, str]] | None) -> list[str]:
    return [str(address).casefold() for _, address in people or ()]


def _strings(condition: Element) -> list[str]:
    return [one.text.casefold() for one in condition.iter(_T + "String") if one.text]


def _named(condition: Element) -> list[str]:
    return [one.text.casefold() for one in condition.iter(_T + "EmailAddress") if one.text]


def _is_true(actions: Element, name: str) -> bool:
    return _truth(actions.findtext(_T + name))


def _truth(text: str | None) -> bool:
    return (text or "").strip() in {"true", "1"}


def _within(mail: _Arriving, condition: Element) -> bool:
    received = int(mail.bag.get(p.DELIVERY_TIME, 0))
    return _is_between(condition, "StartDateTime", "EndDateTime", received, _micros)


def _micros(text: str) -> float:
    moment = datetime.fromisoformat(text.strip())
    return p.to_micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


_TEXTS: Final[Mapping[str, Callable[[_Arriving], list[str]]]] = {
    "ContainsBodyStrings": lambda mail: [mail.body],
    "ContainsHeaderStrings": lambda mail: [mail.headers],
    "ContainsRecipientStrings": lambda mail: mail.to + mail.cc,
    "ContainsSenderStrings": lambda mail: [mail.sender],
    "ContainsSubjectOrBodyStrings": lambda mail: [mail.subject, mail.body],
    "ContainsSubjectStrings": lambda mail: [mail.subject],
    "Categories": lambda mail: [str(one).casefold() for one in mail.bag.get(p.KEYWORDS) or ()],
}
_FLAGS: Final[Mapping[str, Callable[[_Arriving], bool]]] = {
    "HasAttachments": lambda mail: bool(mail.bag.get(p.HAS_ATTACHMENTS)),
    "IsApprovalRequest": lambda mail: mail.kind.startswith("ipm.note.microsoft.approval.request"),
    "IsAutomaticForward": lambda mail: mail.header("Auto-Submitted") == "auto-forwarded",
    "IsAutomaticReply": lambda mail: (
        mail.kind.startswith("ipm.note.rules.") or mail.header("Auto-Submitted") == "auto-replied"
    ),
    "IsEncrypted": lambda mail: mail.kind == "ipm.note.smime",
    "IsMeetingRequest": lambda mail: mail.kind.startswith("ipm.schedule.meeting.request"),
    "IsMeetingResponse": lambda mail: mail.kind.startswith("ipm.schedule.meeting.resp"),
    "IsNDR": lambda mail: mail.kind.startswith("report.") and mail.kind.endswith(".ndr"),
    "IsPermissionControlled": lambda mail: "rpmsg" in mail.header("Content-Class"),
    "IsReadReceipt": lambda mail: mail.kind.startswith("report.") and mail.kind.endswith(".ipnrn"),
    "IsSigned": lambda mail: mail.kind == "ipm.note.smime.multipartsigned",
    "IsVoicemail": lambda mail: mail.kind.startswith("ipm.note.microsoft.voicemail"),
    "NotSentToMe": lambda mail: mail.me not in mail.to,
    "SentCcMe": lambda mail: mail.me in mail.cc,
    "SentOnlyToMe": lambda mail: mail.to == [mail.me] and not mail.cc,
    "SentToMe": lambda mail: mail.me in mail.to,
    "SentToOrCcMe": lambda mail: mail.me in mail.to + mail.cc,
}
_OTHERS: Final[Mapping[str, Callable[[_Arriving, Element], bool]]] = {
    "FromAddresses": lambda mail, condition: mail.sender in _named(condition),
    "SentToAddresses": lambda mail, condition: any(one in mail.to + mail.cc for one in _named(condition)),
    "Importance": lambda mail, condition: (
        mail.bag.get(p.IMPORTANCE, 1) == _LEVELS.get((condition.text or "").casefold())
    ),
    "Sensitivity": lambda mail, condition: (
        mail.bag.get(p.SENSITIVITY, 0) == _SENSITIVITIES.get((condition.text or "").casefold())
    ),
    "ItemClasses": lambda mail, condition: any(mail.kind.startswith(one) for one in _strings(condition)),
    "WithinDateRange": _within,
    "WithinSizeRange": lambda mail, condition: _is_between(
        condition, "MinimumSize", "MaximumSize", len(mail.content) / 1024, float
    ),
}
