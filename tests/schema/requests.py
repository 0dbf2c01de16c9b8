# ruff: noqa: E501, ISC004 - requests stand here as they go over the wire
"""One or more requests of each operation, as clients send them; what mutation starts from."""

from __future__ import annotations

_OPEN = (
    '<m:{0} xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages" '
    'xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"'
)
_PATHS = (
    "<t:AdditionalProperties><t:FieldURI FieldURI='item:Subject'/><t:IndexedFieldURI FieldURI='item:InternetMessageHeader' "
    "FieldIndex='X-A'/><t:ExtendedFieldURI PropertySetId='6d6f6e74-0000-4000-8000-000000000001' PropertyName='RequestId' "
    "PropertyType='String'/><t:ExtendedFieldURI PropertyTag='0x300B' PropertyType='Binary'/><t:ExtendedFieldURI "
    "DistinguishedPropertySetId='Common' PropertyId='34051' PropertyType='Boolean'/></t:AdditionalProperties>"
)
_IDS = "<m:ItemIds><t:ItemId Id='AAMk' ChangeKey='CQAA'/><t:ItemId Id='AAMl'/></m:ItemIds>"
_TWO = (
    "<t:{0}><t:FieldURI FieldURI='{1}'/><t:FieldURIOrConstant><t:Constant Value='{2}'/></t:FieldURIOrConstant></t:{0}>"
)
_RESTRICTION = (
    "<m:Restriction><t:And>" + _TWO.format("IsEqualTo", "item:Subject", "x") + "<t:Or>"
    + _TWO.format("IsGreaterThanOrEqualTo", "item:DateTimeReceived", "2026-01-01T00:00:00Z")
    + "<t:Not><t:Exists><t:ExtendedFieldURI PropertyTag='0x0E07' PropertyType='Integer'/></t:Exists></t:Not>"
    + "<t:Excludes><t:ExtendedFieldURI PropertyTag='3591' PropertyType='Integer'/><t:Bitmask Value='0x01'/></t:Excludes>"
    + "<t:Contains ContainmentMode='Substring' ContainmentComparison='IgnoreCase'><t:FieldURI FieldURI='item:Subject'/>"
    "<t:Constant Value='a'/></t:Contains></t:Or></t:And></m:Restriction>"
)  # fmt: skip
_MAILBOX = "<t:Mailbox><t:Name>A</t:Name><t:EmailAddress>a@example.org</t:EmailAddress><t:RoutingType>SMTP</t:RoutingType></t:Mailbox>"
_EXTENDED = (
    "<t:ExtendedProperty><t:ExtendedFieldURI PropertySetId='6d6f6e74-0000-4000-8000-000000000001' PropertyName='RequestId' "
    "PropertyType='String'/><t:Value>r-1</t:Value></t:ExtendedProperty>"
)
_MANY = (
    "<t:ExtendedProperty><t:ExtendedFieldURI DistinguishedPropertySetId='PublicStrings' PropertyName='K' "
    "PropertyType='StringArray'/><t:Values><t:Value>a</t:Value><t:Value>b</t:Value></t:Values></t:ExtendedProperty>"
)
_MESSAGE = (
    "<t:Message><t:ItemClass>IPM.Note</t:ItemClass><t:Subject>s</t:Subject><t:Sensitivity>Normal</t:Sensitivity>"
    "<t:Body BodyType='HTML'>x</t:Body><t:Attachments><t:FileAttachment><t:Name>a</t:Name><t:ContentType>text/plain"
    "</t:ContentType><t:IsInline>false</t:IsInline><t:Content>QUJD</t:Content></t:FileAttachment></t:Attachments>"
    "<t:Categories><t:String>a</t:String></t:Categories><t:Importance>High</t:Importance><t:ReminderMinutesBeforeStart>5"
    "</t:ReminderMinutesBeforeStart>" + _EXTENDED + _MANY + "<t:Culture>en-US</t:Culture><t:Flag><t:FlagStatus>Flagged"
    "</t:FlagStatus><t:DueDate>2026-11-24T08:00:00Z</t:DueDate></t:Flag><t:Sender>" + _MAILBOX + "</t:Sender><t:ToRecipients>"
    + _MAILBOX + _MAILBOX + "</t:ToRecipients><t:CcRecipients>" + _MAILBOX + "</t:CcRecipients><t:IsReadReceiptRequested>false"
    "</t:IsReadReceiptRequested><t:From>" + _MAILBOX + "</t:From><t:InternetMessageId>&lt;a@b&gt;</t:InternetMessageId>"
    "<t:IsRead>true</t:IsRead><t:References>x</t:References><t:ReplyTo>" + _MAILBOX + "</t:ReplyTo></t:Message>"
)  # fmt: skip
_MIME = "<t:Message><t:MimeContent CharacterSet='UTF-8'>U3ViamVjdA==</t:MimeContent><t:IsRead>1</t:IsRead></t:Message>"
_PARENTS = (
    "<m:ParentFolderIds><t:DistinguishedFolderId Id='inbox'>"
    + _MAILBOX
    + "</t:DistinguishedFolderId></m:ParentFolderIds>"
)
_FOLDERS = "<m:FolderIds><t:FolderId Id='AAMk' ChangeKey='AQAA'/><t:DistinguishedFolderId Id='drafts'/></m:FolderIds>"
_SHAPE = "<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:IncludeMimeContent>true</t:IncludeMimeContent><t:BodyType>Text</t:BodyType>"
_TO = "<m:ToFolderId><t:DistinguishedFolderId Id='deleteditems'/></m:ToFolderId>"
_SAVED = "<m:SavedItemFolderId><t:FolderId Id='AAMk'/></m:SavedItemFolderId>"

_ATTENDEE = "<t:Attendee>" + _MAILBOX + "<t:ResponseType>Accept</t:ResponseType></t:Attendee>"
_APPOINTMENT = (
    "<t:CalendarItem><t:Subject>s</t:Subject><t:UID>u</t:UID><t:Start>2026-11-24T08:00:00Z</t:Start><t:End>2026-11-24T09:00:00"
    "</t:End><t:IsAllDayEvent>false</t:IsAllDayEvent><t:LegacyFreeBusyStatus>Busy</t:LegacyFreeBusyStatus><t:Location>l"
    "</t:Location><t:IsResponseRequested>1</t:IsResponseRequested><t:RequiredAttendees>" + _ATTENDEE + _ATTENDEE
    + "</t:RequiredAttendees><t:Recurrence><t:WeeklyRecurrence><t:Interval>1</t:Interval><t:DaysOfWeek>Monday Friday"
    "</t:DaysOfWeek><t:FirstDayOfWeek>Monday</t:FirstDayOfWeek></t:WeeklyRecurrence><t:NumberedRecurrence><t:StartDate>"
    "2026-11-24Z</t:StartDate><t:NumberOfOccurrences>3</t:NumberOfOccurrences></t:NumberedRecurrence></t:Recurrence>"
    "<t:StartTimeZone Id='UTC'/><t:EndTimeZone Id='X' Name='x'><t:Periods><t:Period Bias='-PT1H' Name='Standard' Id='s'/>"
    "</t:Periods><t:TransitionsGroups><t:TransitionsGroup Id='0'><t:RecurringDayTransition><t:To Kind='Period'>s</t:To>"
    "<t:TimeOffset>PT2H</t:TimeOffset><t:Month>3</t:Month><t:DayOfWeek>Sunday</t:DayOfWeek><t:Occurrence>-1</t:Occurrence>"
    "</t:RecurringDayTransition></t:TransitionsGroup></t:TransitionsGroups><t:Transitions><t:Transition><t:To Kind='Group'>0"
    "</t:To></t:Transition></t:Transitions></t:EndTimeZone><t:AllowNewTimeProposal>true</t:AllowNewTimeProposal>"
    "</t:CalendarItem>"
)  # fmt: skip
_CONTACT = (
    "<t:Contact><t:FileAs>f</t:FileAs><t:FileAsMapping>LastCommaFirst</t:FileAsMapping><t:DisplayName>d</t:DisplayName>"
    "<t:EmailAddresses><t:Entry Key='EmailAddress1' Name='n'>a@b</t:Entry></t:EmailAddresses><t:PhysicalAddresses><t:Entry "
    "Key='Home'><t:Street>s</t:Street><t:City>c</t:City></t:Entry></t:PhysicalAddresses><t:PhoneNumbers><t:Entry "
    "Key='HomePhone'>1</t:Entry></t:PhoneNumbers><t:Birthday>2000-02-29T11:59:00Z</t:Birthday><t:Children><t:String>x</t:String>"
    "</t:Children><t:ImAddresses><t:Entry Key='ImAddress1'>i</t:Entry></t:ImAddresses><t:PostalAddressIndex>Home"
    "</t:PostalAddressIndex></t:Contact>"
)
_LIST = (
    "<t:DistributionList><t:DisplayName>d</t:DisplayName><t:Members><t:Member Key='k'>" + _MAILBOX
    + "<t:Status>Normal</t:Status></t:Member></t:Members></t:DistributionList>"
)  # fmt: skip
_TASK = (
    "<t:Task><t:Subject>s</t:Subject><t:ActualWork>1</t:ActualWork><t:DueDate>2026-11-24T08:00:00Z</t:DueDate><t:PercentComplete>"
    "12.5</t:PercentComplete><t:Recurrence><t:DailyRegeneration><t:Interval>1</t:Interval></t:DailyRegeneration>"
    "<t:EndDateRecurrence><t:StartDate>2026-11-24</t:StartDate><t:EndDate>2026-11-25+01:00</t:EndDate></t:EndDateRecurrence>"
    "</t:Recurrence><t:Status>InProgress</t:Status></t:Task>"
)
_POST = "<t:PostItem><t:Subject>s</t:Subject><t:IsRead>true</t:IsRead></t:PostItem>"
_ANSWER = (
    "<t:{0}><t:Body BodyType='Text'>b</t:Body><t:ReferenceItemId Id='AAMk' ChangeKey='CQAA'/><t:ProposedStart>"
    "2026-11-24T08:00:00Z</t:ProposedStart></t:{0}>"
)

_CONFIGURATION_NAME = (
    "<m:UserConfigurationName Name='Test'><t:DistinguishedFolderId Id='inbox'/></m:UserConfigurationName>"
)
_CONFIGURATION = (
    "<m:UserConfiguration><t:UserConfigurationName Name='Test'><t:FolderId Id='AAMk'/></t:UserConfigurationName><t:Dictionary>"
    "<t:DictionaryEntry><t:DictionaryKey><t:Type>String</t:Type><t:Value>k</t:Value></t:DictionaryKey><t:DictionaryValue><t:Type>"
    "StringArray</t:Type><t:Value>a</t:Value><t:Value>b</t:Value></t:DictionaryValue></t:DictionaryEntry>"
    "<t:DictionaryEntry><t:DictionaryKey><t:Type>String</t:Type><t:Value>n</t:Value></t:DictionaryKey><t:DictionaryValue "
    "xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:nil='true'/></t:DictionaryEntry></t:Dictionary>"
    "<t:XmlData>QUI=</t:XmlData><t:BinaryData>QUI=</t:BinaryData></m:UserConfiguration>"
)

_CONTENTS: tuple[tuple[str, str, str], ...] = (
    ("GetFolder", "", "<m:FolderShape><t:BaseShape>Default</t:BaseShape>" + _PATHS + "</m:FolderShape>" + _FOLDERS),
    ("FindFolder", " Traversal='Deep'", "<m:FolderShape><t:BaseShape>AllProperties</t:BaseShape></m:FolderShape>"
     "<m:IndexedPageFolderView MaxEntriesReturned='100' Offset='0' BasePoint='Beginning'/>" + _RESTRICTION + _PARENTS),
    ("CreateFolder", "", "<m:ParentFolderId><t:DistinguishedFolderId Id='inbox'/></m:ParentFolderId><m:Folders><t:Folder>"
     "<t:FolderClass>IPF.Note</t:FolderClass><t:DisplayName>Bridge Parked</t:DisplayName>" + _EXTENDED + "</t:Folder></m:Folders>"),
    ("UpdateFolder", "", "<m:FolderChanges><t:FolderChange><t:FolderId Id='AAMk'/><t:Updates><t:SetFolderField>"
     "<t:FieldURI FieldURI='folder:DisplayName'/><t:Folder><t:DisplayName>x</t:DisplayName></t:Folder></t:SetFolderField>"
     "<t:DeleteFolderField><t:ExtendedFieldURI PropertyTag='0x3001' PropertyType='String'/></t:DeleteFolderField></t:Updates>"
     "</t:FolderChange></m:FolderChanges>"),
    ("UpdateFolder", "", "<m:FolderChanges><t:FolderChange><t:FolderId Id='AAMk'/><t:Updates><t:SetFolderField><t:FieldURI "
     "FieldURI='folder:PermissionSet'/><t:CalendarFolder><t:PermissionSet><t:CalendarPermissions><t:CalendarPermission><t:UserId>"
     "<t:DistinguishedUser>Default</t:DistinguishedUser></t:UserId><t:CanCreateItems>true</t:CanCreateItems><t:EditItems>Owned"
     "</t:EditItems><t:ReadItems>TimeOnly</t:ReadItems><t:CalendarPermissionLevel>Custom</t:CalendarPermissionLevel>"
     "</t:CalendarPermission></t:CalendarPermissions></t:PermissionSet></t:CalendarFolder></t:SetFolderField><t:SetFolderField>"
     "<t:FieldURI FieldURI='folder:PermissionSet'/><t:ContactsFolder><t:PermissionSet><t:Permissions><t:Permission><t:UserId>"
     "<t:PrimarySmtpAddress>a@b</t:PrimarySmtpAddress></t:UserId><t:PermissionLevel>Editor</t:PermissionLevel></t:Permission>"
     "</t:Permissions><t:UnknownEntries><t:UnknownEntry>x</t:UnknownEntry></t:UnknownEntries></t:PermissionSet></t:ContactsFolder>"
     "</t:SetFolderField></t:Updates></t:FolderChange></m:FolderChanges>"),
    ("DeleteFolder", " DeleteType='HardDelete'", _FOLDERS),
    ("EmptyFolder", " DeleteType='SoftDelete' DeleteSubFolders='true'", _FOLDERS),
    ("FindItem", " Traversal='Shallow'", "<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>" + _PATHS + "</m:ItemShape>"
     "<m:IndexedPageItemView MaxEntriesReturned='1000' Offset='0' BasePoint='Beginning'/>" + _RESTRICTION
     + "<m:SortOrder><t:FieldOrder Order='Ascending'><t:FieldURI FieldURI='item:DateTimeReceived'/></t:FieldOrder></m:SortOrder>"
     + _PARENTS),
    ("FindItem", " Traversal='Associated'", "<m:ItemShape><t:BaseShape>Default</t:BaseShape></m:ItemShape>"
     "<m:FractionalPageItemView MaxEntriesReturned='12' Numerator='2' Denominator='3'/>" + _PARENTS
     + "<m:QueryString>subject:x</m:QueryString>"),
    ("FindItem", " Traversal='Shallow'", "<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:CalendarView "
     "StartDate='2026-01-01T00:00:00Z' EndDate='2026-02-28T00:00:00.5+01:00'/>" + _PARENTS),
    ("GetItem", "", _SHAPE + _PATHS + "</m:ItemShape>" + _IDS),
    ("CreateItem", " MessageDisposition='SaveOnly'", _SAVED + "<m:Items>" + _MESSAGE + _MIME + "</m:Items>"),
    ("CreateItem", " MessageDisposition='SendAndSaveCopy'", "<m:Items>" + _MIME + "</m:Items>"),
    ("GetRooms", "", "<m:RoomList><t:EmailAddress>r@example.org</t:EmailAddress></m:RoomList>"),
    ("GetRoomLists", "", ""),
    ("GetUserAvailabilityRequest", "", "<t:TimeZone><t:Bias>-60</t:Bias><t:StandardTime><t:Bias>0</t:Bias><t:Time>03:00:00</t:Time>"
     "<t:DayOrder>5</t:DayOrder><t:Month>10</t:Month><t:DayOfWeek>Sunday</t:DayOfWeek></t:StandardTime><t:DaylightTime><t:Bias>-60"
     "</t:Bias><t:Time>02:00:00</t:Time><t:DayOrder>5</t:DayOrder><t:Month>3</t:Month><t:DayOfWeek>Sunday</t:DayOfWeek></t:DaylightTime>"
     "</t:TimeZone><m:MailboxDataArray><t:MailboxData><t:Email><t:Address>a@example.org</t:Address></t:Email><t:AttendeeType>Required"
     "</t:AttendeeType><t:ExcludeConflicts>false</t:ExcludeConflicts></t:MailboxData></m:MailboxDataArray><t:FreeBusyViewOptions>"
     "<t:TimeWindow><t:StartTime>2026-11-24T00:00:00</t:StartTime><t:EndTime>2026-11-25T00:00:00</t:EndTime></t:TimeWindow>"
     "<t:MergedFreeBusyIntervalInMinutes>60</t:MergedFreeBusyIntervalInMinutes><t:RequestedView>DetailedMerged</t:RequestedView>"
     "</t:FreeBusyViewOptions>"),
    ("UpdateInboxRules", "", "<m:RemoveOutlookRuleBlob>true</m:RemoveOutlookRuleBlob><m:Operations><t:CreateRuleOperation><t:Rule>"
     "<t:DisplayName>n</t:DisplayName><t:Priority>1</t:Priority><t:IsEnabled>true</t:IsEnabled><t:Conditions><t:ContainsSubjectStrings>"
     "<t:String>x</t:String></t:ContainsSubjectStrings><t:FromAddresses><t:Address><t:EmailAddress>a@b</t:EmailAddress></t:Address>"
     "</t:FromAddresses><t:WithinSizeRange><t:MinimumSize>1</t:MinimumSize></t:WithinSizeRange></t:Conditions><t:Actions><t:MoveToFolder>"
     "<t:DistinguishedFolderId Id='junkemail'/></t:MoveToFolder><t:StopProcessingRules>true</t:StopProcessingRules></t:Actions></t:Rule>"
     "</t:CreateRuleOperation><t:DeleteRuleOperation><t:RuleId>x</t:RuleId></t:DeleteRuleOperation></m:Operations>"),
    ("GetDelegate", " IncludePermissions='true'", "<m:Mailbox><t:EmailAddress>a@b</t:EmailAddress></m:Mailbox><m:UserIds><t:UserId>"
     "<t:PrimarySmtpAddress>c@d</t:PrimarySmtpAddress></t:UserId></m:UserIds>"),
    ("AddDelegate", "", "<m:Mailbox><t:EmailAddress>a@b</t:EmailAddress></m:Mailbox><m:DelegateUsers><t:DelegateUser><t:UserId>"
     "<t:PrimarySmtpAddress>c@d</t:PrimarySmtpAddress></t:UserId><t:DelegatePermissions><t:InboxFolderPermissionLevel>Reviewer"
     "</t:InboxFolderPermissionLevel></t:DelegatePermissions><t:ViewPrivateItems>false</t:ViewPrivateItems></t:DelegateUser>"
     "</m:DelegateUsers><m:DeliverMeetingRequests>NoForward</m:DeliverMeetingRequests>"),
    ("RemoveDelegate", "", "<m:Mailbox><t:EmailAddress>a@b</t:EmailAddress></m:Mailbox><m:UserIds><t:UserId><t:DistinguishedUser>Default"
     "</t:DistinguishedUser></t:UserId></m:UserIds>"),
    ("CreateItem", " SendMeetingInvitations='SendToAllAndSaveCopy'", "<m:Items>" + _APPOINTMENT + _CONTACT + "</m:Items>"),
    ("CreateItem", "", "<m:Items>" + _LIST + _TASK + _POST + "</m:Items>"),
    ("CreateItem", " MessageDisposition='SendAndSaveCopy'", "<m:Items>" + _ANSWER.format("AcceptItem")
     + _ANSWER.format("DeclineItem") + _ANSWER.format("TentativelyAcceptItem")
     + "<t:CancelCalendarItem><t:ReferenceItemId Id='AAMk'/><t:NewBodyContent BodyType='HTML'>x</t:NewBodyContent>"
     "</t:CancelCalendarItem><t:RemoveItem><t:ReferenceItemId Id='AAMk'/></t:RemoveItem></m:Items>"),
    ("UpdateItem", " ConflictResolution='AutoResolve' SendMeetingInvitationsOrCancellations='SendToChangedAndSaveCopy'",
     "<m:ItemChanges><t:ItemChange><t:OccurrenceItemId RecurringMasterId='AAMk' InstanceIndex='2'/><t:Updates><t:SetItemField>"
     "<t:FieldURI FieldURI='calendar:Start'/><t:CalendarItem><t:Start>2026-11-24T08:00:00Z</t:Start></t:CalendarItem>"
     "</t:SetItemField><t:DeleteItemField><t:IndexedFieldURI FieldURI='contacts:PhysicalAddress:City' FieldIndex='Home'/>"
     "</t:DeleteItemField></t:Updates></t:ItemChange></m:ItemChanges>"),
    ("UpdateItem", " ConflictResolution='NeverOverwrite' MessageDisposition='SaveOnly'", "<m:ItemChanges><t:ItemChange>"
     "<t:ItemId Id='AAMk' ChangeKey='CQAA'/><t:Updates><t:SetItemField><t:ExtendedFieldURI PropertyTag='0x0E07' "
     "PropertyType='Integer'/><t:Message>" + _EXTENDED + "</t:Message></t:SetItemField><t:AppendToItemField><t:FieldURI "
     "FieldURI='item:Body'/><t:Message><t:Body BodyType='Text'>x</t:Body></t:Message></t:AppendToItemField><t:DeleteItemField>"
     "<t:FieldURI FieldURI='item:Categories'/></t:DeleteItemField></t:Updates></t:ItemChange></m:ItemChanges>"),
    ("SendItem", " SaveItemToFolder='true'", _IDS + _SAVED),
    ("DeleteItem", " DeleteType='MoveToDeletedItems' SendMeetingCancellations='SendToNone' "
     "AffectedTaskOccurrences='AllOccurrences' SuppressReadReceipts='true'", _IDS),
    ("MoveItem", "", _TO + _IDS + "<m:ReturnNewItemIds>true</m:ReturnNewItemIds>"),
    ("CopyItem", "", _TO + _IDS),
    ("GetAttachment", "", "<m:AttachmentShape><t:IncludeMimeContent>false</t:IncludeMimeContent></m:AttachmentShape>"
     "<m:AttachmentIds><t:AttachmentId Id='AAMk'/></m:AttachmentIds>"),
    ("CreateAttachment", "", "<m:ParentItemId Id='AAMk' ChangeKey='x'/><m:Attachments><t:FileAttachment><t:Name>n</t:Name>"
     "<t:Content>QUI=</t:Content></t:FileAttachment><t:ItemAttachment><t:Name>i</t:Name>" + _MIME
     + "</t:ItemAttachment></m:Attachments>"),
    ("DeleteAttachment", "", "<m:AttachmentIds><t:AttachmentId Id='AAMk'/></m:AttachmentIds>"),
    ("ResolveNames", " ReturnFullContactData='true' SearchScope='ActiveDirectory' ContactDataShape='IdOnly'",
     "<m:UnresolvedEntry>x</m:UnresolvedEntry>"),
    ("ConvertId", " DestinationFormat='EntryId'", "<m:SourceIds><t:AlternateId Format='EwsId' Id='AAMk' Mailbox='a@b'/></m:SourceIds>"),
    ("GetServerTimeZones", " ReturnFullTimeZoneData='false'", "<m:Ids><t:Id>UTC</t:Id></m:Ids>"),
    ("SyncFolderItems", "", _SHAPE + _PATHS + "</m:ItemShape><m:SyncFolderId><t:DistinguishedFolderId Id='inbox'/>"
     "</m:SyncFolderId><m:SyncState>H4sI</m:SyncState><m:Ignore><t:ItemId Id='AAMk' ChangeKey='CQAA'/></m:Ignore>"
     "<m:MaxChangesReturned>512</m:MaxChangesReturned><m:SyncScope>NormalItems</m:SyncScope>"),
    ("SyncFolderHierarchy", "", "<m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape><m:SyncFolderId>"
     "<t:FolderId Id='AAMk'/></m:SyncFolderId><m:SyncState/>"),
    ("Subscribe", "", "<m:PullSubscriptionRequest SubscribeToAllFolders='true'><t:EventTypes><t:EventType>NewMailEvent"
     "</t:EventType></t:EventTypes><t:Watermark>AAAA</t:Watermark><t:Timeout>1440</t:Timeout></m:PullSubscriptionRequest>"),
    ("Subscribe", "", "<m:PushSubscriptionRequest><t:FolderIds><t:FolderId Id='AAMk'/></t:FolderIds><t:EventTypes>"
     "<t:EventType>MovedEvent</t:EventType></t:EventTypes><t:StatusFrequency>1</t:StatusFrequency><t:URL>https://a/</t:URL>"
     "<t:CallerData>x</t:CallerData></m:PushSubscriptionRequest>"),
    ("Subscribe", "", "<m:StreamingSubscriptionRequest><t:FolderIds><t:DistinguishedFolderId Id='inbox'/></t:FolderIds>"
     "<t:EventTypes><t:EventType>CreatedEvent</t:EventType><t:EventType>FreeBusyChangedEvent</t:EventType></t:EventTypes>"
     "</m:StreamingSubscriptionRequest>"),
    ("Unsubscribe", "", "<m:SubscriptionId>JgBi</m:SubscriptionId>"),
    ("GetEvents", "", "<m:SubscriptionId>JgBi</m:SubscriptionId><m:Watermark>AAAA</m:Watermark>"),
    ("GetStreamingEvents", "", "<m:SubscriptionIds><t:SubscriptionId>JgBi</t:SubscriptionId><t:SubscriptionId>JgBj"
     "</t:SubscriptionId></m:SubscriptionIds><m:ConnectionTimeout>30</m:ConnectionTimeout>"),
    ("MoveFolder", "", _TO + _FOLDERS),
    ("CopyFolder", "", _TO + _FOLDERS),
    ("CreateItem", " MessageDisposition='SaveOnly'", "<m:Items><t:ReplyToItem><t:Subject>s</t:Subject><t:ToRecipients>" + _MAILBOX
     + "</t:ToRecipients><t:From>" + _MAILBOX + "</t:From><t:ReferenceItemId Id='AAMk' ChangeKey='CQAA'/><t:NewBodyContent BodyType="
     "'HTML'>x</t:NewBodyContent></t:ReplyToItem><t:ReplyAllToItem><t:ReferenceItemId Id='AAMk'/><t:NewBodyContent BodyType='Text'>x"
     "</t:NewBodyContent><t:IsSpecificMessageReply>true</t:IsSpecificMessageReply></t:ReplyAllToItem><t:ForwardItem>"
     "<t:IsReadReceiptRequested>true</t:IsReadReceiptRequested></t:ForwardItem><t:SuppressReadReceipt><t:ReferenceItemId Id='A'/>"
     "</t:SuppressReadReceipt></m:Items>"),
    ("MarkAllItemsAsRead", "", "<m:ReadFlag>true</m:ReadFlag><m:SuppressReadReceipts>1</m:SuppressReadReceipts>" + _FOLDERS),
    ("MarkAsJunk", " IsJunk='true' MoveItem='false'", _IDS),
    ("ArchiveItem", "", "<m:ArchiveSourceFolderId><t:DistinguishedFolderId Id='inbox'/></m:ArchiveSourceFolderId>" + _IDS),
    ("ExportItems", "", "<m:ItemIds><t:ItemId Id='AAMk' ChangeKey='x'/><t:ItemId Id='AAMk'/></m:ItemIds>"),
    ("UploadItems", "", "<m:Items><t:Item CreateAction='CreateNew' IsAssociated='false'><t:ParentFolderId Id='A'/><t:Data>QUI=</t:Data>"
     "</t:Item><t:Item CreateAction='Update'><t:ParentFolderId Id='A'/><t:ItemId Id='A'/><t:Data>QUI=</t:Data></t:Item></m:Items>"),
    ("ExpandDL", "", f"<m:Mailbox>{_MAILBOX[11:-12]}</m:Mailbox>"),
    ("GetMailTips", "", f"<m:SendingAs>{_MAILBOX[11:-12]}</m:SendingAs><m:Recipients>{_MAILBOX}{_MAILBOX}</m:Recipients>"
     "<m:MailTipsRequested>OutOfOfficeMessage MailboxFullStatus</m:MailTipsRequested>"),
    ("GetServiceConfiguration", "", f"<m:ActingAs>{_MAILBOX[11:-12]}</m:ActingAs><m:RequestedConfiguration><m:ConfigurationName>MailTips"
     "</m:ConfigurationName><m:ConfigurationName>ProtectionRules</m:ConfigurationName></m:RequestedConfiguration>"),
    ("GetUserOofSettingsRequest", "", "<t:Mailbox><t:Address>a@example.org</t:Address></t:Mailbox>"),
    ("SetUserOofSettingsRequest", "", "<t:Mailbox><t:Name>A</t:Name><t:Address>a@example.org</t:Address><t:RoutingType>SMTP</t:RoutingType>"
     "</t:Mailbox><t:UserOofSettings><t:OofState>Scheduled</t:OofState><t:ExternalAudience>Known</t:ExternalAudience><t:Duration>"
     "<t:StartTime>2026-11-24T08:00:00</t:StartTime><t:EndTime>2026-11-25T08:00:00Z</t:EndTime></t:Duration><t:InternalReply xml:lang="
     "'en'><t:Message>in</t:Message></t:InternalReply><t:ExternalReply><t:Message>out</t:Message></t:ExternalReply></t:UserOofSettings>"),
    ("GetInboxRules", "", "<m:MailboxSmtpAddress>a@example.org</m:MailboxSmtpAddress>"),
    ("GetUserConfiguration", "", _CONFIGURATION_NAME + "<m:UserConfigurationProperties>Id Dictionary</m:UserConfigurationProperties>"),
    ("CreateUserConfiguration", "", _CONFIGURATION),
    ("UpdateUserConfiguration", "", _CONFIGURATION),
    ("DeleteUserConfiguration", "", _CONFIGURATION_NAME),
    ("GetConversationItems", "", "<m:ItemShape><t:BaseShape>Default</t:BaseShape></m:ItemShape><m:FoldersToIgnore>"
     "<t:DistinguishedFolderId Id='deleteditems'/></m:FoldersToIgnore><m:MaxItemsToReturn>20</m:MaxItemsToReturn><m:SortOrder>"
     "TreeOrderDescending</m:SortOrder><m:MailboxScope>All</m:MailboxScope><m:Conversations><t:Conversation><t:ConversationId Id='AAQk'/>"
     "<t:SyncState>MQ==</t:SyncState></t:Conversation></m:Conversations>"),
    ("ApplyConversationAction", "", "<m:ConversationActions><t:ConversationAction><t:Action>Move</t:Action><t:ConversationId Id='AAQk'/>"
     "<t:ContextFolderId><t:DistinguishedFolderId Id='inbox'/></t:ContextFolderId><t:ConversationLastSyncTime>2026-11-24T08:00:00Z"
     "</t:ConversationLastSyncTime><t:ProcessRightAway>true</t:ProcessRightAway><t:DestinationFolderId><t:FolderId Id='AAMk'/>"
     "</t:DestinationFolderId><t:Categories><t:String>a</t:String></t:Categories><t:EnableAlwaysDelete>false</t:EnableAlwaysDelete>"
     "<t:IsRead>true</t:IsRead><t:DeleteType>SoftDelete</t:DeleteType><t:Flag><t:FlagStatus>Flagged</t:FlagStatus></t:Flag>"
     "</t:ConversationAction></m:ConversationActions>"),
    ("FindConversation", " Traversal='Shallow' ViewFilter='Unread'", "<m:IndexedPageItemView MaxEntriesReturned='10' Offset='0' BasePoint="
     "'Beginning'/><m:SortOrder><t:FieldOrder Order='Descending'><t:FieldURI FieldURI='conversation:LastDeliveryTime'/></t:FieldOrder>"
     "</m:SortOrder><m:ParentFolderId><t:DistinguishedFolderId Id='inbox'/></m:ParentFolderId><m:MailboxScope>All</m:MailboxScope>"
     "<m:ConversationShape><t:BaseShape>Default</t:BaseShape></m:ConversationShape>"),
)  # fmt: skip

REQUESTS: tuple[str, ...] = tuple(
    f"{_OPEN.format(name)}{attributes}>{content}</m:{name}>" for name, attributes, content in _CONTENTS
)
