# ruff: noqa: E501 - requests stand here as they go over the wire
"""Who is who, when they are busy, and what a mailbox's owner keeps of rules and delegates."""

from __future__ import annotations

import pytest

from tests.unit.sandbox.ews.conftest import ADDRESS, OTHER, Ews, M, T, a_mail, texts
from tests.unit.sandbox.ews.test_calendar import DAILY, at_nine, create, times
from tests.unit.sandbox.ews.test_contacts_and_tasks import CONTACT


def resolve(entry: str, *, scope: str = "ActiveDirectoryContacts", full: str = "false") -> str:
    """Return a ResolveNames request."""
    return f'<m:ResolveNames ReturnFullContactData="{full}" SearchScope="{scope}"><m:UnresolvedEntry>{entry}</m:UnresolvedEntry></m:ResolveNames>'


def test_names_are_looked_for_in_the_directory_and_among_contacts(ews: Ews) -> None:
    """Each scope alone, both in their order, and all that is known of each where that is asked for."""
    ews.call(create(CONTACT.replace("anna@", "dispatcher@"), kind="Contact"))

    both = ews.call(resolve("dispatch", full="true"))

    assert texts(both, "EmailAddress") == [ADDRESS, "dispatcher@example.net"]
    assert texts(both, "MailboxType") == ["Mailbox", "Contact"]
    assert [node.get("ResponseClass") for node in both.iter(M + "ResolveNamesResponseMessage")] == ["Warning"]
    assert texts(both, "ContactSource") == ["ActiveDirectory", "Store"]
    assert texts(ews.call(resolve("dispatch", scope="Contacts")), "EmailAddress") == ["dispatcher@example.net"]
    assert texts(ews.call(resolve("dispatch", scope="ContactsActiveDirectory")), "MailboxType") == [
        "Contact",
        "Mailbox",
    ]
    assert texts(ews.call(resolve("smith")), "Name") == ["Anna Smith", "Anna Smith"]
    assert texts(ews.call(resolve(f"smtp:{ADDRESS}")), "EmailAddress") == [ADDRESS]
    assert ews.codes(resolve("nobody")) == ["ErrorNameResolutionNoResults"]


def test_groups_are_found_and_expand_to_their_members(ews: Ews) -> None:
    """Whoever is in none of the sandbox's mailboxes is somebody outside."""
    ews.service._behaviour.book.put({"groups": {"crew@example.org": [ADDRESS, "out@example.net"]}})
    expand = "<m:ExpandDL><m:Mailbox><t:EmailAddress>{}</t:EmailAddress></m:Mailbox></m:ExpandDL>"

    expanded = ews.call(expand.format("Crew@example.org"))

    assert texts(expanded, "EmailAddress") == [ADDRESS, "out@example.net"]
    assert texts(expanded, "MailboxType") == ["Mailbox", "OneOff"]
    assert texts(ews.call(resolve("crew")), "MailboxType") == ["PublicDL"]
    assert ews.codes(expand.format(ADDRESS)) == ["ErrorNameResolutionNoMailbox"]
    assert ews.codes(expand.format("x@example.org")) == ["ErrorNameResolutionNoResults"]


def test_rooms_are_listed_by_their_lists(ews: Ews) -> None:
    """There are none until the settings name some."""
    rooms = "<m:GetRooms><m:RoomList><t:EmailAddress>rooms@example.org</t:EmailAddress></m:RoomList></m:GetRooms>"
    before = texts(ews.call("<m:GetRoomLists/>"), "EmailAddress"), ews.codes(rooms)

    ews.service._behaviour.book.put({"room_lists": {"rooms@example.org": ["room1@example.org"]}})

    assert before == ([], ["ErrorNameResolutionNoResults"])
    assert texts(ews.call("<m:GetRoomLists/>"), "EmailAddress") == ["rooms@example.org"]
    assert texts(ews.call(rooms), "EmailAddress") == ["room1@example.org"]


ROMANCE = (
    "<t:TimeZone><t:Bias>-60</t:Bias><t:StandardTime><t:Bias>0</t:Bias><t:Time>03:00:00</t:Time><t:DayOrder>5</t:DayOrder><t:Month>10</t:Month><t:DayOfWeek>Sunday</t:DayOfWeek></t:StandardTime>"
    "<t:DaylightTime><t:Bias>-60</t:Bias><t:Time>02:00:00</t:Time><t:DayOrder>5</t:DayOrder><t:Month>3</t:Month><t:DayOfWeek>Sunday</t:DayOfWeek></t:DaylightTime></t:TimeZone>"
)


def availability(
    *people: str,
    start: str = "2026-03-28T08:00:00",
    end: str = "2026-03-30T12:00:00",
    view: str = "DetailedMerged",
    interval: int = 60,
) -> str:
    """Return a GetUserAvailability request."""
    listed = "".join(
        f"<t:MailboxData><t:Email><t:Address>{one}</t:Address></t:Email><t:AttendeeType>Required</t:AttendeeType></t:MailboxData>"
        for one in people
    )
    return (
        f"<m:GetUserAvailabilityRequest>{ROMANCE}<m:MailboxDataArray>{listed}</m:MailboxDataArray><t:FreeBusyViewOptions><t:TimeWindow><t:StartTime>{start}</t:StartTime>"
        f"<t:EndTime>{end}</t:EndTime></t:TimeWindow><t:MergedFreeBusyIntervalInMinutes>{interval}</t:MergedFreeBusyIntervalInMinutes><t:RequestedView>{view}</t:RequestedView></t:FreeBusyViewOptions></m:GetUserAvailabilityRequest>"
    )


def test_busy_times_are_told_in_the_zone_of_the_request_on_both_sides_of_a_change(ews: Ews) -> None:
    """Details of the own calendar, and of others' only when they are busy."""
    ews.call(create(at_nine(DAILY)))

    own = ews.call(availability(ADDRESS))
    others = ews.call(availability(ADDRESS, "nobody@example.org"), user=OTHER)

    assert texts(own, "StartTime") == ["2026-03-28T09:00:00", "2026-03-29T09:00:00", "2026-03-30T09:00:00"]
    assert texts(own, "Subject") == ["Stand-up"] * 3
    merged = texts(own, "MergedFreeBusy")[0]
    assert (len(merged), [number for number, digit in enumerate(merged) if digit == "2"]) == (51, [1, 24, 48])
    assert (texts(others, "Subject"), texts(others, "FreeBusyViewType")) == ([], ["FreeBusyMerged", "None"])
    assert [node.text for node in others.iter(M + "ResponseCode")] == ["NoError", "ErrorMailRecipientNotFound"]


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"end": "2026-03-28T08:00:00"}, "ErrorInvalidTimeInterval"),
        ({"end": "2027-03-28T08:00:00"}, "ErrorTimeIntervalTooBig"),
        ({"start": "0001-01-01T00:00:00"}, "ErrorInvalidTimeInterval"),
        ({"interval": 4}, "ErrorInvalidMergedFreeBusyInterval"),
    ],
)
def test_a_time_that_cannot_be_told_of_is_refused(ews: Ews, how: dict[str, str], code: str) -> None:
    """The whole request, as Exchange does."""
    assert ews.codes(availability(ADDRESS, **how)) == [code]  # type: ignore[arg-type]  # one of them is a number


RULE = "<t:Rule>{}<t:DisplayName>Junk</t:DisplayName><t:Priority>{}</t:Priority><t:IsEnabled>true</t:IsEnabled><t:Conditions><t:ContainsSubjectStrings><t:String>a &amp; b</t:String></t:ContainsSubjectStrings></t:Conditions><t:Actions>{}</t:Actions></t:Rule>"
JUNK = '<t:MoveToFolder><t:DistinguishedFolderId Id="junkemail"/></t:MoveToFolder>'


def rules(*operations: str) -> str:
    """Return an UpdateInboxRules request."""
    return f"<m:UpdateInboxRules><m:RemoveOutlookRuleBlob>true</m:RemoveOutlookRuleBlob><m:Operations>{''.join(operations)}</m:Operations></m:UpdateInboxRules>"


def creating(action: str = JUNK, *, priority: int = 1, identifier: str = "") -> str:
    """Return a CreateRuleOperation."""
    return f"<t:CreateRuleOperation>{RULE.format(identifier, priority, action)}</t:CreateRuleOperation>"


def test_rules_are_kept_shown_changed_and_deleted(ews: Ews) -> None:
    """As they were given, by priority."""
    made = ews.codes(rules(creating(priority=2), creating("<t:MarkAsRead>true</t:MarkAsRead>")))
    kept = ews.call("<m:GetInboxRules/>")
    first, second = texts(kept, "RuleId")
    changed = RULE.format(f"<t:RuleId>{first}</t:RuleId>", 5, JUNK).replace("Junk", "Later", 1)

    ews.call(
        rules(
            f"<t:SetRuleOperation>{changed}</t:SetRuleOperation>",
            f"<t:DeleteRuleOperation><t:RuleId>{second}</t:RuleId></t:DeleteRuleOperation>",
        )
    )
    after = ews.call("<m:GetInboxRules/>")

    assert made == ["NoError"]
    assert (texts(kept, "Priority"), texts(kept, "String")) == (["1", "2"], ["a & b", "a & b"])
    assert [node.get("Id") for node in kept.iter(T + "DistinguishedFolderId")] == ["junkemail"]
    assert (texts(after, "RuleId"), texts(after, "DisplayName"), texts(after, "Priority")) == (
        [first],
        ["Later"],
        ["5"],
    )


@pytest.mark.parametrize(
    ("operation", "uri", "code"),
    [
        (
            creating("<t:ForwardToRecipients><t:Address><t:Name>x</t:Name></t:Address></t:ForwardToRecipients>"),
            "Action:ForwardToRecipients",
            "InvalidAddress",
        ),
        (
            creating('<t:CopyToFolder><t:FolderId Id="AAA="/></t:CopyToFolder>'),
            "Action:CopyToFolder",
            "FolderDoesNotExist",
        ),
        (creating("<t:SendSMSAlertToRecipients/>"), "Action:SendSMSAlertToRecipients", "UnsupportedRule"),
        (creating(""), "Actions", "MissingAction"),
        (creating(priority=0), "Priority", "InvalidValue"),
        (creating(identifier="<t:RuleId>x</t:RuleId>"), "RuleId", "CreateWithRuleId"),
        ("<t:DeleteRuleOperation><t:RuleId>x</t:RuleId></t:DeleteRuleOperation>", "RuleId", "RuleNotFound"),
    ],
)
def test_a_rule_that_makes_no_sense_spoils_its_whole_request(ews: Ews, operation: str, uri: str, code: str) -> None:
    """The answer says which operation and which property; nothing is kept."""
    answer = ews.call(rules(creating(), operation))

    assert [node.text for node in answer.iter(M + "ResponseCode")] == ["ErrorInboxRulesValidationError"]
    assert (texts(answer, "OperationIndex"), texts(answer, "FieldURI"), texts(answer, "ErrorCode")) == (
        ["1"],
        [uri],
        [code],
    )
    assert texts(ews.call("<m:GetInboxRules/>"), "RuleId") == []


OWN = f"<m:Mailbox><t:EmailAddress>{ADDRESS}</t:EmailAddress></m:Mailbox>"


def user(address: str) -> str:
    """Return a UserId."""
    return f"<t:UserId><t:PrimarySmtpAddress>{address}</t:PrimarySmtpAddress></t:UserId>"


def delegating(operation: str, address: str, level: str) -> str:
    """Return an AddDelegate or UpdateDelegate request."""
    levels = f"<t:DelegatePermissions><t:InboxFolderPermissionLevel>{level}</t:InboxFolderPermissionLevel></t:DelegatePermissions>"
    return f"<m:{operation}>{OWN}<m:DelegateUsers><t:DelegateUser>{user(address)}{levels}</t:DelegateUser></m:DelegateUsers></m:{operation}>"


def test_delegates_are_added_changed_shown_and_removed(ews: Ews) -> None:
    """Each has its own answer."""
    added = ews.codes(delegating("AddDelegate", OTHER, "Reviewer"))
    changed = ews.codes(delegating("UpdateDelegate", OTHER, "Editor"))
    shown = ews.call(f'<m:GetDelegate IncludePermissions="true">{OWN}</m:GetDelegate>')
    removed = ews.codes(f"<m:RemoveDelegate>{OWN}<m:UserIds>{user(OTHER)}</m:UserIds></m:RemoveDelegate>")
    after = ews.call(f'<m:GetDelegate IncludePermissions="false">{OWN}</m:GetDelegate>')

    assert (added, changed, removed) == (["NoError", "NoError"],) * 3
    assert (texts(shown, "PrimarySmtpAddress"), texts(shown, "InboxFolderPermissionLevel")) == ([OTHER], ["Editor"])
    assert texts(shown, "CalendarFolderPermissionLevel") == ["None"]
    assert texts(after, "PrimarySmtpAddress") == []
    assert [node.text for node in after.iter(M + "DeliverMeetingRequests")] == ["DelegatesAndMe"]


def test_delegates_that_cannot_be_are_refused_each_with_its_code(ews: Ews) -> None:
    """Others in the same request are not concerned."""
    ews.call(delegating("AddDelegate", OTHER, "Reviewer"))

    assert ews.codes(delegating("AddDelegate", OTHER, "Reviewer"))[1:] == ["ErrorDelegateAlreadyExists"]
    assert ews.codes(delegating("AddDelegate", ADDRESS, "Reviewer"))[1:] == ["ErrorDelegateCannotAddOwner"]
    assert ews.codes(delegating("UpdateDelegate", ADDRESS, "Reviewer"))[1:] == ["ErrorNotDelegate"]
    asked = f'<m:GetDelegate IncludePermissions="true">{OWN}<m:UserIds><t:UserId><t:SID>XXX</t:SID></t:UserId>{user("x@example.net")}{user(OTHER)}</m:UserIds></m:GetDelegate>'
    assert ews.codes(asked)[1:] == ["ErrorInvalidUserSid", "ErrorDelegateNoUser", "NoError"]
    assert ews.codes(asked.replace(ADDRESS, OTHER, 1)) == ["ErrorAccessDenied"]


def test_every_zone_of_exchange_has_a_definition(ews: Ews) -> None:
    """One that is asked for, all of them, with rules or by name alone; unknown ones are left out."""
    one = '<m:GetServerTimeZones ReturnFullTimeZoneData="{}"><m:Ids><t:Id>romance standard time</t:Id><t:Id>Nowhere</t:Id></m:Ids></m:GetServerTimeZones>'

    full = ews.call(one.format("true"))
    brief = ews.call(one.format("false"))
    every = ews.call("<m:GetServerTimeZones/>")

    assert [(node.get("Name"), node.get("Bias")) for node in full.iter(T + "Period")] == [
        ("Standard", "-PT1H"),
        ("Daylight", "-PT2H"),
    ]
    assert texts(full, "Month") == ["3", "10"]
    assert texts(full, "Occurrence") == ["-1", "-1"]
    assert [node.get("Id") for node in brief.iter(T + "TimeZoneDefinition")] == ["Romance Standard Time"]
    assert list(brief.iter(T + "Period")) == []
    assert len(list(every.iter(T + "TimeZoneDefinition"))) == 140


def test_appointments_of_unusual_length_are_told_of_too(ews: Ews) -> None:
    """One without any, and one that began before the window."""
    ews.call(create(times("2026-03-28T10:00:00Z", "2026-03-28T10:00:00Z")))
    ews.call(create(times("2026-03-20T10:00:00Z", "2026-03-29T10:00:00Z")))

    merged = texts(ews.call(availability(ADDRESS, end="2026-03-28T12:00:00")), "MergedFreeBusy")

    assert merged == ["2222"]


ENTRY = "<t:{0}><t:UserId>{1}</t:UserId>{2}<t:{0}Level>{3}</t:{0}Level></t:{0}>"


def permitting(folder: str, entries: str, *, kind: str = "Folder", holder: str = "Permissions") -> str:
    """Return an UpdateFolder request that sets the permissions of a folder."""
    return (
        f'<m:UpdateFolder><m:FolderChanges><t:FolderChange><t:DistinguishedFolderId Id="{folder}"/><t:Updates><t:SetFolderField><t:FieldURI FieldURI="folder:PermissionSet"/>'
        f"<t:{kind}><t:PermissionSet><t:{holder}>{entries}</t:{holder}></t:PermissionSet></t:{kind}></t:SetFolderField></t:Updates></t:FolderChange></m:FolderChanges></m:UpdateFolder>"
    )


def permissions(folder: str) -> str:
    """Return a GetFolder request for a folder's permissions."""
    return f'<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties><t:FieldURI FieldURI="folder:PermissionSet"/></t:AdditionalProperties></m:FolderShape><m:FolderIds><t:DistinguishedFolderId Id="{folder}"/></m:FolderIds></m:GetFolder>'


def by_address(address: str) -> str:
    """Return the inside of a UserId."""
    return f"<t:PrimarySmtpAddress>{address}</t:PrimarySmtpAddress>"


def test_permissions_of_a_folder_are_set_shown_and_count(ews: Ews) -> None:
    """Who gets a level may do what it says, and nothing more; deleting the set takes it away."""
    read = f'<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:ParentFolderIds><t:DistinguishedFolderId Id="inbox"><t:Mailbox><t:EmailAddress>{ADDRESS}</t:EmailAddress></t:Mailbox></t:DistinguishedFolderId></m:ParentFolderIds></m:FindItem>'
    gone = '<m:UpdateFolder><m:FolderChanges><t:FolderChange><t:DistinguishedFolderId Id="inbox"/><t:Updates><t:DeleteFolderField><t:FieldURI FieldURI="folder:PermissionSet"/></t:DeleteFolderField></t:Updates></t:FolderChange></m:FolderChanges></m:UpdateFolder>'
    before = ews.codes(read, user=OTHER)

    ews.call(permitting("inbox", ENTRY.format("Permission", by_address(OTHER), "", "Reviewer")))
    shown = ews.call(permissions("inbox"))
    allowed = ews.codes(read, user=OTHER)
    ews.call(gone)

    assert texts(shown, "PermissionLevel") == ["None", "None", "Reviewer"]
    assert (texts(shown, "DistinguishedUser"), texts(shown, "PrimarySmtpAddress")) == (
        ["Default", "Anonymous"],
        [OTHER],
    )
    assert texts(shown, "ReadItems") == ["None", "None", "FullDetails"]
    assert (before, allowed, ews.codes(read, user=OTHER)) == (
        ["ErrorFolderNotFound"],
        ["NoError"],
        ["ErrorFolderNotFound"],
    )


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (
            permitting("inbox", ENTRY.format("Permission", by_address("x@example.net"), "", "Editor")),
            "ErrorInvalidUserInfo",
        ),
        (
            permitting("inbox", ENTRY.format("Permission", by_address(OTHER), "", "Editor") * 2),
            "ErrorDuplicateUserIdsSpecified",
        ),
        (
            permitting(
                "inbox",
                ENTRY.format(
                    "Permission", by_address(OTHER), "<t:CanCreateSubFolders>true</t:CanCreateSubFolders>", "Editor"
                ),
            ),
            "ErrorInvalidPermissionSettings",
        ),
        (permitting("calendar", "", kind="Folder"), "ErrorCannotSetNonCalendarPermissionOnCalendarFolder"),
        (
            permitting("inbox", "", kind="CalendarFolder", holder="CalendarPermissions"),
            "ErrorCannotSetCalendarPermissionOnNonCalendarFolder",
        ),
    ],
)
def test_permissions_that_make_no_sense_are_refused(ews: Ews, request_: str, code: str) -> None:
    """And those of before stay."""
    assert ews.codes(request_) == [code]
    assert texts(ews.call(permissions("inbox")), "PermissionLevel") == ["None", "None"]


def test_a_level_of_ones_own_is_made_of_single_rights(ews: Ews) -> None:
    """What is not named is not allowed."""
    rights = "<t:CanCreateItems>1</t:CanCreateItems><t:ReadItems>TimeOnly</t:ReadItems>"
    entry = ENTRY.format("CalendarPermission", "<t:DistinguishedUser>Default</t:DistinguishedUser>", rights, "Custom")

    set_ = ews.codes(permitting("calendar", entry, kind="CalendarFolder", holder="CalendarPermissions"))
    shown = ews.call(permissions("calendar"))

    assert set_ == ["NoError"]
    assert texts(shown, "CalendarPermissionLevel") == ["None", "Custom"]
    assert (texts(shown, "CanCreateItems")[1], texts(shown, "ReadItems")[1], texts(shown, "DeleteItems")[1]) == (
        "true",
        "TimeOnly",
        "None",
    )


def test_a_folder_tells_its_size(ews: Ews) -> None:
    """In both properties that clients ask for."""
    ews.store.deliver(ADDRESS, a_mail())
    size = ews.store.mails(ADDRESS, "inbox", offset=0, limit=1).mails[0].size
    tags = "".join(f'<t:ExtendedFieldURI PropertyTag="0x0E08" PropertyType="{kind}"/>' for kind in ("Integer", "Long"))

    answer = ews.call(
        f'<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>{tags}</t:AdditionalProperties></m:FolderShape><m:FolderIds><t:DistinguishedFolderId Id="inbox"/><t:DistinguishedFolderId Id="drafts"/></m:FolderIds></m:GetFolder>'
    )

    assert texts(answer, "Value") == [str(size), str(size), "0", "0"]


@pytest.mark.parametrize(("quota", "shown"), [(1 << 20, ["1024", "1024"]), (0, ["0", "0"]), (None, [])])
def test_the_root_folder_tells_what_the_mailbox_may_hold(ews: Ews, quota: int | None, shown: list[str]) -> None:
    """In kilobytes, before it receives and before it sends no more; no other folder tells."""
    ews.service.book.put({"mailbox_bytes": quota})
    tags = "".join(f'<t:ExtendedFieldURI PropertyTag="{tag}" PropertyType="Integer"/>' for tag in ("0x666A", "0x666E"))

    answer = ews.call(
        f'<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>{tags}</t:AdditionalProperties></m:FolderShape><m:FolderIds><t:DistinguishedFolderId Id="root"/><t:DistinguishedFolderId Id="inbox"/></m:FolderIds></m:GetFolder>'
    )

    assert texts(answer, "Value") == shown
