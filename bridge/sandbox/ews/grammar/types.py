"""The types that requests are made of (namespace `types`), in the language that `language` reads."""

from __future__ import annotations

from typing import Final

TYPES: Final = """
$Path = FieldURI=PathToUnindexedField | IndexedFieldURI=PathToIndexedField | ExtendedFieldURI
$SearchExpression = Exists | Excludes | IsEqualTo=TwoOperands | IsNotEqualTo=TwoOperands
  | IsGreaterThan=TwoOperands | IsGreaterThanOrEqualTo=TwoOperands | IsLessThan=TwoOperands
  | IsLessThanOrEqualTo=TwoOperands | Contains | Not | And=Several | Or=Several | Near
$StoredItem = Item | Message | SharingMessage=Any | CalendarItem | Contact | DistributionList
  | MeetingMessage | MeetingRequest | MeetingResponse | MeetingCancellation | Task | PostItem
  | RoleMember=Any | Network=Any | Person=Any
$AttachedItem = Item | Message | SharingMessage=Any | CalendarItem | Contact | MeetingMessage
  | MeetingRequest | MeetingResponse | MeetingCancellation | Task | PostItem | RoleMember=Any
  | Network=Any | Person=Any
$AnyFolder = Folder | CalendarFolder | ContactsFolder | SearchFolder | TasksFolder

RequestServerVersion Version!=string :
ExchangeImpersonation : ConnectingSID
ConnectingSID : PrincipalName=NonEmptyString | SID=NonEmptyString | PrimarySmtpAddress=NonEmptyString
  | SmtpAddress=NonEmptyString

FolderShape : BaseShape=DefaultShapeNames AdditionalProperties=Paths?
ItemShape : BaseShape=DefaultShapeNames IncludeMimeContent=boolean? BodyType=BodyTypeResponse?
  UniqueBodyType=BodyTypeResponse? NormalizedBodyType=BodyTypeResponse? FilterHtmlContent=boolean?
  ConvertHtmlCodePageToUTF8=boolean? InlineImageUrlTemplate=string? BlockExternalImages=boolean?
  AddBlankTargetToLinks=boolean? MaximumBodySize=int? AdditionalProperties=Paths?
AttachmentShape : IncludeMimeContent=boolean? BodyType=BodyTypeResponse? FilterHtmlContent=boolean?
  AdditionalProperties=Paths?
Paths : ($Path)+
PathToUnindexedField FieldURI!=UnindexedFieldURI :
PathToIndexedField FieldURI!=DictionaryURI FieldIndex!=string :
ExtendedFieldURI DistinguishedPropertySetId=DistinguishedPropertySet PropertySetId=Guid PropertyTag=PropertyTag
  PropertyName=string PropertyId=int PropertyType!=MapiPropertyType :

BaseFolderIds : (FolderId | DistinguishedFolderId)+
TargetFolderId : FolderId | DistinguishedFolderId | AddressListId
FolderId Id!=string ChangeKey=string :
DistinguishedFolderId Id!=DistinguishedFolderIdName ChangeKey=string : Mailbox?
AddressListId Id!=string :
BaseItemIds : (ItemId | OccurrenceItemId | RecurringMasterItemId | RecurringMasterItemIdRanges)+
PlainItemIds : ItemId+
ItemId Id!=string ChangeKey=string :
OccurrenceItemId RecurringMasterId!=string ChangeKey=string InstanceIndex!=int :
RecurringMasterItemId OccurrenceId!=string ChangeKey=string :
RecurringMasterItemIdRanges Id!=string ChangeKey=string : Ranges?
Ranges : Range+
Range Start=dateTime End=dateTime Count=int CompareOriginalStartTime=boolean :
RequestAttachmentIds : AttachmentId=RequestAttachmentId+
RequestAttachmentId Id!=string :
TimeZoneIds : Id=string+
ItemsToIgnore : ItemId*

$Subscription = FolderIds=BaseFolderIds? EventTypes
PullSubscriptionRequest SubscribeToAllFolders=boolean : $Subscription Watermark=NonEmptyString?
  Timeout=SubscriptionTimeout
PushSubscriptionRequest SubscribeToAllFolders=boolean : $Subscription Watermark=NonEmptyString?
  StatusFrequency=SubscriptionStatusFrequency URL=string CallerData=string?
StreamingSubscriptionRequest SubscribeToAllFolders=boolean : $Subscription
EventTypes : EventType=NotificationEventType+
SubscriptionIds : SubscriptionId=NonEmptyString+

SourceIds : (AlternateId | AlternatePublicFolderId=Any | AlternatePublicFolderItemId=Any)+
AlternateId Format!=IdFormat Id!=string Mailbox!=NonEmptyString IsArchive=boolean :
Mailbox : Name=string? EmailAddress=NonEmptyString? RoutingType=NonEmptyString? MailboxType? ItemId?
  OriginalDisplayName=string?
EmailAddress : Name=string? Address=string RoutingType=string?

ConversationRequests : (Conversation=ConversationRequest)*
ConversationRequest : ConversationId=ItemId SyncState=base64Binary?
ConversationActions : ConversationAction+
ConversationAction : Action=ConversationActionType ConversationId=ItemId ContextFolderId=TargetFolderId?
  ConversationLastSyncTime=dateTime? ProcessRightAway=boolean? DestinationFolderId=TargetFolderId? Categories=Strings?
  EnableAlwaysDelete=boolean? IsRead=boolean? DeleteType=Disposal? RetentionPolicyType=RetentionType?
  RetentionPolicyTagId=string? Flag? SuppressReadReceipts=boolean?

MailboxDataArray : MailboxData*
MailboxData : Email=EmailAddress AttendeeType=MeetingAttendeeType ExcludeConflicts=boolean?
SerializableTimeZone : Bias=int StandardTime=SerializableTime DaylightTime=SerializableTime
SerializableTime : Bias=int Time=string DayOrder=short Month=short DayOfWeek Year=string?
FreeBusyViewOptions : TimeWindow=Duration MergedFreeBusyIntervalInMinutes=int? RequestedView=FreeBusyViews?
SuggestionsViewOptions : GoodThreshold=int? MaximumResultsByDay=int? MaximumNonWorkHourResultsByDay=int?
  MeetingDurationInMinutes=int? MinimumSuggestionQuality=SuggestionQuality? DetailedSuggestionsWindow=Duration
  CurrentMeetingTime=dateTime? GlobalObjectId=string?

UserIds : UserId+
UserId : SID=string? PrimarySmtpAddress=string? DisplayName=string? DistinguishedUser? ExternalUserIdentity=string?
DelegateUsers : DelegateUser+
DelegateUser : UserId DelegatePermissions? ReceiveCopiesOfMeetingMessages=boolean? ViewPrivateItems=boolean?
DelegatePermissions : CalendarFolderPermissionLevel=DelegateLevel? TasksFolderPermissionLevel=DelegateLevel?
  InboxFolderPermissionLevel=DelegateLevel? ContactsFolderPermissionLevel=DelegateLevel?
  NotesFolderPermissionLevel=DelegateLevel? JournalFolderPermissionLevel=DelegateLevel?

RuleOperations : (CreateRuleOperation=RuleOperation | SetRuleOperation=RuleOperation | DeleteRuleOperation)+
RuleOperation : Rule
DeleteRuleOperation : RuleId=string
Rule : RuleId=string? DisplayName=NonEmptyString Priority=int IsEnabled=boolean IsNotSupported=boolean?
  IsInError=boolean? Conditions=Predicates? Exceptions=Predicates? Actions=RuleActions?
Predicates : Categories=Strings? ContainsBodyStrings=Strings? ContainsHeaderStrings=Strings?
  ContainsRecipientStrings=Strings? ContainsSenderStrings=Strings? ContainsSubjectOrBodyStrings=Strings?
  ContainsSubjectStrings=Strings? FlaggedForAction? FromAddresses=Addresses? FromConnectedAccounts=Strings?
  HasAttachments=boolean? Importance=ImportanceChoices? IsApprovalRequest=boolean? IsAutomaticForward=boolean?
  IsAutomaticReply=boolean? IsEncrypted=boolean? IsMeetingRequest=boolean? IsMeetingResponse=boolean? IsNDR=boolean?
  IsPermissionControlled=boolean? IsReadReceipt=boolean? IsSigned=boolean? IsVoicemail=boolean? ItemClasses=Strings?
  MessageClassifications=Strings? NotSentToMe=boolean? SentCcMe=boolean? SentOnlyToMe=boolean?
  SentToAddresses=Addresses? SentToMe=boolean? SentToOrCcMe=boolean? Sensitivity=SensitivityChoices? WithinDateRange?
  WithinSizeRange?
WithinDateRange : StartDateTime=dateTime? EndDateTime=dateTime?
WithinSizeRange : MinimumSize=int? MaximumSize=int?
Addresses : Address=Mailbox*
RuleActions : AssignCategories=Strings? CopyToFolder=TargetFolderId? Delete=boolean?
  ForwardAsAttachmentToRecipients=Addresses? ForwardToRecipients=Addresses? MarkImportance=ImportanceChoices?
  MarkAsRead=boolean? MoveToFolder=TargetFolderId? PermanentDelete=boolean? RedirectToRecipients=Addresses?
  SendSMSAlertToRecipients=Addresses? ServerReplyWithMessage=ItemId? StopProcessingRules=boolean?

UploadedItems : Item=UploadedItem+
UploadedItem CreateAction!=CreateAction IsAssociated=boolean : ParentFolderId=FolderId ItemId? Data=base64Binary

UserOofSettings : OofState ExternalAudience Duration? InternalReply=ReplyBody? ExternalReply=ReplyBody?
  DeclineMeetingReply=ReplyBody? DeclineEventsForScheduledOOF=boolean? DeclineAllEventsForScheduledOOF=boolean?
  CreateOOFEvent=boolean? OOFEventSubject=string? AutoDeclineFutureRequestsWhenOOF=boolean? OOFEventID=string?
  EventsToDeleteIDs?
Duration : StartTime=dateTime EndTime=dateTime
ReplyBody {http://www.w3.org/XML/1998/namespace}lang=XmlLanguage : Message=string?
EventsToDeleteIDs : EventToDeleteID=string*

UserConfigurationName Name!=NonEmptyString : FolderId | DistinguishedFolderId | AddressListId
UserConfiguration : UserConfigurationName ItemId? Dictionary? XmlData=base64Binary? BinaryData=base64Binary?
Dictionary : DictionaryEntry*
DictionaryEntry : DictionaryKey=DictionaryObject DictionaryValue=DictionaryObjectOrNil
DictionaryObjectOrNil~ : Type=UserConfigurationDictionaryObjectTypes Value=string+
DictionaryObject : Type=UserConfigurationDictionaryObjectTypes Value=string+

IndexedPageView MaxEntriesReturned=int Offset!=int BasePoint!=IndexBasePoint :
FractionalPageView MaxEntriesReturned=int Numerator!=int Denominator!=int :
SeekToConditionPageView MaxEntriesReturned=int BasePoint!=IndexBasePoint : Condition=Restriction
CalendarView MaxEntriesReturned=int StartDate!=dateTime EndDate!=dateTime :
ContactsView MaxEntriesReturned=int InitialName=string FinalName=string :
GroupBy Order!=SortDirection : ($Path) AggregateOn UseCollapsibleGroups=boolean? ItemsPerGroup=nonNegativeInteger?
  MaxItemsPerGroup=nonNegativeInteger? GroupsToExpand?
AggregateOn Aggregate!=Aggregate : $Path
GroupsToExpand : GroupId=base64Binary*
DistinguishedGroupBy Order!=SortDirection : StandardGroupBy
SortOrder : FieldOrder+
FieldOrder Order!=SortDirection : $Path
Restriction : $SearchExpression
Exists : $Path
Excludes : ($Path) Bitmask
Bitmask Value!=Bitmask :
TwoOperands : ($Path) FieldURIOrConstant
FieldURIOrConstant : $Path | Constant
Constant Value!=string :
Contains ContainmentMode=ContainmentMode ContainmentComparison=ContainmentComparison : ($Path) Constant
Not : $SearchExpression
Several : ($SearchExpression)+
Near : ($SearchExpression)+ Distance=unsignedInt Ordered=boolean

Folders : ($AnyFolder)+
$FolderFields = FolderId? ParentFolderId=FolderId? FolderClass=string? DisplayName=string? TotalCount=int?
  ChildFolderCount=int? ExtendedProperty* ManagedFolderInformation? EffectiveRights?
  DistinguishedFolderId=DistinguishedFolderIdName? PolicyTag=RetentionTag? ArchiveTag=RetentionTag?
  ReplicaList=Strings?
Folder : $FolderFields PermissionSet? UnreadCount=int?
TasksFolder : $FolderFields PermissionSet? UnreadCount=int?
SearchFolder : $FolderFields PermissionSet? UnreadCount=int? SearchParameters=Any?
CalendarFolder : $FolderFields SharingEffectiveRights=CalendarReadAccess? PermissionSet=CalendarPermissionSet?
ContactsFolder : $FolderFields SharingEffectiveRights=ReadAccess? PermissionSet? SourceId=string? AccountName=string?
PermissionSet : Permissions UnknownEntries?
CalendarPermissionSet : CalendarPermissions UnknownEntries?
Permissions : Permission*
CalendarPermissions : CalendarPermission*
UnknownEntries : UnknownEntry=string*
$Permission = UserId CanCreateItems=boolean? CanCreateSubFolders=boolean? IsFolderOwner=boolean?
  IsFolderVisible=boolean? IsFolderContact=boolean? EditItems=PermissionAction? DeleteItems=PermissionAction?
Permission : $Permission ReadItems=ReadAccess? PermissionLevel
CalendarPermission : $Permission ReadItems=CalendarReadAccess? CalendarPermissionLevel
ManagedFolderInformation : CanDelete=boolean? CanRenameOrMove=boolean? MustDisplayComment=boolean? HasQuota=boolean?
  IsManagedFoldersRoot=boolean? ManagedFolderId=string? Comment=string? StorageQuota=int? FolderSize=int?
  HomePage=string?
FolderChanges : FolderChange+
FolderChange : (FolderId | DistinguishedFolderId) Updates=FolderUpdates
FolderUpdates : (AppendToFolderField=FolderField | SetFolderField=FolderField | DeleteFolderField=DeletedField)+
FolderField : ($Path) ($AnyFolder)

AllItems : ($StoredItem | ReplyToItem=SmartResponse | ForwardItem=SmartResponse | ReplyAllToItem
  | AcceptItem=MeetingAnswer | TentativelyAcceptItem=MeetingAnswer | DeclineItem=MeetingAnswer
  | CancelCalendarItem=SmartResponse | RemoveItem | SuppressReadReceipt
  | PostReplyItem=Any | AcceptSharingInvitation=Any)+
$SmartResponse = Subject=string? Body? ToRecipients=Recipients? CcRecipients=Recipients? BccRecipients=Recipients?
  IsReadReceiptRequested=boolean? IsDeliveryReceiptRequested=boolean? From=SingleRecipient? ReferenceItemId=ItemId?
  NewBodyContent=Body?
SmartResponse : $SmartResponse
ReplyAllToItem : $SmartResponse IsSpecificMessageReply=boolean?
SuppressReadReceipt : ReferenceItemId=ItemId?
RemoveItem ObjectName=string : $MessageFields ReferenceItemId=ItemId?
MeetingAnswer : ItemClass=ItemClass? Sensitivity=SensitivityChoices? Body? Attachments? InternetMessageHeaders?
  Sender=SingleRecipient? ToRecipients=Recipients? CcRecipients=Recipients? BccRecipients=Recipients?
  IsReadReceiptRequested=boolean? IsDeliveryReceiptRequested=boolean? From=SingleRecipient? ReferenceItemId=ItemId?
  ProposedStart=dateTime? ProposedEnd=dateTime?
ItemChanges : ItemChange+
ItemChange : (ItemId | OccurrenceItemId | RecurringMasterItemId) Updates=ItemUpdates CalendarActivityData=Any?
ItemUpdates : (AppendToItemField=ItemField | SetItemField=ItemField | DeleteItemField=DeletedField)+
ItemField : ($Path) ($StoredItem)
DeletedField : $Path

$ItemFields = MimeContent? ItemId? ParentFolderId=FolderId? ItemClass=ItemClass? Subject=string?
  Sensitivity=SensitivityChoices? Body? Attachments? DateTimeReceived=dateTime? Size=int? Categories=Strings?
  Importance=ImportanceChoices? InReplyTo=string? IsSubmitted=boolean? IsDraft=boolean? IsFromMe=boolean?
  IsResend=boolean? IsUnmodified=boolean? InternetMessageHeaders? DateTimeSent=dateTime? DateTimeCreated=dateTime?
  ResponseObjects=Any? ReminderDueBy=dateTime? ReminderIsSet=boolean? ReminderNextTime=dateTime?
  ReminderMinutesBeforeStart=ReminderMinutesBeforeStart? DisplayCc=string? DisplayTo=string? DisplayBcc=string?
  HasAttachments=boolean? ExtendedProperty* Culture=language? EffectiveRights? LastModifiedName=string?
  LastModifiedTime=dateTime? IsAssociated=boolean? WebClientReadFormQueryString=string?
  WebClientEditFormQueryString=string? ConversationId=ItemId? UniqueBody=Body? Flag? StoreEntryId=base64Binary?
  InstanceKey=base64Binary? NormalizedBody=Body? EntityExtractionResult=Any? PolicyTag=RetentionTag?
  ArchiveTag=RetentionTag? RetentionDate=dateTime? Preview=string? RightsManagementLicenseData=Any?
  PredictedActionReasons=Any? IsClutter=boolean? BlockStatus=boolean? HasBlockedImages=boolean? TextBody=Body?
  IconIndex=IconIndex? SearchKey=base64Binary? SortKey=long? Hashtags=Strings? Mentions=Recipients?
  MentionedMe=boolean? MentionsPreview=Any? MentionsEx=Any? AppliedHashtags=Any? AppliedHashtagsPreview=Any?
  Likes=Any? LikesPreview=Any? PendingSocialActivityTagIds=Strings? AtAllMention=boolean? CanDelete=boolean?
  InferenceClassification=InferenceClassification?
Item : $ItemFields
$MessageFields = $ItemFields Sender=SingleRecipient? ToRecipients=Recipients? CcRecipients=Recipients?
  BccRecipients=Recipients? IsReadReceiptRequested=boolean? IsDeliveryReceiptRequested=boolean?
  ConversationIndex=base64Binary? ConversationTopic=string? From=SingleRecipient? InternetMessageId=string?
  IsRead=boolean? IsResponseRequested=boolean? References=string? ReplyTo=Recipients? ReceivedBy=SingleRecipient?
  ReceivedRepresenting=SingleRecipient? ApprovalRequestData=Any? VotingInformation=Any? ReminderMessageData=Any?
  MessageSafety=Any? SenderSMTPAddress=NonEmptyString? MailboxGuids=Any? PublishedCalendarItemIcs=string?
  PublishedCalendarItemName=string?
Message : $MessageFields
$MeetingFields = $MessageFields AssociatedCalendarItemId=ItemId? IsDelegated=boolean? IsOutOfDate=boolean?
  HasBeenProcessed=boolean? ResponseType? UID=string? RecurrenceId=dateTime? DateTimeStamp=dateTime?
  IsOrganizer=boolean?
$MeetingTime = Start=dateTime? End=dateTime? OriginalStart=dateTime? IsAllDayEvent=boolean?
  LegacyFreeBusyStatus=LegacyFreeBusy? Location=string? When=string? IsMeeting=boolean? IsCancelled=boolean?
  IsRecurring=boolean? MeetingRequestWasSent=boolean?
$MeetingPeople = CalendarItemType? MyResponseType=ResponseType? Organizer=SingleRecipient?
  RequiredAttendees=Attendees? OptionalAttendees=Attendees? Resources=Attendees?
$MeetingDetails = ConflictingMeetingCount=int? AdjacentMeetingCount=int? ConflictingMeetings=Any? AdjacentMeetings=Any?
  Duration=string? TimeZone=string? AppointmentReplyTime=dateTime? AppointmentSequenceNumber=int? AppointmentState=int?
  Recurrence? FirstOccurrence=OccurrenceInfo? LastOccurrence=OccurrenceInfo? ModifiedOccurrences? DeletedOccurrences?
  MeetingTimeZone? StartTimeZone=TimeZoneDefinition? EndTimeZone=TimeZoneDefinition? ConferenceType=int?
  AllowNewTimeProposal=boolean? IsOnlineMeeting=boolean? MeetingWorkspaceUrl=string? NetShowUrl=string?
  EnhancedLocation?
$MeetingClocks = StartWallClock=dateTime? EndWallClock=dateTime? StartTimeZoneId=string? EndTimeZoneId=string?
MeetingMessage : $MeetingFields
MeetingRequest : $MeetingFields MeetingRequestType? IntendedFreeBusyStatus=LegacyFreeBusy? $MeetingTime $MeetingPeople
  $MeetingDetails ChangeHighlights=Any? $MeetingClocks DoNotForwardMeeting=boolean?
MeetingResponse : $MeetingFields Start=dateTime? End=dateTime? Location=string? Recurrence? CalendarItemType=string?
  ProposedStart=dateTime? ProposedEnd=dateTime? EnhancedLocation?
MeetingCancellation : $MeetingFields Start=dateTime? End=dateTime? Location=string? Recurrence? CalendarItemType=string?
  EnhancedLocation? DoNotForwardMeeting=boolean?
CalendarItem : $ItemFields UID=string? RecurrenceId=dateTime? DateTimeStamp=dateTime? $MeetingTime
  IsResponseRequested=boolean? $MeetingPeople InboxReminders=Any? $MeetingDetails $MeetingClocks
  IntendedFreeBusyStatus=LegacyFreeBusy? JoinOnlineMeetingUrl=string? OnlineMeetingSettings=Any? IsOrganizer=boolean?
  CalendarActivityData=Any? DoNotForwardMeeting=boolean?
Attendees : Attendee+
Attendee : Mailbox ResponseType? LastResponseTime=dateTime? ProposedStart=dateTime? ProposedEnd=dateTime?
OccurrenceInfo : ItemId Start=dateTime End=dateTime OriginalStart=dateTime
ModifiedOccurrences : Occurrence=OccurrenceInfo+
DeletedOccurrences : DeletedOccurrence+
DeletedOccurrence : Start=dateTime
EnhancedLocation : DisplayName=string Annotation=string? PostalAddress?
PostalAddress : Street=string? City=string? State=string? Country=string? PostalCode=string? PostOfficeBox=string?
  Type=string? Latitude=double? Longitude=double? Accuracy=double? Altitude=double? AltitudeAccuracy=double?
  FormattedAddress=string? LocationUri=string? LocationSource?
$Pattern = RelativeYearlyRecurrence | AbsoluteYearlyRecurrence | RelativeMonthlyRecurrence | AbsoluteMonthlyRecurrence
  | WeeklyRecurrence | DailyRecurrence=Interval
$Range = NoEndRecurrence | EndDateRecurrence | NumberedRecurrence
Recurrence : ($Pattern) ($Range)
TaskRecurrence : ($Pattern | DailyRegeneration=Interval | WeeklyRegeneration=Interval | MonthlyRegeneration=Interval
  | YearlyRegeneration=Interval) ($Range)
RelativeYearlyRecurrence : DaysOfWeek=DayOfWeek DayOfWeekIndex Month=MonthNames
AbsoluteYearlyRecurrence : DayOfMonth=int Month=MonthNames
RelativeMonthlyRecurrence : Interval=int DaysOfWeek=DayOfWeek DayOfWeekIndex
AbsoluteMonthlyRecurrence : Interval=int DayOfMonth=int
WeeklyRecurrence : Interval=int DaysOfWeek FirstDayOfWeek=DayOfWeek?
Interval : Interval=int
NoEndRecurrence : StartDate=date
EndDateRecurrence : StartDate=date EndDate=date
NumberedRecurrence : StartDate=date NumberOfOccurrences=int
MeetingTimeZone TimeZoneName=string : (BaseOffset=duration (Standard=TimeChange Daylight=TimeChange)?)?
TimeChange TimeZoneName=string : Offset=duration (RelativeYearlyRecurrence | AbsoluteDate=date)? Time=time
TimeZoneDefinition Id=string Name=string : (Periods TransitionsGroups? Transitions=TransitionsGroup?)?
Periods : Period+
Period Bias=duration Name=string Id=string :
TransitionsGroups : TransitionsGroup+
TransitionsGroup Id=string : (Transition | AbsoluteDateTransition | RecurringDayTransition | RecurringDateTransition)+
Transition : To
AbsoluteDateTransition : To DateTime=dateTime
RecurringDayTransition : To TimeOffset=duration Month=int DayOfWeek Occurrence=int
RecurringDateTransition : To TimeOffset=duration Month=int Day=int
To Kind!=TransitionTargetKind : Text string

Contact : $ItemFields FileAs=string? FileAsMapping? DisplayName=string? GivenName=string? Initials=string?
  MiddleName=string? Nickname=string? CompleteName=Any? CompanyName=string? EmailAddresses? AbchEmailAddresses=Any?
  PhysicalAddresses? PhoneNumbers? AssistantName=string? Birthday=dateTime? BusinessHomePage=string? Children=Strings?
  Companies=Strings? ContactSource? Department=string? Generation=string? ImAddresses? JobTitle=string? Manager=string?
  Mileage=string? OfficeLocation=string? PostalAddressIndex? Profession=string? SpouseName=string? Surname=string?
  WeddingAnniversary=dateTime? HasPicture=boolean? PhoneticFullName=string? PhoneticFirstName=string?
  PhoneticLastName=string? Alias=string? Notes=string? Photo=base64Binary? UserSMIMECertificate=Any?
  MSExchangeCertificate=Any? DirectoryId=string? ManagerMailbox=SingleRecipient? DirectReports=Recipients?
  AccountName=string? IsAutoUpdateDisabled=boolean? IsMessengerEnabled=boolean? Comment=string? ContactShortId=int?
  ContactType=string? Gender=string? IsHidden=boolean? ObjectId=string? PassportId=long? IsPrivate=boolean?
  SourceId=string? TrustLevel=int? CreatedBy=string? Urls=Any? Cid=long? SkypeAuthCertificate=string?
  SkypeContext=string? SkypeId=string? SkypeRelationship=string? YomiNickname=string? XboxLiveTag=string?
  InviteFree=boolean? HidePresenceAndProfile=boolean? IsPendingOutbound=boolean? SupportGroupFeeds=boolean?
  UserTileHash=string? UnifiedInbox=boolean? Mris=Strings? Wlid=string? AbchContactId=Guid?
  NotInBirthdayCalendar=boolean? ShellContactType=string? ImMri=string? PresenceTrustLevel=int? OtherMri=string?
  ProfileLastChanged=string? MobileIMEnabled=boolean? PartnerNetworkProfilePhotoUrl=string?
  PartnerNetworkThumbnailPhotoUrl=string? PersonId=string? ConversationGuid=Guid?
EmailAddresses : Entry=EmailEntry+
EmailEntry Key!=EmailAddressKey Name=string RoutingType=string MailboxType=MailboxType : Text string
PhysicalAddresses : Entry=PhysicalAddressEntry+
PhysicalAddressEntry Key!=PhysicalAddressKey : Street=string? City=string? State=string? CountryOrRegion=string?
  PostalCode=string?
PhoneNumbers : Entry=PhoneEntry+
PhoneEntry Key!=PhoneNumberKey : Text string
ImAddresses : Entry=ImEntry+
ImEntry Key!=ImAddressKey : Text string
DistributionList : $ItemFields DisplayName=string? FileAs=string? ContactSource? Members?
Members : Member*
Member Key=string : Mailbox? Status=MemberStatus?
Task : $ItemFields ActualWork=int? AssignedTime=dateTime? BillingInformation=string? ChangeCount=int? Companies=Strings?
  CompleteDate=dateTime? Contacts=Strings? DelegationState=TaskDelegateState? Delegator=string? DueDate=dateTime?
  IsAssignmentEditable=int? IsComplete=boolean? IsRecurring=boolean? IsTeamTask=boolean? Mileage=string? Owner=string?
  PercentComplete=double? Recurrence=TaskRecurrence? StartDate=dateTime? Status=TaskStatus? StatusDescription=string?
  TotalWork=int?
PostItem : $ItemFields ConversationIndex=base64Binary? ConversationTopic=string? From=SingleRecipient?
  InternetMessageId=string? IsRead=boolean? PostedTime=dateTime? References=string? Sender=SingleRecipient?
MimeContent CharacterSet=string : Text string
Body BodyType!=BodyType IsTruncated=boolean : Text string
Strings : String=string*
SingleRecipient : Mailbox
Recipients : Mailbox*
InternetMessageHeaders : InternetMessageHeader+
InternetMessageHeader HeaderName!=string : Text string
ExtendedProperty : ExtendedFieldURI (Value=string | Values)
Values : Value=string+
EffectiveRights : CreateAssociated=boolean CreateContents=boolean CreateHierarchy=boolean Delete=boolean Modify=boolean
  Read=boolean ViewPrivateItems=boolean?
RetentionTag IsExplicit!=boolean : Text Guid
Flag : FlagStatus StartDate=dateTime? DueDate=dateTime? CompleteDate=dateTime?

Attachments : (ItemAttachment | FileAttachment | ReferenceAttachment)+
$AttachmentFields = AttachmentId? Name=string? ContentType=string? ContentId=string? ContentLocation=string?
  AttachmentOriginalUrl=string? Size=int? LastModifiedTime=dateTime? IsInline=boolean?
AttachmentId Id!=string RootItemId=string RootItemChangeKey=string :
FileAttachment : $AttachmentFields IsContactPhoto=boolean? Content=base64Binary?
ItemAttachment : $AttachmentFields ($AttachedItem)?
ReferenceAttachment : $AttachmentFields AttachLongPathName=string? ProviderType=string? ProviderEndpointUrl=string?
  AttachmentThumbnailUrl=string? AttachmentPreviewUrl=string? PermissionType=int? OriginalPermissionType=int?
  AttachmentIsFolder=boolean?
"""
