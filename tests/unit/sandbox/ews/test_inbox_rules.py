"""Inbox rules act on a mail that arrives."""

from __future__ import annotations

import pytest

from bridge.sandbox.store import changes, folders
from tests.unit.sandbox.ews.conftest import ADDRESS, Ews, T, texts
from tests.unit.sandbox.ews.test_flags_and_forms import get

_MAIL = (
    f"From: Tower <tower@b.example>\nTo: {ADDRESS}\nCc: crew@b.example\nSubject: Flight 12 lands\nX-Desk: North\n"
    "Importance: high\n\nBed 7 is free.\n"
)


def rule(actions: str, conditions: str = "", exceptions: str = "", *, priority: int = 1, enabled: bool = True) -> str:
    parts = "".join(
        f"<t:{name}>{part}</t:{name}>"
        for name, part in (("Conditions", conditions), ("Exceptions", exceptions), ("Actions", actions))
        if part
    )
    return (
        f"<t:CreateRuleOperation><t:Rule><t:DisplayName>r</t:DisplayName><t:Priority>{priority}</t:Priority>"
        f"<t:IsEnabled>{str(enabled).lower()}</t:IsEnabled>{parts}</t:Rule></t:CreateRuleOperation>"
    )


def keep(ews: Ews, *rules: str) -> None:
    operations = "".join(rules)
    assert ews.codes(
        "<m:UpdateInboxRules><m:RemoveOutlookRuleBlob>true</m:RemoveOutlookRuleBlob>"
        f"<m:Operations>{operations}</m:Operations></m:UpdateInboxRules>"
    ) == ["NoError"]


def to_folder(name: str, how: str = "Move") -> str:
    return f'<t:{how}ToFolder><t:DistinguishedFolderId Id="{name}"/></t:{how}ToFolder>'


def strings(name: str, *words: str) -> str:
    return f"<t:{name}>{''.join(f'<t:String>{word}</t:String>' for word in words)}</t:{name}>"


def people(name: str, *addresses: str) -> str:
    listed = "".join(f"<t:Address><t:EmailAddress>{one}</t:EmailAddress></t:Address>" for one in addresses)
    return f"<t:{name}>{listed}</t:{name}>"


def arrive(ews: Ews, mail: str = _MAIL) -> str:
    return ews.store.deliver(ADDRESS, mail.replace("\n", "\r\n").encode()).item_id


def where(ews: Ews) -> dict[str, int]:
    """How many mails lie in which folder."""
    return {one.distinguished or one.name: one.count for one in ews.store.folders(ADDRESS) if one.count}


MARK = "<t:MarkAsRead>true</t:MarkAsRead>"


@pytest.mark.parametrize(
    ("actions", "folder_counts"),
    [
        (MARK, {"inbox": 1}),
        (to_folder("junkemail"), {"junkemail": 1}),
        (to_folder("junkemail", "Copy"), {"inbox": 1, "junkemail": 1}),
        (to_folder("drafts", "Copy") + to_folder("junkemail"), {"drafts": 1, "junkemail": 1}),
        ("<t:Delete>true</t:Delete>", {"deleteditems": 1}),
        ("<t:Delete>false</t:Delete>", {"inbox": 1}),
        ("<t:PermanentDelete>true</t:PermanentDelete>", {"recoverableitemspurges": 1}),
    ],
)
def test_a_mail_is_put_where_a_rule_wants_it(ews: Ews, actions: str, folder_counts: dict[str, int]) -> None:
    keep(ews, rule(actions))

    arrive(ews)

    assert where(ews) == folder_counts


def test_what_a_rule_sets_is_set_before_anybody_sees_the_mail(ews: Ews) -> None:
    keep(
        ews,
        rule(strings("AssignCategories", "Flights", "Beds") + "<t:MarkImportance>Low</t:MarkImportance>" + MARK),
    )

    item = arrive(ews)

    answer = ews.call(get(item, "", "item:Categories", "item:Importance", "message:IsRead"))
    assert texts(answer, "String") == ["Flights", "Beds"]
    assert (texts(answer, "Importance"), texts(answer, "IsRead")) == (["Low"], ["true"])
    assert ews.store.mime(ADDRESS, item) == _MAIL.replace("\n", "\r\n").encode()


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (strings("ContainsSubjectStrings", "flight", "none"), True),
        (strings("ContainsSubjectStrings", "bed"), False),
        (strings("ContainsBodyStrings", "BED 7"), True),
        (strings("ContainsSubjectOrBodyStrings", "lands"), True),
        (strings("ContainsHeaderStrings", "x-desk: north"), True),
        (strings("ContainsRecipientStrings", "crew@"), True),
        (strings("ContainsSenderStrings", "@b.example"), True),
        (strings("ContainsSenderStrings", "@c.example"), False),
        (people("FromAddresses", "other@b.example", "Tower@B.example"), True),
        (people("FromAddresses", "other@b.example"), False),
        (people("SentToAddresses", "crew@b.example"), True),
        ("<t:HasAttachments>true</t:HasAttachments>", False),
        ("<t:HasAttachments>false</t:HasAttachments>", True),
        ("<t:Importance>High</t:Importance>", True),
        ("<t:Importance>Normal</t:Importance>", False),
        ("<t:Sensitivity>Normal</t:Sensitivity>", True),
        ("<t:Sensitivity>Private</t:Sensitivity>", False),
        ("<t:IsMeetingRequest>true</t:IsMeetingRequest>", False),
        ("<t:IsNDR>true</t:IsNDR>", False),
        (strings("ItemClasses", "IPM.Note"), True),
        (strings("ItemClasses", "IPM.Schedule"), False),
        ("<t:SentToMe>true</t:SentToMe>", True),
        ("<t:SentCcMe>true</t:SentCcMe>", False),
        ("<t:SentToOrCcMe>true</t:SentToOrCcMe>", True),
        ("<t:SentOnlyToMe>true</t:SentOnlyToMe>", False),
        ("<t:NotSentToMe>true</t:NotSentToMe>", False),
        ("<t:WithinSizeRange><t:MaximumSize>1</t:MaximumSize></t:WithinSizeRange>", True),
        ("<t:WithinSizeRange><t:MinimumSize>1</t:MinimumSize></t:WithinSizeRange>", False),
        ("<t:WithinDateRange><t:StartDateTime>2020-01-01T00:00:00Z</t:StartDateTime></t:WithinDateRange>", True),
        ("<t:WithinDateRange><t:EndDateTime>2020-01-01T00:00:00</t:EndDateTime></t:WithinDateRange>", False),
        ("<t:WithinDateRange><t:EndDateTime>-0001-01-01T00:00:00Z</t:EndDateTime></t:WithinDateRange>", False),
        (strings("MessageClassifications", "secret"), False),
        (strings("ContainsBodyStrings", "no such word") + strings("ContainsSubjectStrings", "flight"), False),
    ],
)
def test_a_rule_acts_where_its_conditions_hold_unless_as_an_exception(ews: Ews, condition: str, *, holds: bool) -> None:
    keep(ews, rule(to_folder("junkemail"), condition))

    arrive(ews)

    assert where(ews) == ({"junkemail": 1} if holds else {"inbox": 1})


def test_an_exception_keeps_a_rule_from_acting(ews: Ews) -> None:
    exceptions = strings("ContainsSubjectStrings", "lands") + "<t:SentCcMe>true</t:SentCcMe>"
    keep(ews, rule(to_folder("junkemail"), exceptions=exceptions))

    arrive(ews)
    arrive(ews, _MAIL.replace("lands", "starts"))

    assert where(ews) == {"inbox": 1, "junkemail": 1}


def test_rules_act_in_their_order_until_one_stops_them(ews: Ews) -> None:
    stop = "<t:StopProcessingRules>true</t:StopProcessingRules>"
    keep(
        ews,
        rule(to_folder("drafts"), priority=4),
        rule(MARK + stop, priority=3),
        rule(to_folder("junkemail"), priority=2),
        rule(to_folder("outbox"), priority=1, enabled=False),
    )

    item = arrive(ews)

    assert where(ews) == {"junkemail": 1}
    assert texts(ews.call(get(item, "", "message:IsRead")), "IsRead") == ["true"]


def test_a_rule_whose_folder_is_gone_leaves_the_mail_in_the_inbox(ews: Ews) -> None:
    made = ews.call(
        '<m:CreateFolder><m:ParentFolderId><t:DistinguishedFolderId Id="inbox"/></m:ParentFolderId><m:Folders>'
        "<t:Folder><t:DisplayName>North</t:DisplayName></t:Folder></m:Folders></m:CreateFolder>"
    )
    (folder,) = (str(one.get("Id")) for one in made.iter(T + "FolderId"))
    keep(ews, rule(f'<t:MoveToFolder><t:FolderId Id="{folder}"/></t:MoveToFolder>'))
    arrive(ews)
    assert where(ews) == {"North": 1}

    folder_ids = f'<m:FolderIds><t:FolderId Id="{folder}"/></m:FolderIds>'
    assert ews.codes(f'<m:DeleteFolder DeleteType="HardDelete">{folder_ids}</m:DeleteFolder>') == ["NoError"]
    arrive(ews)

    assert where(ews)["inbox"] == 1


def test_a_mail_is_told_as_arrived_where_it_is_then(ews: Ews) -> None:
    keep(ews, rule(to_folder("junkemail")))

    arrive(ews)

    with ews.store.reading() as db:
        junk = folders.folder(db, ews.store.mailbox(ADDRESS).id, "junkemail").id
        told = db.execute("SELECT folder FROM changes WHERE kind = ?", (changes.ARRIVED,)).fetchall()
    assert told == [(junk,)]


def test_only_mail_for_the_inbox_is_looked_at(ews: Ews) -> None:
    keep(ews, rule(to_folder("junkemail")))

    ews.store.deliver(ADDRESS, _MAIL.encode(), folder="drafts")

    assert where(ews) == {"drafts": 1}
