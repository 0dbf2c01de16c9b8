"""FindItem's restrictions, query strings, groups and views, beyond what the bridge asks."""

# ruff: noqa: E501 - requests stand here as they go over the wire
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

import pytest
from lxml import etree

from bridge.sandbox.ews import query
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.queryterms import TermError, _period
from tests.support.hostile_mail import mails as mails_of
from tests.unit.sandbox.ews.conftest import ADDRESS, M, T, a_mail, item_ids, texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.unit.sandbox.ews.conftest import Ews

_INBOX = "<t:DistinguishedFolderId Id='inbox'/>"
_SUBJECT = '<t:FieldURI FieldURI="item:Subject"/>'
_BODY = '<t:FieldURI FieldURI="item:Body"/>'
_FLAGS = '<t:ExtendedFieldURI PropertyTag="0x0E07" PropertyType="Integer"/>'
_PAGE = '<m:IndexedPageItemView MaxEntriesReturned="{}" Offset="{}" BasePoint="{}"/>'


def find(
    *,
    restriction: str = "",
    query: str = "",
    view: str = "",
    group: str = "",
    order: str = "",
    folder: str = _INBOX,
    traversal: str = "Shallow",
) -> str:
    return (
        f'<m:FindItem Traversal="{traversal}"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>{_SUBJECT}'
        f"</t:AdditionalProperties></m:ItemShape>{view}{group}"
        + (f"<m:Restriction>{restriction}</m:Restriction>" if restriction else "")
        + order
        + f"<m:ParentFolderIds>{folder}</m:ParentFolderIds>"
        + (f"<m:QueryString>{query}</m:QueryString>" if query else "")
        + "</m:FindItem>"
    )


def contains(path: str, value: str, mode: str = "Substring", comparison: str = "IgnoreCase") -> str:
    return f'<t:Contains ContainmentMode="{mode}" ContainmentComparison="{comparison}">{path}<t:Constant Value={quoteattr(value)}/></t:Contains>'


def compared(how: str, path: str, value: str) -> str:
    constant = f"<t:FieldURIOrConstant><t:Constant Value={quoteattr(value)}/></t:FieldURIOrConstant>"
    return f"<t:{how}>{path}{constant}</t:{how}>"


def field(uri: str) -> str:
    return f'<t:FieldURI FieldURI="{uri}"/>'


def header(name: str) -> str:
    return f'<t:IndexedFieldURI FieldURI="item:InternetMessageHeader" FieldIndex="{name}"/>'


def by(*orders: tuple[str, str]) -> str:
    listed = "".join(f'<t:FieldOrder Order="{way}">{path}</t:FieldOrder>' for path, way in orders)
    return f"<m:SortOrder>{listed}</m:SortOrder>"


def subjects(answer: etree._Element) -> list[str]:
    assert [node.text for node in answer.iter(M + "ResponseCode")] == ["NoError"]
    return texts(answer, "Subject")


def root(answer: etree._Element) -> dict[str, str]:
    return {str(name): str(value) for name, value in next(answer.iter(M + "RootFolder")).attrib.items()}


MAILS = {
    "Coal for Dover": (
        "From: Dean Halstead <dean@hotmail.example>\r\nTo: Crew One <crew1@example.org>\r\nCc: Chief <chief@example.org>\r\n"
        "Subject: Coal for Dover\r\nX-Route: north\r\nX-Route: sea\r\nImportance: high\r\nMessage-ID: <1@x>\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n\r\nThe production of coal at the caf\u00e9.\r\n"
    ),
    "Steel product": (
        "From: Anna <anna@example.net>\r\nTo: <crew2@example.org>\r\nSubject: Steel product\r\nX-Route: south\r\n"
        "Message-ID: <2@x>\r\nContent-Type: text/html\r\n\r\n<html><style>hidden</style><b>Win</b> product tomorrow</html>\r\n"
    ),
    "Reproduction": (
        "From: Anna <anna@example.net>\r\nTo: <crew2@example.org>\r\nSubject: Reproduction\r\nMessage-ID: <3@x>\r\n"
        'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nSee the file.\r\n--b\r\n'
        'Content-Type: application/pdf; name="Report 7.pdf"\r\nContent-Disposition: attachment; filename="Report 7.pdf"\r\n\r\nx\r\n--b--\r\n'
    ),
}


@pytest.fixture
def mails(ews: Ews) -> Ews:
    """Three mails, a day apart; the first is the oldest."""
    for number, mime in enumerate(MAILS.values()):
        ews.store.deliver(ADDRESS, mime.encode(), received_at=datetime(2026, 11, 20 + number, 12, tzinfo=UTC))
    return ews


@pytest.mark.parametrize(
    ("restriction", "found"),
    [
        (contains(_BODY, "production"), ["Coal for Dover"]),
        (contains(_BODY, "win  product"), []),
        (contains(_BODY, "Win", "PrefixOnWords", "Exact"), ["Steel product"]),
        (contains(_BODY, "hidden"), []),
        (contains(_BODY, "cafe", "ExactPhrase", "IgnoreNonSpacingCharacters"), ["Coal for Dover"]),
        (contains(_BODY, "CAFE", "Substring", "IgnoreNonSpacingCharacters"), []),
        (contains(_BODY, "CAFE", "Substring", "IgnoreCaseAndNonSpacingCharacters"), ["Coal for Dover"]),
        (contains(_BODY, "CAFE", "Substring", "Loose"), ["Coal for Dover"]),
        (contains(_BODY, "CAFE", "Substring", "LooseAndIgnoreCase"), ["Coal for Dover"]),
        (contains(_BODY, "CAFE", "Substring", "LooseAndIgnoreNonSpace"), ["Coal for Dover"]),
        (contains(_BODY, "CAFE", "Substring", "LooseAndIgnoreCaseAndIgnoreNonSpace"), ["Coal for Dover"]),
        (contains(_SUBJECT, "product", "ExactPhrase"), ["Steel product"]),
        (contains(_SUBJECT, "product", "PrefixOnWords"), ["Steel product"]),
        (contains(_SUBJECT, "product"), ["Reproduction", "Steel product"]),
        (contains(_SUBJECT, "Repro", "Prefixed", "Exact"), ["Reproduction"]),
        (contains(_SUBJECT, "repro", "Prefixed", "Exact"), []),
        (contains(_SUBJECT, "REPRODUCTION", "FullString"), ["Reproduction"]),
        (contains(_SUBJECT, "%"), []),
        (contains(header("X-Route"), "sea"), ["Coal for Dover"]),
        (f"<t:Exists>{header('x-route')}</t:Exists>", ["Steel product", "Coal for Dover"]),
        (f"<t:Not><t:Exists>{header('X-Route')}</t:Exists></t:Not>", ["Reproduction"]),
        (compared("IsEqualTo", header("X-Route"), "south"), ["Steel product"]),
        (compared("IsEqualTo", header("O'Brien"), "x"), []),
        (
            compared("IsEqualTo", '<t:ExtendedFieldURI DistinguishedPropertySetId="InternetHeaders" PropertyName="X-Route" PropertyType="String"/>', "south"),
            ["Steel product"],
        ),
        (contains('<t:ExtendedFieldURI PropertyTag="0x007D" PropertyType="String"/>', "X-Route: north"), ["Coal for Dover"]),
        (contains(field("message:ToRecipients"), "crew one"), ["Coal for Dover"]),
        (contains(field("message:CcRecipients"), "chief@"), ["Coal for Dover"]),
        (compared("IsEqualTo", field("message:ToRecipients"), "CREW2@example.org"), ["Reproduction", "Steel product"]),
        (compared("IsNotEqualTo", field("message:ToRecipients"), "crew2@example.org"), ["Coal for Dover"]),
        (f"<t:Exists>{field('message:CcRecipients')}</t:Exists>", ["Coal for Dover"]),
        (contains(field("message:From"), "halstead"), ["Coal for Dover"]),
        (compared("IsEqualTo", field("message:From"), "Dean@hotmail.example"), ["Coal for Dover"]),
        (compared("IsNotEqualTo", field("message:From"), "Anna"), ["Coal for Dover"]),
        (compared("IsEqualTo", field("item:HasAttachments"), "true"), ["Reproduction"]),
        (compared("IsEqualTo", field("item:Importance"), "High"), ["Coal for Dover"]),
        (f'<t:Excludes>{_FLAGS}<t:Bitmask Value="0x10"/></t:Excludes>', ["Steel product", "Coal for Dover"]),
        (f'<t:Excludes>{_FLAGS}<t:Bitmask Value="1"/></t:Excludes>', ["Reproduction", "Steel product", "Coal for Dover"]),
        (f'<t:Excludes>{_FLAGS}<t:Bitmask Value="0016"/></t:Excludes>', ["Steel product", "Coal for Dover"]),
        (f'<t:Excludes>{_FLAGS}<t:Bitmask Value="0x"/></t:Excludes>', ["Reproduction", "Steel product", "Coal for Dover"]),
        (
            f"<t:IsEqualTo>{_SUBJECT}<t:FieldURIOrConstant>{field('message:ConversationTopic')}</t:FieldURIOrConstant></t:IsEqualTo>",
            ["Reproduction", "Steel product", "Coal for Dover"],
        ),
        (compared("IsGreaterThan", field("item:DateTimeReceived"), "2026-11-21T12:00:00Z"), ["Reproduction"]),
        (compared("IsGreaterThanOrEqualTo", field("item:DateTimeReceived"), "2026-11-21T12:00:00Z"), ["Reproduction", "Steel product"]),
        (compared("IsLessThan", field("item:DateTimeReceived"), "2026-11-21T12:00:00Z"), ["Coal for Dover"]),
        (compared("IsLessThanOrEqualTo", field("item:DateTimeReceived"), "2026-11-21T12:00:00Z"), ["Steel product", "Coal for Dover"]),
        (compared("IsEqualTo", '<t:IndexedFieldURI FieldURI="contacts:PhoneNumber" FieldIndex="MobilePhone"/>', "1"), []),
        ("<t:Or>" + contains(_SUBJECT, "coal") + f"<t:And>{contains(_SUBJECT, 'steel')}<t:Not>{contains(_BODY, 'tomorrow')}</t:Not></t:And></t:Or>", ["Coal for Dover"]),
    ],
)  # fmt: skip
def test_restrictions_find_what_they_say(mails: Ews, restriction: str, found: Sequence[str]) -> None:
    answer = mails.call(find(restriction=restriction))

    assert subjects(answer) == list(found)
    assert root(answer)["TotalItemsInView"] == str(len(found))


def test_phone_numbers_and_addresses_of_contacts_are_found_by_their_index(ews: Ews) -> None:
    contact = (
        "<t:Contact><t:Subject>Anna</t:Subject><t:EmailAddresses><t:Entry Key='EmailAddress2'>anna@example.net</t:Entry></t:EmailAddresses>"
        "<t:PhoneNumbers><t:Entry Key='MobilePhone'>+1 555 0100</t:Entry></t:PhoneNumbers></t:Contact>"
    )
    contacts = "<t:DistinguishedFolderId Id='contacts'/>"
    made = f"<m:CreateItem><m:SavedItemFolderId>{contacts}</m:SavedItemFolderId><m:Items>{contact}</m:Items></m:CreateItem>"
    assert ews.codes(made) == ["NoError"]

    def found(uri: str, index: str, value: str) -> int:
        path = f'<t:IndexedFieldURI FieldURI="contacts:{uri}" FieldIndex="{index}"/>'
        return len(item_ids(ews.call(find(restriction=compared("IsEqualTo", path, value), folder=contacts))))

    assert found("PhoneNumber", "MobilePhone", "+1 555 0100") == 1
    assert found("PhoneNumber", "HomePhone", "+1 555 0100") == 0
    assert found("EmailAddress", "EmailAddress2", "anna@example.net") == 1


@pytest.mark.parametrize(
    ("request_xml", "code"),
    [
        (find(restriction=contains(field("item:Size"), "1")), "ErrorContainsFilterWrongType"),
        (find(restriction=contains(_FLAGS, "1")), "ErrorContainsFilterWrongType"),
        (find(restriction=f'<t:Excludes>{_SUBJECT}<t:Bitmask Value="1"/></t:Excludes>'), "ErrorInvalidExcludesRestriction"),
        (find(restriction=f'<t:Excludes>{_FLAGS}<t:Bitmask Value="0x100000000"/></t:Excludes>'), "ErrorInvalidExcludesRestriction"),
        (find(restriction=f'<t:Excludes>{_FLAGS}<t:Bitmask Value="{"9" * 5000}"/></t:Excludes>'), "ErrorInvalidExcludesRestriction"),
        (find(restriction=compared("IsLessThan", field("message:ToRecipients"), "x")), "ErrorUnsupportedPathForQuery"),
        (find(restriction=compared("IsEqualTo", field("folder:DisplayName"), "x")), "ErrorUnsupportedPathForQuery"),
        (find(restriction=compared("IsEqualTo", field("item:ConversationId"), "AAMk")), "ErrorInvalidIdMalformed"),
        (find(order=by((field("message:ToRecipients"), "Ascending"))), "ErrorUnsupportedPathForSortGroup"),
        (find(order=by((header("X-Route"), "Ascending"))), "ErrorUnsupportedPathForSortGroup"),
        (find(order=by(('<t:ExtendedFieldURI DistinguishedPropertySetId="PublicStrings" PropertyName="Keywords" PropertyType="StringArray"/>', "Ascending"))), "ErrorUnsupportedPathForSortGroup"),
        (find(query="coal", restriction=contains(_SUBJECT, "x")), "ErrorInvalidOperation"),
        (find(query="coal", traversal="Associated"), "ErrorInvalidOperation"),
        (find(query="hasattachment:maybe"), "ErrorUnsupportedQueryFilter"),
        (find(query="received:someday"), "ErrorUnsupportedQueryFilter"),
        (find(query="received:2026-02-30"), "ErrorUnsupportedQueryFilter"),
        (find(query="(coal"), "ErrorUnsupportedQueryFilter"),
        (find(query="coal)"), "ErrorUnsupportedQueryFilter"),
        (find(query="coal OR"), "ErrorUnsupportedQueryFilter"),
        (find(query="subject:"), "ErrorUnsupportedQueryFilter"),
        (find(query='&quot;coal'), "ErrorUnsupportedQueryFilter"),
        (find(query="(" * 200 + "x" + ")" * 200), "ErrorSearchQueryHasTooManyKeywords"),
        (find(query="(" * 90 + "x" + ")" * 90), "ErrorUnsupportedQueryFilter"),
        (find(query="x" * 10_001), "ErrorQueryFilterTooLong"),
        (
            find(group=f'<m:GroupBy Order="Ascending">{_SUBJECT}<t:AggregateOn Aggregate="Maximum">{_SUBJECT}</t:AggregateOn>'
            "<t:UseCollapsibleGroups>true</t:UseCollapsibleGroups></m:GroupBy>"),
            "ErrorInvalidOperation",
        ),
        (
            find(group=f'<m:GroupBy Order="Ascending">{_BODY}<t:AggregateOn Aggregate="Maximum">{_SUBJECT}</t:AggregateOn></m:GroupBy>'),
            "ErrorUnsupportedPathForSortGroup",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_by_is_refused(mails: Ews, request_xml: str, code: str) -> None:
    assert mails.codes(request_xml) == [code]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("coal", ["Coal for Dover"]),
        ("COAL dover", ["Coal for Dover"]),
        ("coal steel", []),
        ("coal OR steel", ["Steel product", "Coal for Dover"]),
        ("product", ["Steel product", "Coal for Dover"]),
        ("subject:product", ["Steel product"]),
        ('subject:"prod"', []),
        ('subject:"steel product"', ["Steel product"]),
        ("body:&quot;win pro&quot;*", ["Steel product"]),
        ("content:win", ["Steel product"]),
        ("subject:(steel OR coal) NOT from:dean", ["Steel product"]),
        ("NOT (coal OR steel)", ["Reproduction"]),
        ("from:halstead", ["Coal for Dover"]),
        ("from:@hotmail.example", ["Coal for Dover"]),
        ("to:crew", ["Reproduction", "Steel product", "Coal for Dover"]),
        ("cc:chief", ["Coal for Dover"]),
        ("bcc:chief", []),
        ("participants:chief", ["Coal for Dover"]),
        ("attachment:report", ["Reproduction"]),
        ("report", ["Reproduction"]),
        ("hasattachment:true", ["Reproduction"]),
        ("hasattachments:no AND kind:email", ["Steel product", "Coal for Dover"]),
        ("kind:meetings", []),
        ("importance:high", ["Coal for Dover"]),
        ("isread:false", ["Reproduction", "Steel product", "Coal for Dover"]),
        ("isflagged:yes", []),
        ("size:&gt;1KB", []),
        ("size:&lt;1MB subject:coal", ["Coal for Dover"]),
        ("received:2026-11-21", ["Steel product"]),
        ("received:11/21/2026", ["Steel product"]),
        ("received:&gt;=2026-11-21", ["Reproduction", "Steel product"]),
        ("received:&gt;2026-11-21", ["Reproduction"]),
        ("received:&lt;=2026-11-21", ["Steel product", "Coal for Dover"]),
        ("received:&lt;2026-11-21", ["Coal for Dover"]),
        ("received:2026-11-20..2026-11-21", ["Steel product", "Coal for Dover"]),
        ("received:&lt;2026-11-20T12:00:01Z", ["Coal for Dover"]),
        ("received:last year", []),
        ("category:red", []),
        ("colour:red", []),
        ("coal colour:red", []),
        ("coal NOT colour:red", ["Coal for Dover"]),
    ],
)  # fmt: skip
def test_query_strings_find_what_they_say(mails: Ews, words: str, found: Sequence[str]) -> None:
    answer = mails.call(find(query=words))

    assert subjects(answer) == list(found)


@pytest.mark.parametrize(
    ("name", "first", "days"),
    [
        ("today", (2026, 11, 24), 1),
        ("Yesterday", (2026, 11, 23), 1),
        ("this week", (2026, 11, 22), 7),
        ("last  week", (2026, 11, 15), 7),
        ("this month", (2026, 11, 1), 30),
        ("last month", (2026, 10, 1), 31),
        ("this year", (2026, 1, 1), 365),
        ("last year", (2025, 1, 1), 365),
    ],
)
def test_periods_have_their_days(name: str, first: tuple[int, int, int], days: int) -> None:
    begin = datetime(*first, tzinfo=UTC)

    assert _period(name, datetime(2026, 11, 24, 9, tzinfo=UTC)) == (begin, begin + timedelta(days=days))


def test_a_moment_that_is_none_is_no_date() -> None:
    with pytest.raises(TermError):
        _period("0000-00-00t00:00", datetime(2026, 11, 24, tzinfo=UTC))


def test_a_restriction_of_many_conditions_is_answered_and_one_of_too_many_refused(mails: Ews) -> None:
    """SQLite takes no expression deeper than 1,000."""
    many = "".join(compared("IsEqualTo", _SUBJECT, f"Reproduction{'' if n == 1_999 else n}") for n in range(2_000))
    assert subjects(mails.call(find(restriction=f"<t:Or>{many}</t:Or>"))) == ["Reproduction"]

    too_many = compared("IsEqualTo", _SUBJECT, "x") * 6_000
    assert mails.codes(find(restriction=f"<t:And>{too_many}</t:And>")) == ["ErrorRestrictionTooLong"]


def test_several_fields_order_what_is_found(ews: Ews) -> None:
    for number, subject in enumerate(("b", "A", "a", "B")):
        ews.store.deliver(ADDRESS, a_mail(number, subject=subject))

    rising = ews.call(find(order=by((_SUBJECT, "Ascending"), (field("item:DateTimeReceived"), "Descending"))))
    falling = ews.call(find(order=by((_SUBJECT, "Descending"), (field("item:DateTimeReceived"), "Ascending"))))

    assert subjects(rising) == ["a", "A", "B", "b"]
    assert subjects(falling) == ["b", "B", "A", "a"]


@pytest.mark.parametrize("restriction", ["", contains(_SUBJECT, "Transport")])
def test_pages_from_either_end_and_past_it_tell_where_the_next_one_is(ews: Ews, restriction: str) -> None:
    """Whether the total is counted or found."""
    for number in range(5):
        ews.store.deliver(ADDRESS, a_mail(number))
    order = by((field("item:DateTimeReceived"), "Ascending"))

    def page(most: int, offset: int, base: str = "Beginning") -> tuple[list[str], str, str]:
        answer = ews.call(find(view=_PAGE.format(most, offset, base), restriction=restriction, order=order))
        where = root(answer)
        assert where["TotalItemsInView"] == "5"
        shown = [one.removeprefix("Transport ") for one in subjects(answer)]
        return shown, where["IndexedPagingOffset"], where["IncludesLastItemInRange"]

    assert page(2, 0) == (["0", "1"], "2", "false")
    assert page(2, 4) == (["4"], "5", "true")
    assert page(2, 9) == ([], "5", "true")
    assert page(2, 0, "End") == (["3", "4"], "2", "false")
    assert page(2, 4, "End") == (["0"], "5", "true")
    assert page(2, 9, "End") == ([], "5", "true")


def test_a_page_may_begin_where_a_condition_is_met(ews: Ews) -> None:
    for number in range(5):
        ews.store.deliver(ADDRESS, a_mail(number))
    order = by((field("item:DateTimeReceived"), "Ascending"))

    def page(wanted: str, base: str) -> tuple[list[str], str]:
        condition = compared("IsEqualTo", _SUBJECT, wanted)
        view = f'<m:SeekToConditionPageItemView MaxEntriesReturned="2" BasePoint="{base}"><t:Condition>{condition}</t:Condition></m:SeekToConditionPageItemView>'
        answer = ews.call(find(view=view, order=order))
        return subjects(answer), root(answer)["IndexedPagingOffset"]

    assert page("Transport 2", "Beginning") == (["Transport 2", "Transport 3"], "4")
    assert page("Transport 2", "End") == (["Transport 1", "Transport 2"], "4")
    assert page("Transport 9", "Beginning") == ([], "5")


def test_groups_stand_by_their_greatest_or_least_value(ews: Ews) -> None:
    for number, subject in enumerate(("b", "a", "B", "c")):
        ews.store.deliver(ADDRESS, a_mail(number, subject=subject))

    def groups(aggregate: str, way: str) -> list[tuple[str, list[str]]]:
        on = f'<t:AggregateOn Aggregate="{aggregate}">{field("item:DateTimeReceived")}</t:AggregateOn>'
        answer = ews.call(find(group=f'<m:GroupBy Order="{way}">{_SUBJECT}{on}</m:GroupBy>'))
        assert root(answer)["TotalItemsInView"] == "4"
        return [(str(one.findtext(T + "GroupIndex")), texts(one, "Subject")) for one in answer.iter(T + "GroupedItems")]

    assert groups("Maximum", "Descending") == [("c", ["c"]), ("B", ["B", "b"]), ("a", ["a"])]
    assert groups("Minimum", "Ascending") == [("B", ["B", "b"]), ("a", ["a"]), ("c", ["c"])]
    standard = ews.call(find(group='<m:DistinguishedGroupBy Order="Descending"><t:StandardGroupBy>ConversationTopic</t:StandardGroupBy></m:DistinguishedGroupBy>'))  # fmt: skip
    assert texts(standard, "GroupIndex") == ["c", "B", "a"]


def test_soft_deleted_items_are_those_of_recoverable_items_and_none_is_associated(ews: Ews) -> None:
    ews.store.deliver(ADDRESS, a_mail(1))
    ((item, _),) = item_ids(ews.call(find()))
    deleted = f'<m:DeleteItem DeleteType="SoftDelete"><m:ItemIds><t:ItemId Id="{item}"/></m:ItemIds></m:DeleteItem>'
    assert ews.codes(deleted) == ["NoError"]

    assert subjects(ews.call(find())) == []
    ((recoverable, _),) = item_ids(ews.call(find(traversal="SoftDeleted")))
    assert ews.codes(
        f'<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:ItemIds><t:ItemId Id="{recoverable}"/></m:ItemIds></m:GetItem>'
    ) == ["NoError"]
    assert subjects(ews.call(find(traversal="Associated"))) == []


def test_each_of_several_folders_is_answered_by_itself(ews: Ews) -> None:
    ews.store.deliver(ADDRESS, a_mail(1))
    ews.store.deliver(ADDRESS, a_mail(2), folder="archive")
    answer = ews.call(find(folder=f"{_INBOX}<t:DistinguishedFolderId Id='archive'/><t:FolderId Id='AAMk'/>"))

    assert [node.text for node in answer.iter(M + "ResponseCode")] == ["NoError", "NoError", "ErrorInvalidIdMalformed"]
    assert texts(answer, "Subject") == ["Transport 1", "Transport 2"]


def test_a_search_that_takes_too_long_is_ended(mails: Ews) -> None:
    """The thread is free again, and the next search is answered."""
    for number in range(300):
        mails.store.deliver(ADDRESS, a_mail(number))
    book = mails.service._behaviour.book
    book.put({"find_seconds": 0})
    assert mails.codes(find(restriction=contains(_BODY, "nowhere"))) == ["ErrorTimeoutExpired"]

    book.put({"find_seconds": None})
    assert subjects(mails.call(find(restriction=contains(_BODY, "production")))) == ["Coal for Dover"]


def test_hostile_mails_are_searched_like_others(ews: Ews) -> None:
    """Whatever a mail is made of, a search looks through it and finds the one that is wanted."""
    wanted_mail = MAILS["Coal for Dover"].encode()
    for hostile in mails_of(7, 250, 20_000, [wanted_mail]):
        ews.store.deliver(ADDRESS, hostile.raw)
    ews.store.deliver(ADDRESS, wanted_mail)

    for wanted in (
        find(restriction=contains(_BODY, "production of coal")),
        find(restriction=compared("IsEqualTo", header("X-Route"), "north\nsea")),
        find(
            restriction=contains('<t:ExtendedFieldURI PropertyTag="0x007D" PropertyType="String"/>', "X-Route: north")
        ),
        find(query='"production of coal"'),
        find(restriction=contains(_SUBJECT, "Coal for Dover"), order=by((field("message:From"), "Ascending"))),
    ):
        assert "Coal for Dover" in subjects(ews.call(wanted))


def test_an_empty_query_string_restricts_nothing(mails: Ews) -> None:
    assert len(subjects(mails.call(find(query="  ")))) == len(MAILS)


def test_a_colon_behind_what_is_no_property_is_part_of_a_word(ews: Ews) -> None:
    ews.store.deliver(ADDRESS, a_mail(1, subject="Order dv:2c"))

    assert subjects(ews.call(find(query="subject:Order dv:2c"))) == ["Order dv:2c"]
    assert subjects(ews.call(find(query="subject:dv:2c"))) == ["Order dv:2c"]
    assert subjects(ews.call(find(query="dv:2d"))) == []


def test_a_refusal_of_a_query_says_which_property_lacks_a_value() -> None:
    with pytest.raises(EwsError, match="ErrorUnsupportedQueryFilter") as refusal:
        query.read_query(_element("coal subject:"))

    assert "subject has no value" in refusal.value.text


def _element(text: str) -> etree._Element:
    node = etree.Element(M + "QueryString")
    node.text = text
    return node
