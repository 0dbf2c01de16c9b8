"""FindConversation, GetConversationItems, ApplyConversationAction, and what the store counts for them."""

# ruff: noqa: E501 - requests stand here as they go over the wire
from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from bridge.sandbox.store import Store, arrivals, database, folders, items
from bridge.sandbox.store import properties as p
from tests.unit.sandbox.ews.conftest import ADDRESS, OTHER, M, T, a_mail, item_ids, texts

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

    from lxml import etree

    from tests.unit.sandbox.ews.conftest import Ews

_INBOX = "<t:DistinguishedFolderId Id='inbox'/>"
_MORNING = datetime(2026, 11, 24, 8, tzinfo=UTC)


def find(*, attributes: str = "", view: str = "", order: str = "", folder: str = _INBOX, rest: str = "") -> str:
    return f"<m:FindConversation{attributes}>{view}{order}<m:ParentFolderId>{folder}</m:ParentFolderId>{rest}</m:FindConversation>"


def topics(answer: etree._Element) -> list[str]:
    assert [node.text for node in answer.iter(M + "ResponseCode")] == ["NoError"]
    return texts(answer, "ConversationTopic")


def conversation_ids(ews: Ews, folder: str = _INBOX) -> list[str]:
    return [str(node.get("Id")) for node in ews.call(find(folder=folder)).iter(T + "ConversationId")]


def get(identifier: str, *, state: str = "", rest: str = "", ignored: str = "") -> str:
    known = f"<t:SyncState>{state}</t:SyncState>" if state else ""
    return (
        "<m:GetConversationItems><m:ItemShape><t:BaseShape>Default</t:BaseShape></m:ItemShape>"
        f'{ignored}{rest}<m:Conversations><t:Conversation><t:ConversationId Id="{identifier}"/>{known}</t:Conversation></m:Conversations>'
        "</m:GetConversationItems>"
    )


def act(identifier: str, action: str, rest: str = "", *, where: str = "", until: str = "") -> str:
    context = f"<t:ContextFolderId>{where}</t:ContextFolderId>" if where else ""
    synced = f"<t:ConversationLastSyncTime>{until}</t:ConversationLastSyncTime>" if until else ""
    return (
        f'<m:ApplyConversationAction><m:ConversationActions><t:ConversationAction><t:Action>{action}</t:Action><t:ConversationId Id="{identifier}"/>'
        f"{context}{synced}{rest}</t:ConversationAction></m:ConversationActions></m:ApplyConversationAction>"
    )


def answering(number: int, answered: int | None, subject: str = "Coal") -> bytes:
    head = f"In-Reply-To: <{answered}@example.net>\r\n" if answered is not None else ""
    return head.encode() + a_mail(number, subject=subject)


@pytest.fixture
def thread(ews: Ews) -> Ews:
    """0 is answered by 1 and 2, 1 by 3, which is in Archive; and a mail of another topic."""
    for number, (answered, folder) in enumerate(((None, "inbox"), (0, "inbox"), (0, "inbox"), (1, "archive"))):
        mime = answering(number, answered, "Coal" if answered is None else "RE: coal")
        ews.store.deliver(ADDRESS, mime, received_at=_MORNING + timedelta(hours=number), folder=folder)
    ews.store.deliver(ADDRESS, a_mail(9, subject="Steel"), received_at=_MORNING)
    return ews


def test_a_conversation_tells_of_its_folder_and_of_the_mailbox(thread: Ews) -> None:
    answer = thread.call(find())

    assert topics(answer) == ["coal", "Steel"]
    assert texts(answer, "MessageCount") == ["3", "1"]
    assert texts(answer, "GlobalMessageCount") == ["4", "1"]
    assert texts(answer, "GlobalUnreadCount") == ["4", "1"]
    assert texts(answer, "LastDeliveryTime")[0] == "2026-11-24T10:00:00Z"
    assert texts(answer, "GlobalLastDeliveryTime")[0] == "2026-11-24T11:00:00Z"


def test_pages_and_orders_of_conversations(thread: Ews) -> None:
    order = "<m:SortOrder><t:FieldOrder Order='Ascending'><t:FieldURI FieldURI='conversation:LastDeliveryTime'/></t:FieldOrder></m:SortOrder>"
    page = "<m:IndexedPageItemView MaxEntriesReturned='1' Offset='{}' BasePoint='Beginning'/>"

    assert topics(thread.call(find(order=order))) == ["Steel", "coal"]
    assert topics(thread.call(find(view=page.format(1)))) == ["Steel"]
    assert topics(thread.call(find(view=page.format(7)))) == []


@pytest.mark.parametrize(
    ("view", "found"),
    [
        ("All", ["coal", "Steel"]),
        ("NoClutter", ["coal", "Steel"]),
        ("Clutter", []),
        ("Unread", ["coal"]),
        ("Flagged", ["Steel"]),
        ("TaskActive", ["Steel"]),
        ("TaskCompleted", []),
        ("HasAttachment", []),
        ("ToOrCcMe", ["coal", "Steel"]),
    ],
)
def test_views_show_the_conversations_that_have_such_a_mail(thread: Ews, view: str, found: Sequence[str]) -> None:
    steel, _ = conversation_ids(thread)[::-1]
    assert thread.codes(act(steel, "SetReadState", "<t:IsRead>true</t:IsRead>")) == ["NoError"]
    flag = "<t:Flag><t:FlagStatus>Flagged</t:FlagStatus></t:Flag>"
    assert thread.codes(act(steel, "Flag", flag)) == ["NoError"]

    answer = thread.call(find(attributes=f" ViewFilter='{view}'"))

    assert topics(answer) == list(found)
    assert next(answer.iter(M + "TotalConversationsInView")).text == str(len(found))


def test_a_query_string_and_a_shape_narrow_conversations(thread: Ews) -> None:
    answer = thread.call(
        find(
            rest="<m:QueryString>subject:steel</m:QueryString><m:ConversationShape><t:BaseShape>IdOnly</t:BaseShape>"
            "<t:AdditionalProperties><t:FieldURI FieldURI='conversation:ConversationTopic'/></t:AdditionalProperties></m:ConversationShape>"
        )
    )

    assert topics(answer) == ["Steel"]
    assert {str(node.tag).rpartition("}")[2] for node in next(answer.iter(T + "Conversation"))} == {
        "ConversationId",
        "ConversationTopic",
    }


def test_items_carry_the_id_of_their_conversation_and_are_found_by_it(thread: Ews) -> None:
    coal, steel = conversation_ids(thread)
    restriction = f'<m:Restriction><t:IsEqualTo><t:FieldURI FieldURI="item:ConversationId"/><t:FieldURIOrConstant><t:Constant Value="{coal}"/></t:FieldURIOrConstant></t:IsEqualTo></m:Restriction>'
    shape = "<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties><t:FieldURI FieldURI='item:ConversationId'/></t:AdditionalProperties></m:ItemShape>"
    answer = thread.call(f'<m:FindItem Traversal="Shallow">{shape}{restriction}<m:ParentFolderIds>{_INBOX}</m:ParentFolderIds></m:FindItem>')  # fmt: skip

    assert coal != steel
    assert [node.get("Id") for node in answer.iter(T + "ConversationId")] == [coal] * 3


@pytest.mark.parametrize(
    ("order", "numbers"),
    [
        ("TreeOrderAscending", "0132"),
        ("TreeOrderDescending", "2310"),
        ("DateOrderAscending", "0123"),
        ("DateOrderDescending", "3210"),
    ],
)
def test_nodes_stand_in_the_order_asked_for(thread: Ews, order: str, numbers: str) -> None:
    coal = conversation_ids(thread)[0]

    answer = thread.call(get(coal, rest=f"<m:SortOrder>{order}</m:SortOrder>"))

    nodes = list(answer.iter(T + "ConversationNode"))
    assert [str(node.findtext(T + "InternetMessageId"))[1] for node in nodes] == list(numbers)
    parents = {
        str(node.findtext(T + "InternetMessageId"))[1]: node.findtext(T + "ParentInternetMessageId") for node in nodes
    }
    assert parents == {"0": None, "1": "<0@example.net>", "2": "<0@example.net>", "3": "<1@example.net>"}


def test_copies_of_a_mail_share_a_node_and_ignored_folders_are_left_out(thread: Ews) -> None:
    coal = conversation_ids(thread)[0]
    to = "<t:DestinationFolderId><t:DistinguishedFolderId Id='archive'/></t:DestinationFolderId>"
    assert thread.codes(act(coal, "Copy", to, where=_INBOX)) == ["NoError"]

    every = thread.call(get(coal))
    left = thread.call(
        get(coal, ignored="<m:FoldersToIgnore><t:DistinguishedFolderId Id='archive'/></m:FoldersToIgnore>")
    )

    assert [len(item_ids(node)) for node in every.iter(T + "ConversationNode")] == [2, 2, 1, 2]
    assert [len(item_ids(node)) for node in left.iter(T + "ConversationNode")] == [1, 1, 1]


def test_a_state_tells_what_is_new_since(thread: Ews) -> None:
    coal = conversation_ids(thread)[0]
    (state,) = texts(thread.call(get(coal)), "SyncState")
    assert list(thread.call(get(coal, state=state)).iter(T + "ConversationNode")) == []

    thread.store.deliver(ADDRESS, answering(4, 3))

    answer = thread.call(get(coal, state=state))
    assert [node.findtext(T + "InternetMessageId") for node in answer.iter(T + "ConversationNode")] == [
        "<4@example.net>"
    ]
    assert thread.codes(get(coal, state="YWJj")) == ["ErrorInvalidSyncStateData"]


def test_mails_that_answer_each_other_in_a_ring_are_all_there(ews: Ews) -> None:
    for number, answered in ((0, 1), (1, 0), (2, 2)):
        ews.store.deliver(ADDRESS, answering(number, answered))

    answer = ews.call(get(conversation_ids(ews)[0]))

    assert sorted(str(node.findtext(T + "InternetMessageId"))[1] for node in answer.iter(T + "ConversationNode")) == [
        "0",
        "1",
        "2",
    ]


def test_no_more_items_are_given_than_asked_for_the_newest_first(thread: Ews) -> None:
    coal = conversation_ids(thread)[0]

    answer = thread.call(get(coal, rest="<m:MaxItemsToReturn>2</m:MaxItemsToReturn>"))

    assert [str(node.findtext(T + "InternetMessageId"))[1] for node in answer.iter(T + "ConversationNode")] == [
        "2",
        "3",
    ]
    assert thread.codes(get(coal, rest="<m:MaxItemsToReturn>0</m:MaxItemsToReturn>")) == ["ErrorInvalidPagingMaxRows"]


def count(ews: Ews, folder: str) -> int:
    return next(one.count for one in ews.store.folders(ADDRESS) if one.distinguished == folder)


def test_actions_reach_every_mail_of_the_conversation_and_no_other(thread: Ews) -> None:
    coal = conversation_ids(thread)[0]
    to = "<t:DestinationFolderId><t:DistinguishedFolderId Id='junkemail'/></t:DestinationFolderId>"

    assert thread.codes(act(coal, "SetReadState", "<t:IsRead>true</t:IsRead>")) == ["NoError"]
    assert texts(thread.call(find()), "GlobalUnreadCount") == ["0", "1"]
    assert thread.codes(act(coal, "Move", to, where=_INBOX)) == ["NoError"]
    assert (count(thread, "inbox"), count(thread, "junkemail"), count(thread, "archive")) == (1, 3, 1)
    assert thread.codes(act(coal, "Move", to)) == ["NoError"]
    assert (count(thread, "junkemail"), count(thread, "archive")) == (4, 0)
    assert thread.codes(act(coal, "Delete", "<t:DeleteType>MoveToDeletedItems</t:DeleteType>")) == ["NoError"]
    assert count(thread, "deleteditems") == 4
    assert thread.codes(act(coal, "Delete", "<t:DeleteType>HardDelete</t:DeleteType>")) == ["NoError"]
    assert (count(thread, "deleteditems"), count(thread, "inbox")) == (0, 1)


def test_what_came_after_the_last_look_is_left_alone(thread: Ews) -> None:
    coal = conversation_ids(thread)[0]
    deletion = "<t:DeleteType>SoftDelete</t:DeleteType>"

    assert thread.codes(act(coal, "Delete", deletion, where=_INBOX, until="2026-11-24T09:00:00Z")) == ["NoError"]

    assert [
        str(node.findtext(T + "InternetMessageId"))[1] for node in thread.call(get(coal)).iter(T + "ConversationNode")
    ] == ["2", "3"]


def test_the_time_that_a_conversation_shows_covers_all_of_its_mails(ews: Ews) -> None:
    """Clients act up to the time that they were told, which has no fractions; drafts have none at all."""
    ews.store.deliver(ADDRESS, a_mail(1, subject="Coal"), received_at=_MORNING + timedelta(milliseconds=900))
    drafted = "<m:CreateItem MessageDisposition='SaveOnly'><m:Items><t:Message><t:Subject>Coal</t:Subject></t:Message></m:Items></m:CreateItem>"
    assert ews.codes(drafted) == ["NoError"]
    found = ews.call(find())

    deletion = act(conversation_ids(ews)[0], "Delete", until=texts(found, "GlobalLastDeliveryTime")[0])

    assert ews.codes(deletion) == ["NoError"]
    assert (count(ews, "inbox"), count(ews, "drafts"), count(ews, "deleteditems")) == (0, 0, 2)


@pytest.mark.parametrize(
    ("action", "rest", "code"),
    [
        ("AlwaysDelete", "<t:EnableAlwaysDelete>true</t:EnableAlwaysDelete>", "ErrorInvalidOperation"),
        ("AlwaysMove", "", "ErrorInvalidOperation"),
        ("SetRetentionPolicy", "", "ErrorInvalidOperation"),
        ("Move", "", "ErrorInvalidOperation"),
        ("SetReadState", "", "ErrorInvalidOperation"),
        ("Flag", "", "ErrorInvalidOperation"),
        ("Copy", "<t:DestinationFolderId><t:DistinguishedFolderId Id='archiveinbox'/></t:DestinationFolderId>", "ErrorToFolderNotFound"),
    ],
)  # fmt: skip
def test_actions_that_cannot_be_done_are_refused(thread: Ews, action: str, rest: str, code: str) -> None:
    before = thread.store.latest()

    assert thread.codes(act(conversation_ids(thread)[0], action, rest)) == [code]
    assert thread.store.latest() == before


@pytest.mark.parametrize("identifier", ["", "AAMk", "AAQk", "\u00e4", "AAQkADAw"])
def test_ids_that_are_none_are_malformed(ews: Ews, identifier: str) -> None:
    assert ews.codes(get(identifier)) == ["ErrorInvalidIdMalformed"]


def test_conversations_of_others_and_ended_ones_are_not_found(thread: Ews) -> None:
    coal = conversation_ids(thread)[0]
    thread.store.deliver(OTHER, a_mail(1, subject="Coal"))
    deletion = "<t:DeleteType>HardDelete</t:DeleteType>"

    assert thread.codes(get(coal), user=OTHER) == ["ErrorItemNotFound"]
    assert thread.codes(act(coal, "Delete", deletion), user=OTHER) == ["ErrorItemNotFound"]
    assert count(thread, "inbox") == 4
    assert thread.codes(act(coal, "Delete", deletion)) == ["NoError"]
    assert topics(thread.call(find())) == ["Steel"]


def counted(db: sqlite3.Connection) -> list[list[tuple[object, ...]]]:
    """Return what is counted, beside the same counted anew."""
    pairs = (
        ("SELECT folder, topic, total, latest FROM conversations ORDER BY 1, 2",
         "SELECT folder, topic, count(*), coalesce(max(received), 0) FROM items GROUP BY 1, 2 ORDER BY 1, 2"),
        ("SELECT id, conversations FROM folders WHERE conversations <> 0 ORDER BY 1",
         "SELECT folder, count(DISTINCT topic) FROM items GROUP BY 1 ORDER BY 1"),
        ("SELECT mailbox, topic FROM topics ORDER BY 1, 2", "SELECT DISTINCT mailbox, topic FROM items ORDER BY 1, 2"),
        ("SELECT folder, stretch, total FROM arrivals ORDER BY 1, 2",
         "SELECT folder, received >> 32, count(*) FROM items WHERE received IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2"),
    )  # fmt: skip
    return [db.execute(one).fetchall() for pair in pairs for one in pair]


def test_what_is_counted_agrees_with_the_mails_whatever_happens_to_them(tmp_path: Path) -> None:
    """A hundred changes of every kind, by a seed."""
    store, chance = Store(tmp_path / "store.db"), random.Random(7)
    mailbox = store.add_mailbox(ADDRESS)
    for _ in range(30):
        moment = _MORNING + timedelta(minutes=chance.randrange(600))
        store.deliver(
            ADDRESS, a_mail(subject=chance.choice(("Coal", "RE: COAL", "\u00c4rger", "", "Steel"))), received_at=moment
        )
    for _ in range(150):
        with store.writing() as db:
            numbers = [row[0] for row in db.execute("SELECT id FROM items ORDER BY id")]
            item = items.read(db, mailbox.id, chance.choice(numbers))
            target = folders.folder(db, mailbox.id, chance.choice(("inbox", "archive", "drafts"))).id
            kind = chance.randrange(6)
            if kind == 0:
                items.move(db, item, target)
            elif kind == 1:
                items.copy(db, item, target)
            elif kind == 2:
                items.delete(db, item, chance.choice(("MoveToDeletedItems", "SoftDelete", "HardDelete")))
            elif kind == 3 and len(numbers) > 5:
                items.destroy(db, item)
            elif kind == 4:
                items.update(db, item, {p.CONVERSATION_TOPIC: chance.choice(("Coal", "Iron"))})
            else:
                items.update(db, item, {p.DELIVERY_TIME: chance.randrange(1 << 50)}, ())
        with store.reading() as db:
            found = counted(db)
            assert found[::2] == found[1::2]
            border = chance.randrange(1 << 51)
            for sign in ("<", "<=", ">", ">="):
                for (folder,) in db.execute("SELECT DISTINCT folder FROM items").fetchall():
                    query = f"SELECT count(*) FROM items WHERE folder = ? AND received {sign} ?"  # noqa: S608 - of the four
                    assert arrivals.count(db, folder, sign, border) == db.execute(query, (folder, border)).fetchone()[0]
    store.close()


def test_a_store_from_before_gets_its_counts_when_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as before:
        before.setattr(database, "_UPGRADES", {2: database._UPGRADES[2]})
        before.setattr(database, "_VERSION", 2)
        old = Store(tmp_path / "store.db")
        old.add_mailbox(ADDRESS)
        for number in range(3):
            old.deliver(ADDRESS, a_mail(number, subject="Coal"))
        old.close()

    new = Store(tmp_path / "store.db")
    with new.reading() as db:
        found = counted(db)
    assert found[::2] == found[1::2]
    assert found[0][0][2] == 3
    new.close()
