"""SyncFolderItems and SyncFolderHierarchy."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from bridge.sandbox.ews.syncstate import InvalidSyncStateError, SyncState, read_sync_state
from bridge.sandbox.store import Store, changes, database, folders, items
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.ids import parse_id
from tests.unit.sandbox.ews.conftest import ADDRESS, OTHER, M, T, a_mail

if TYPE_CHECKING:
    from pathlib import Path

    from lxml import etree

    from tests.unit.sandbox.ews.conftest import Ews

_GARBAGE = (
    "AAAA",
    "not base64!",
    "H4sIAAAAA=",
    "\u00e4",
    "H4sI" * 5000,
    b64encode(gzip.compress(b"0" * 10_000_000)).decode(),
)


def sync(
    ews: Ews, state: str = "", *, folder: str = "inbox", most: int = 512, ignore: str = "", user: str = ADDRESS
) -> etree._Element:
    where = f"<t:FolderId Id='{folder}'/>" if len(folder) > 40 else f"<t:DistinguishedFolderId Id='{folder}'/>"
    ignored = f"<m:Ignore><t:ItemId Id='{ignore}'/></m:Ignore>" if ignore else ""
    return ews.call(
        "<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>"
        f"<m:SyncFolderId>{where}</m:SyncFolderId><m:SyncState>{state}</m:SyncState>{ignored}"
        f"<m:MaxChangesReturned>{most}</m:MaxChangesReturned></m:SyncFolderItems>",
        user=user,
    )


def hierarchy(ews: Ews, state: str = "", folder: str = "") -> etree._Element:
    where = f"<m:SyncFolderId><t:DistinguishedFolderId Id='{folder}'/></m:SyncFolderId>" if folder else ""
    return ews.call(
        "<m:SyncFolderHierarchy><m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape>"
        f"{where}<m:SyncState>{state}</m:SyncState></m:SyncFolderHierarchy>"
    )


def state_of(answer: etree._Element) -> str:
    return str(next(answer.iter(M + "SyncState")).text)


def code_of(answer: etree._Element) -> str:
    return str(next(answer.iter(M + "ResponseCode")).text)


def told(answer: etree._Element) -> list[tuple[str, str]]:
    """What happened to which id, in order."""
    listed = next(answer.iter(M + "Changes"))
    return [
        (str(change.tag).rpartition("}")[2], str(next(change.iter(T + "ItemId", T + "FolderId")).get("Id")))
        for change in listed
    ]


def complete(answer: etree._Element) -> bool:
    return next(answer.iter(M + "IncludesLastItemInRange", M + "IncludesLastFolderInRange")).text == "true"


def change(ews: Ews, item_id: str, values: p.Bag) -> None:
    with ews.store.writing() as db:
        mailbox = ews.store.mailbox(ADDRESS)
        items.update(db, items.read(db, mailbox.id, parse_id(item_id).item or 0), values)


def delete(ews: Ews, item_id: str, how: str = "HardDelete") -> None:
    assert ews.codes(
        f"<m:DeleteItem DeleteType='{how}'><m:ItemIds><t:ItemId Id='{item_id}'/></m:ItemIds></m:DeleteItem>"
    ) == ["NoError"]


def test_the_first_state_tells_all_and_the_next_one_only_what_is_new(ews: Ews) -> None:
    one = ews.store.deliver(ADDRESS, a_mail(1)).item_id

    first = sync(ews)
    two = ews.store.deliver(ADDRESS, a_mail(2)).item_id
    second = sync(ews, state_of(first))
    third = sync(ews, state_of(second))

    assert told(first) == [("Create", one)]
    assert told(second) == [("Create", two)]
    assert told(third) == []
    assert complete(first)
    assert complete(second)
    assert complete(third)


def test_an_old_state_tells_the_same_again(ews: Ews) -> None:
    first = state_of(sync(ews))
    one = ews.store.deliver(ADDRESS, a_mail(1)).item_id

    assert told(sync(ews, first)) == [("Create", one)]
    assert told(sync(ews, first)) == [("Create", one)]


def test_changes_read_flags_deletions_and_moves_are_told_apart(ews: Ews) -> None:
    changed, read, gone, moved, both = [ews.store.deliver(ADDRESS, a_mail(number)).item_id for number in range(5)]
    state = state_of(sync(ews))

    change(ews, changed, {p.SUBJECT: "x"})
    change(ews, read, {p.MESSAGE_FLAGS: p.FLAG_READ})
    delete(ews, gone)
    delete(ews, moved, "MoveToDeletedItems")
    change(ews, both, {p.MESSAGE_FLAGS: p.FLAG_READ})
    change(ews, both, {p.SUBJECT: "x"})
    answer = sync(ews, state)

    assert told(answer) == [
        ("Update", changed), ("ReadFlagChange", read), ("Delete", gone), ("Delete", moved), ("Update", both),
    ]  # fmt: skip
    assert [node.text for node in answer.iter(T + "IsRead")] == ["true"]


def test_what_came_and_went_between_two_states_is_not_told(ews: Ews) -> None:
    state = state_of(sync(ews))
    delete(ews, ews.store.deliver(ADDRESS, a_mail(1)).item_id)

    assert told(sync(ews, state)) == []


def test_pages_tell_everything_once_while_the_folder_changes(ews: Ews) -> None:
    ids = [ews.store.deliver(ADDRESS, a_mail(number)).item_id for number in range(10)]
    seen: list[tuple[str, str]] = []

    answer = sync(ews, most=4)
    seen += told(answer)
    assert len(seen) == 4
    assert not complete(answer)
    change(ews, ids[0], {p.SUBJECT: "told before"})
    change(ews, ids[9], {p.SUBJECT: "not told yet"})
    delete(ews, ids[1])
    delete(ews, ids[8])
    late = ews.store.deliver(ADDRESS, a_mail(11)).item_id
    for _ in range(20):
        answer = sync(ews, state_of(answer), most=4)
        seen += told(answer)
        if complete(answer) and not told(answer):
            break

    known: dict[str, str] = {}
    for what, item_id in seen:
        if what == "Delete":
            known.pop(item_id, None)
        else:
            assert (what == "Create") == (item_id not in known), what
            known[item_id] = what
    assert set(known) == {*ids[:1], *ids[2:8], ids[9], late}
    assert known[ids[0]] == "Update"
    assert sum(what == "Create" for what, _ in seen) == 10


def test_a_page_ends_exactly_at_its_limit(ews: Ews) -> None:
    ids = [ews.store.deliver(ADDRESS, a_mail(number)).item_id for number in range(4)]

    first = sync(ews, most=2)
    second = sync(ews, state_of(first), most=2)
    for one in ids:
        change(ews, one, {p.SUBJECT: "x"})
    third = sync(ews, state_of(second), most=2)
    fourth = sync(ews, state_of(third), most=2)

    assert [complete(one) for one in (first, second, third, fourth)] == [False, True, False, True]
    assert told(third) + told(fourth) == [("Update", one) for one in ids]


def test_ignored_items_are_not_told_and_their_change_is_not_told_later(ews: Ews) -> None:
    one = ews.store.deliver(ADDRESS, a_mail(1)).item_id

    answer = sync(ews, ignore=one)

    assert told(answer) == []
    assert told(sync(ews, state_of(answer))) == []


def test_states_survive_a_restart(ews: Ews, store: Store, tmp_path: Path) -> None:
    state = state_of(sync(ews))
    ews.store.deliver(ADDRESS, a_mail(1))
    again = Store(tmp_path / "store.db")

    with again.reading() as db:
        read = read_sync_state(
            state, "items", again.mailbox(ADDRESS).guid.hex, folders.folder(db, again.mailbox(ADDRESS).id, "inbox").id
        )
        assert changes.number_now(db) > read.until
        assert changes.knows_since(db, read.until)
    again.close()


@pytest.mark.parametrize("garbage", _GARBAGE, ids=range(len(_GARBAGE)))
def test_what_is_no_state_is_refused(ews: Ews, garbage: str) -> None:
    answer = sync(ews, garbage)

    assert code_of(answer) == "ErrorInvalidSyncStateData"
    assert [node.tag.rpartition("}")[2] for node in next(answer.iter(M + "SyncFolderItemsResponseMessage"))] == [
        "MessageText", "ResponseCode", "DescriptiveLinkKey", "SyncState", "IncludesLastItemInRange",
    ]  # fmt: skip
    assert code_of(hierarchy(ews, garbage)) == "ErrorInvalidSyncStateData"


def test_states_of_other_folders_mailboxes_and_operations_are_refused(ews: Ews) -> None:
    inbox = state_of(sync(ews))
    others = state_of(sync(ews, user=OTHER))

    assert code_of(sync(ews, inbox, folder="drafts")) == "ErrorInvalidSyncStateData"
    assert code_of(sync(ews, others)) == "ErrorInvalidSyncStateData"
    assert code_of(sync(ews, state_of(hierarchy(ews, folder="inbox")))) == "ErrorInvalidSyncStateData"
    assert code_of(hierarchy(ews, inbox, "inbox")) == "ErrorInvalidSyncStateData"


def test_states_of_the_future_and_damaged_ones_are_refused(ews: Ews) -> None:
    with ews.store.reading() as db:
        mailbox = ews.store.mailbox(ADDRESS)
        inbox = folders.folder(db, mailbox.id, "inbox").id
    later = SyncState("items", mailbox.guid.hex, inbox, 1 << 40, 1 << 40, 1 << 40, 1 << 40)

    assert code_of(sync(ews, later.text())) == "ErrorInvalidSyncStateData"
    for wrong in (
        {"a": 1},
        [1],
        ["items", mailbox.guid.hex, inbox, 1, 2, 3, "4"],
        ["items", mailbox.guid.hex, inbox, -1, 0, 0, 0],
    ):
        text = b64encode(gzip.compress(json.dumps(wrong).encode())).decode()
        with pytest.raises(InvalidSyncStateError):
            read_sync_state(text, "items", mailbox.guid.hex, inbox)


def test_a_state_older_than_the_log_is_refused(ews: Ews) -> None:
    state = state_of(sync(ews))
    for number in range(3):
        ews.store.deliver(ADDRESS, a_mail(number))
    with ews.store.writing() as db:
        db.execute("DELETE FROM changes WHERE seq < (SELECT max(seq) FROM changes)")

    assert code_of(sync(ews, state)) == "ErrorInvalidSyncStateData"
    assert len(told(sync(ews))) == 3


def test_the_log_keeps_its_last_entries_alone(store: Store) -> None:
    with store.writing() as db:
        db.execute(
            "INSERT INTO changes (seq, at, moment, mailbox, of_folder, kind) VALUES (?,0,0,0,0,'x')", (changes.KEPT,)
        )
        held = db.execute("SELECT count(*) FROM changes").fetchone()[0]
        db.execute("INSERT INTO changes (at, moment, mailbox, of_folder, kind) VALUES (0,0,0,0,'x')")

        assert changes.last(db) == changes.KEPT + 1
        assert db.execute("SELECT min(seq), count(*) FROM changes").fetchone() == (2, held)
        assert changes.is_kept(db, 1)
        assert not changes.is_kept(db, 0)


def test_a_folder_that_is_not_there_is_refused(ews: Ews, store: Store) -> None:
    store.add_mailbox("fifth@example.org")
    gone = store.mailbox(ADDRESS).mint.folder_id(999_999)

    assert code_of(sync(ews, folder=gone)) == "ErrorSyncFolderNotFound"


@pytest.mark.parametrize("most", [0, 513, -1])
def test_more_changes_than_exchange_returns_are_a_violation(ews: Ews, most: int) -> None:
    assert ews.codes(
        "<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:SyncFolderId>"
        f"<t:DistinguishedFolderId Id='inbox'/></m:SyncFolderId><m:MaxChangesReturned>{most}</m:MaxChangesReturned>"
        "</m:SyncFolderItems>"
    ) == ["ErrorSchemaValidation"]


def test_the_hierarchy_tells_folders_parents_first(ews: Ews) -> None:
    root = _make(ews, "first", "<t:DistinguishedFolderId Id='root'/>")
    inner = _make(ews, "second", f"<t:FolderId Id='{root}'/>")

    answer = hierarchy(ews)

    assert complete(answer)
    assert {what for what, _ in told(answer)} == {"Create"}
    ids = [folder_id for _, folder_id in told(answer)]
    assert len(ids) == len(ews.store.folders(ADDRESS)) - 1
    assert ids.index(root) < ids.index(inner)
    assert told(hierarchy(ews, state_of(answer))) == []


def _make(ews: Ews, name: str, parent: str = "<t:DistinguishedFolderId Id='inbox'/>") -> str:
    answer = ews.call(
        f"<m:CreateFolder><m:ParentFolderId>{parent}</m:ParentFolderId><m:Folders><t:Folder><t:DisplayName>{name}"
        "</t:DisplayName></t:Folder></m:Folders></m:CreateFolder>"
    )
    return str(next(answer.iter(T + "FolderId")).get("Id"))


def _delete_folder(ews: Ews, folder_id: str, how: str) -> None:
    assert ews.codes(
        f"<m:DeleteFolder DeleteType='{how}'><m:FolderIds><t:FolderId Id='{folder_id}'/></m:FolderIds></m:DeleteFolder>"
    ) == ["NoError"]


def test_folders_made_renamed_and_deleted_are_told(ews: Ews, store: Store) -> None:
    kept, gone = _make(ews, "kept"), _make(ews, "gone")
    inner = _make(ews, "inner", f"<t:FolderId Id='{gone}'/>")
    state = state_of(hierarchy(ews, folder="inbox"))

    new = _make(ews, "new")
    assert ews.codes(
        f"<m:UpdateFolder><m:FolderChanges><t:FolderChange><t:FolderId Id='{kept}'/><t:Updates><t:SetFolderField>"
        "<t:FieldURI FieldURI='folder:DisplayName'/><t:Folder><t:DisplayName>other</t:DisplayName></t:Folder>"
        "</t:SetFolderField></t:Updates></t:FolderChange></m:FolderChanges></m:UpdateFolder>"
    ) == ["NoError"]
    _delete_folder(ews, gone, "HardDelete")
    _delete_folder(ews, _make(ews, "never seen"), "HardDelete")
    store.deliver(ADDRESS, a_mail(1))
    answer = hierarchy(ews, state, "inbox")

    assert told(answer) == [("Create", new), ("Update", kept), ("Delete", inner), ("Delete", gone)]


def test_a_folder_moved_out_of_the_tree_is_gone_and_new_where_it_went(ews: Ews) -> None:
    moved = _make(ews, "moved")
    inner = _make(ews, "inner", f"<t:FolderId Id='{moved}'/>")
    here, there = state_of(hierarchy(ews, folder="inbox")), state_of(hierarchy(ews, folder="deleteditems"))
    all_of_it = state_of(hierarchy(ews))

    _delete_folder(ews, moved, "MoveToDeletedItems")

    assert sorted(told(hierarchy(ews, here, "inbox"))) == sorted([("Delete", moved), ("Delete", inner)])
    assert told(hierarchy(ews, there, "deleteditems")) == [("Create", moved), ("Create", inner)]
    assert told(hierarchy(ews, all_of_it)) == [("Update", moved)]


def test_a_store_of_the_version_before_gets_its_log_when_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(database, "_UPGRADES", {})
        before.setattr(database, "_VERSION", 1)
        old = Store(tmp_path / "old.db")
        old.add_mailbox(ADDRESS)
        old.close()

    new = Store(tmp_path / "old.db")
    new.deliver(ADDRESS, a_mail(1))
    with new.reading() as db:
        assert [one.kind for one in changes.after(db, new.mailbox(ADDRESS).id, 0, 10)] == ["created", "arrived"]
    new.close()
