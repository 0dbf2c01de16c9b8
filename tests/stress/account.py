"""The account at the end: the journal against what the sandbox shows, and what its file holds."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.stress import soap
from tests.stress.journal import Journal, Mail, Place, fits, which
from tests.stress.wire import TYPES, Gate, Link, WrongAnswerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lxml import etree

_PAGE = 1000
_GET = 200


@dataclass(slots=True)
class Shown:
    """A mailbox as EWS shows it: every item by Message-ID, and each folder's items with key and read flag."""

    places: dict[str, list[Place]] = field(default_factory=lambda: defaultdict(list))
    folders: dict[str, dict[str, tuple[str, bool]]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """The names of the folders that have no distinguished one."""


def look(link: Link, journal: Journal) -> Shown:
    """Return all of a mailbox; what folders say of their counts is held against what they hold."""
    shown = Shown()
    counts = {}
    for name in (*soap.SHARED, *soap.RECOVERABLE):
        (answer,) = link.call(_get_folder(soap.folder(name)))
        counts[name] = _counts(answer.node)
    distinguished = {folder_id for folder_id, _, _, _ in counts.values()}
    (answer,) = link.call(
        '<m:FindFolder Traversal="Deep"><m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape>'
        f"<m:ParentFolderIds>{soap.folder('msgfolderroot')}</m:ParentFolderIds></m:FindFolder>"
    )
    for node in answer.node.iter(TYPES + "Folder"):
        folder_id, name, total, unread = _counts(node)
        if folder_id not in distinguished:
            counts[folder_id] = folder_id, name, total, unread
            shown.names[folder_id] = name
    for name, (_, _, total, unread) in counts.items():
        held = _items(link, shown, name)
        shown.folders[name] = held
        if (total, unread) != (len(held), sum(not read for _, read in held.values())):
            journal.problem(f"{link.address} {name[-12:]}: counts of {total} and {unread}, holds {len(held)}")
    return shown


def _get_folder(which_one: str) -> str:
    return (
        "<m:GetFolder><m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape>"
        f"<m:FolderIds>{which_one}</m:FolderIds></m:GetFolder>"
    )


def _counts(node: etree._Element) -> tuple[str, str, int, int]:
    (id_node,) = node.iter(TYPES + "FolderId")
    holder = id_node.getparent()
    if holder is None:
        raise WrongAnswerError("a FolderId without a folder")
    return (
        str(id_node.get("Id")),
        holder.findtext(TYPES + "DisplayName") or "",
        int(holder.findtext(TYPES + "TotalCount") or -1),
        int(holder.findtext(TYPES + "UnreadCount") or 0),
    )


def _items(link: Link, shown: Shown, name: str) -> dict[str, tuple[str, bool]]:
    held: dict[str, tuple[str, bool]] = {}
    with_attachments: list[tuple[str, str]] = []
    while True:
        (answer,) = link.call(soap.find([name], offset=len(held), page=_PAGE))
        if not answer.done:
            raise WrongAnswerError(f"FindItem: {answer.code}")
        found = soap.shown_items(answer.node)
        for item in found:
            item_id = soap.attribute(item, "Id")
            held[item_id] = soap.attribute(item, "ChangeKey"), item.findtext(TYPES + "IsRead") == "true"
            if item.findtext(TYPES + "HasAttachments") == "true":
                with_attachments.append((item_id, soap.identity_of(item)))
            else:
                shown.places[soap.identity_of(item)].append(Place(name, item_id, soap.stamp_of(item)))
        if len(found) < _PAGE:
            break
    for start in range(0, len(with_attachments), _GET):
        some = with_attachments[start : start + _GET]
        for (_, identity), answer in zip(some, link.call(soap.get([one for one, _ in some])), strict=True):
            shown.places[identity].append(soap.place_of(soap.shown_items(answer.node)[0], name))
    return held


def settle_accounts(gate: Gate, journal: Journal, mailboxes: Sequence[str], token: str, own: Mapping[str, str]) -> int:
    """
    Hold the journal against what EWS shows; returns how many items there are.

    `own` names the items of each mailbox that the run itself made, by Message-ID.
    """
    shown = {}
    for mailbox in mailboxes:
        link = Link(gate, mailbox, token)
        shown[mailbox] = look(link, journal)
        link.close()
    left = {mailbox: dict(one.places) for mailbox, one in shown.items()}
    for mailbox in mailboxes:
        _pot(journal, mailbox, left[mailbox])
        _tally(journal, mailbox, left[mailbox], own[mailbox])
    _sendings(journal, left, mailboxes)
    _mails(journal, left)
    for mailbox, places in left.items():
        for identity, found in places.items():
            journal.problem(f"{mailbox}: {len(found)} of {identity}, which nobody made")
    _folders(journal, shown)
    _mirrors(journal, shown)
    _watches(journal)
    return sum(len(held) for one in shown.values() for held in one.folders.values())


def _mails(journal: Journal, left: dict[str, dict[str, list[Place]]]) -> None:
    there: dict[int, bool] = {}
    for mail in journal.mails.values():
        found = left[mail.mailbox].pop(mail.message_id, [])
        there[id(mail)] = bool(found)
        world = which(mail, found)
        if world is None:
            journal.problem(f"{mail.mailbox} {mail.message_id}: {_lies(found)}, by the journal {_may_lie(mail)}")
            continue
        for place in world:
            if place.id in mail.retired:
                journal.problem(f"{mail.message_id} has an id again that it had before")
    for group in journal.groups:
        if len({there[id(mail)] for mail in group}) > 1:
            journal.problem(f"{group[0].message_id} arrived at some of its recipients")


def _sendings(journal: Journal, left: dict[str, dict[str, list[Place]]], mailboxes: Sequence[str]) -> None:
    """One mail sent: either it is as it was, or it is with each recipient once and its copy where it was wanted."""
    for sending in journal.sendings:
        found = {mailbox: left[mailbox].pop(sending.message_id, []) for mailbox in mailboxes}
        copy = [Place("sentitems")] if sending.copy else []
        sent = {
            mailbox: [
                *([Place("inbox")] if mailbox in sending.recipients else []),
                *(copy if mailbox == sending.mailbox else []),
            ]
            for mailbox in mailboxes
        }
        unsent: dict[str, list[Place]] = {mailbox: [] for mailbox in mailboxes}
        if sending.draft is not None:
            unsent[sending.mailbox].append(sending.draft)
        ways = [sent] if sending.accepted else [sent, unsent]
        if not any(all(fits(tuple(way[one]), found[one]) is not None for one in mailboxes) for way in ways):
            seen = {mailbox: _lies(places) for mailbox, places in found.items() if places}
            journal.problem(f"{sending.message_id} ({'' if sending.accepted else 'not '}accepted) lies {seen}")


def record_of_sends(journal: Journal, recorded: Sequence[str]) -> None:
    """Hold the sandbox's own record of sends against what was accepted."""
    times = Counter(recorded)
    for sending in journal.sendings:
        found = times.pop(sending.message_id, 0)
        if found > 1 or (sending.accepted and not found):
            journal.problem(f"{sending.message_id} is recorded as sent {found} times")
    for message_id in times:
        journal.problem(f"{message_id} is recorded as sent, and nobody sent it")


def _pot(journal: Journal, mailbox: str, left: dict[str, list[Place]]) -> None:
    for message_id, grabbers in journal.pots.get(mailbox, {}).items():
        found = left.pop(message_id, [])
        owner = journal.takings.get((mailbox, message_id))
        if not found and message_id in journal.doubtful_pots:
            continue
        folders = {place.folder for place in found}
        if len(found) != 1 or (owner is not None and folders != {owner}):
            journal.problem(f"{message_id} of the pot: {_lies(found)}")
        elif owner is None and not folders <= {*grabbers, journal.pot_folders[mailbox]}:
            journal.problem(f"{message_id} of the pot lies where nobody put it")


def _tally(journal: Journal, mailbox: str, left: dict[str, list[Place]], identity: str) -> None:
    found = left.pop(identity, [])
    tally = journal.tallies.get(mailbox)
    answered, unknown = (tally.answered, tally.unknown) if tally else (0, 0)
    if len(found) != 1 or not answered <= found[0].stamp <= answered + unknown:
        journal.problem(
            f"{mailbox}: counted up {answered} times (and {unknown}), stands at {[one.stamp for one in found]}"
        )


def _folders(journal: Journal, shown: Mapping[str, Shown]) -> None:
    for mailbox, one in shown.items():
        expected = {folder_id for folder_id, owner in journal.folders.items() if owner == mailbox}
        for folder_id in expected - one.names.keys():
            journal.problem(f"{mailbox}: a folder is lost: {folder_id[-12:]}")
        for folder_id in one.names.keys() - expected:
            if (mailbox, one.names[folder_id]) not in journal.doubtful_folders and folder_id not in journal.system:
                journal.problem(f"{mailbox}: a folder that nobody made: {one.names[folder_id]}")


def _mirrors(journal: Journal, shown: Mapping[str, Shown]) -> None:
    for mirror in journal.mirrors:
        truth = shown[mirror.mailbox].folders[mirror.folder]
        if mirror.items != truth:
            journal.problem(
                f"the mirror of {mirror.mailbox} {mirror.folder}: {len(truth.keys() - mirror.items.keys())} missing, "
                f"{len(mirror.items.keys() - truth.keys())} too many, "
                f"{sum(mirror.items[one] != truth[one] for one in truth.keys() & mirror.items.keys())} otherwise"
            )


def _watches(journal: Journal) -> None:
    """Whatever was answered before something was asked that was told, must have been told as well, each once."""
    known = {one.item_id: one for one in journal.creations}
    for watch in journal.watches:
        if len(set(watch.told)) != len(watch.told):
            journal.problem(f"{watch.kind} told of an item twice")
        told = set(watch.told)
        last = max((known[one].asked for one in told if one in known), default=0.0)
        missed = [
            one
            for one in journal.creations
            if one.mailbox == watch.mailbox and one.asked > watch.since and one.answered < last
        ]
        missed = [one for one in missed if one.item_id not in told]
        if missed:
            journal.problem(f"{watch.kind} did not tell of {len(missed)} items")


def check_file(path: Path, journal: Journal) -> None:
    """Hold the stopped sandbox's file against its own rules."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        for rule, query in _RULES.items():
            broken = db.execute(query).fetchall()
            if broken and broken != [("ok",)]:
                journal.problem(f"the store: {rule}: {broken[:3]}")
    finally:
        db.close()


_RULES = {
    "SQLite's own check": "PRAGMA integrity_check",
    "a reference leads nowhere": "PRAGMA foreign_key_check",
    "a folder's counts are not those of its items": """
        SELECT f.id, f.total, f.unread FROM folders AS f
        LEFT JOIN (SELECT folder, count(*) AS total, sum(unread) AS unread FROM items GROUP BY folder) AS i
          ON i.folder = f.id
        WHERE f.total <> coalesce(i.total, 0) OR f.unread <> coalesce(i.unread, 0)""",
    "the log of changes has a gap": """
        SELECT count(*), min(seq), max(seq) FROM changes HAVING count(*) <> max(seq) - min(seq) + 1""",
    "an item's last change is not in the log": """
        SELECT i.id FROM items AS i WHERE NOT EXISTS
          (SELECT 1 FROM changes AS c WHERE c.object = i.id AND c.at = i.change AND c.folder = i.folder)
        AND i.change > (SELECT min(at) FROM changes)""",
    "an item was given an id twice": """
        SELECT object, count(*) FROM changes WHERE kind IN ('created', 'copied', 'moved') AND NOT of_folder
        GROUP BY object HAVING count(*) > 1""",
    "an id was given that is above the counter": """
        SELECT max(id) FROM (SELECT id FROM items UNION SELECT id FROM folders UNION SELECT change FROM items)
        HAVING max(id) > (SELECT value FROM counters WHERE name = 'change')""",
    "content that nothing refers to": """
        SELECT id FROM contents WHERE id NOT IN (SELECT content FROM items WHERE content IS NOT NULL)
          AND id NOT IN (SELECT content FROM attachments) AND id NOT IN (SELECT content FROM submissions)""",
    "a mail is still to be sent": "SELECT id FROM submissions",
    "an item cannot be looked up by its Message-ID": """
        SELECT id FROM items WHERE json_extract(props, '$."0x1035001F"') IS NOT NULL AND NOT EXISTS
          (SELECT 1 FROM looked_up AS l WHERE l.item = items.id AND l.key = '0x1035001F'
             AND l.value = json_extract(props, '$."0x1035001F"'))""",
}


def _lies(found: Sequence[Place]) -> list[str]:
    return [
        f"{one.folder[-14:]} {(one.id or '?')[-12:]} stamp {one.stamp} with {len(one.attached)}" for one in found
    ] or ["nowhere"]


def _may_lie(mail: Mail) -> str:
    return " or ".join(str(_lies(world)) for world in mail.worlds)
