"""The words that attributes and texts of requests may be (namespace `types`), as `simple` reads them."""

from __future__ import annotations

from typing import Final

# The last names of DistinguishedFolderIdName, from allcategorizeditems on, are of Exchange Online alone: clients ask it
# for them, the schema of Exchange Server has them not.
ENUMERATIONS: Final = """
FolderQueryTraversal : Shallow Deep SoftDeleted
ItemQueryTraversal : Shallow SoftDeleted Associated
Disposal : HardDelete SoftDelete MoveToDeletedItems
DefaultShapeNames : IdOnly Default AllProperties PcxPeopleSearch
BodyTypeResponse : Best HTML Text
BodyType : HTML Text
IndexBasePoint : Beginning End
SortDirection : Ascending Descending
Aggregate : Minimum Maximum
StandardGroupBy : ConversationTopic
ContainmentMode : FullString Prefixed Substring PrefixOnWords ExactPhrase
ContainmentComparison : Exact IgnoreCase IgnoreNonSpacingCharacters Loose IgnoreCaseAndNonSpacingCharacters
  LooseAndIgnoreCase LooseAndIgnoreNonSpace LooseAndIgnoreCaseAndIgnoreNonSpace
MessageDisposition : SaveOnly SendOnly SendAndSaveCopy
ConflictResolution : NeverOverwrite AutoResolve AlwaysOverwrite
CalendarItemCreateOrDeleteOperation : SendToNone SendOnlyToAll SendToAllAndSaveCopy
CalendarItemUpdateOperation : SendToNone SendOnlyToAll SendOnlyToChanged SendToAllAndSaveCopy SendToChangedAndSaveCopy
AffectedTaskOccurrences : AllOccurrences SpecifiedOccurrenceOnly
ResolveNamesSearchScope : ActiveDirectory ActiveDirectoryContacts Contacts ContactsActiveDirectory
MailboxType : Unknown OneOff Mailbox PublicDL PrivateDL Contact PublicFolder GroupMailbox ImplicitContact
PermissionAction : None Owned All
ReadAccess : None FullDetails
CalendarReadAccess : None TimeOnly TimeAndSubjectAndLocation FullDetails
PermissionLevel : None Owner PublishingEditor Editor PublishingAuthor Author NoneditingAuthor Reviewer Contributor
  Custom
CalendarPermissionLevel : None Owner PublishingEditor Editor PublishingAuthor Author NoneditingAuthor Reviewer
  Contributor FreeBusyTimeOnly FreeBusyTimeAndSubjectAndLocation Custom
MeetingAttendeeType : Organizer Required Optional Room Resource
SuggestionQuality : Excellent Good Fair Poor
DistinguishedUser : Default Anonymous
DelegateLevel : None Editor Reviewer Author Custom
DeliverMeetingRequests : DelegatesOnly DelegatesAndMe DelegatesAndSendInformationToMe NoForward
FlaggedForAction : Any Call DoNotForward FollowUp FYI Forward NoResponseNecessary Read Reply ReplyToAll Review
LegacyFreeBusy : Free Tentative Busy OOF WorkingElsewhere NoData
ResponseType : Unknown Organizer Tentative Accept Decline NoResponseReceived
CalendarItemType : Single Occurrence Exception RecurringMaster
MeetingRequestType : None FullUpdate InformationalUpdate NewMeetingRequest Outdated SilentUpdate PrincipalWantsCopy
LocationSource : None LocationServices PhonebookServices Device Contact Resource
DayOfWeek : Sunday Monday Tuesday Wednesday Thursday Friday Saturday Day Weekday WeekendDay
DayOfWeekIndex : First Second Third Fourth Last
MonthNames : January February March April May June July August September October November December
TransitionTargetKind : Period Group
FileAsMapping : None LastCommaFirst FirstSpaceLast Company LastCommaFirstCompany CompanyLastFirst LastFirst
  LastFirstCompany CompanyLastCommaFirst LastFirstSuffix LastSpaceFirstCompany CompanyLastSpaceFirst LastSpaceFirst
  DisplayName FirstName LastFirstMiddleSuffix LastName Empty
ContactSource : ActiveDirectory Store
PostalAddressIndex : None Home Business Other
EmailAddressKey : EmailAddress1 EmailAddress2 EmailAddress3
PhysicalAddressKey : Home Business Other
PhoneNumberKey : AssistantPhone BusinessFax BusinessPhone BusinessPhone2 Callback CarPhone CompanyMainPhone HomeFax
  HomePhone HomePhone2 Isdn MobilePhone OtherFax OtherTelephone Pager PrimaryPhone RadioPhone Telex TtyTddPhone
  BusinessMobile IPPhone Mms Msn
ImAddressKey : ImAddress1 ImAddress2 ImAddress3
MemberStatus : Unrecognized Normal Demoted
TaskDelegateState : NoMatch OwnNew Owned Accepted Declined Max
TaskStatus : NotStarted InProgress Completed WaitingOnOthers Deferred
SensitivityChoices : Normal Personal Private Confidential
ImportanceChoices : Low Normal High
FlagStatus : NotFlagged Flagged Complete
InferenceClassification : Focused Other
IconIndex : Default PostItem MailRead MailUnread MailReplied MailForwarded MailEncrypted MailSmimeSigned
  MailEncryptedReplied MailSmimeSignedReplied MailEncryptedForwarded MailSmimeSignedForwarded MailEncryptedRead
  MailSmimeSignedRead MailIrm MailIrmForwarded MailIrmReplied SmsSubmitted SmsRoutedToDeliveryPoint
  SmsRoutedToExternalMessagingSystem SmsDelivered OutlookDefaultForContacts AppointmentItem AppointmentRecur
  AppointmentMeet AppointmentMeetRecur AppointmentMeetNY AppointmentMeetYes AppointmentMeetNo AppointmentMeetMaybe
  AppointmentMeetCancel AppointmentMeetInfo TaskItem TaskRecur TaskOwned TaskDelegated
DistinguishedPropertySet : Meeting Appointment Common PublicStrings Address InternetHeaders CalendarAssistant
  UnifiedMessaging Task Sharing
MapiPropertyType : ApplicationTime ApplicationTimeArray Binary BinaryArray Boolean CLSID CLSIDArray Currency
  CurrencyArray Double DoubleArray Error Float FloatArray Integer IntegerArray Long LongArray Null Object ObjectArray
  Short ShortArray SystemTime SystemTimeArray String StringArray
DistinguishedFolderIdName : calendar contacts deleteditems drafts inbox journal notes outbox sentitems tasks
  msgfolderroot publicfoldersroot root junkemail searchfolders voicemail recoverableitemsroot
  recoverableitemsdeletions recoverableitemsversions recoverableitemspurges recoverableitemsdiscoveryholds archiveroot
  archivemsgfolderroot archivedeleteditems archiveinbox archiverecoverableitemsroot archiverecoverableitemsdeletions
  archiverecoverableitemsversions archiverecoverableitemspurges archiverecoverableitemsdiscoveryholds syncissues
  conflicts localfailures serverfailures recipientcache quickcontacts conversationhistory adminauditlogs todosearch
  mycontacts directory imcontactlist peopleconnect favorites mecontact personmetadata teamspaceactivity
  teamspacemessaging teamspaceworkitems scheduled orionnotes tagitems alltaggeditems externalcontacts teamchat
  teamchathistory yammerroot yammerinbound yammeroutbound yammerfeeds onedriveroot onedriverecylebin onedrivesystem
  onedrivevolume important starred archive
  allcategorizeditems allcontacts allitems allpersonmetadata companycontacts dlppolicyevaluation fromfavoritesenders
  inference onenotepagepreviews peoplecentricconversationbuddies qedcdefaultretention qedclongretention
  qedcmediumretention qedcshortretention quarantinedemail quarantinedemaildefaultcategory relevantcontacts
  recoverableitemssubstrateholds sharepointnotifications shortnotes temporarysaves usercuratedcontacts
SyncFolderItemsScope : NormalItems NormalAndAssociatedItems
NotificationEventType : CopiedEvent CreatedEvent DeletedEvent ModifiedEvent MovedEvent NewMailEvent
  FreeBusyChangedEvent
CreateAction : CreateNew Update UpdateOrCreate
OofState : Disabled Enabled Scheduled
ExternalAudience : None Known All
ConversationQueryTraversal : Shallow Deep
MailboxSearchLocation : PrimaryOnly ArchiveOnly All
ConversationNodeSortOrder : TreeOrderAscending TreeOrderDescending DateOrderAscending DateOrderDescending
ConversationActionType : AlwaysCategorize AlwaysDelete AlwaysMove Delete Move Copy SetReadState SetRetentionPolicy Flag
RetentionType : Delete Archive
ViewFilter : All Flagged HasAttachment ToOrCcMe Unread TaskActive TaskOverdue TaskCompleted NoClutter Clutter
UserConfigurationDictionaryObjectTypes : DateTime Boolean Byte String Integer32 UnsignedInteger32 Integer64
  UnsignedInteger64 StringArray ByteArray
IdFormat : EwsLegacyId EwsId EntryId HexEntryId StoreId OwaId
DictionaryURI : item:InternetMessageHeader contacts:ImAddress contacts:PhysicalAddress:Street
  contacts:PhysicalAddress:City contacts:PhysicalAddress:State contacts:PhysicalAddress:CountryOrRegion
  contacts:PhysicalAddress:PostalCode contacts:PhoneNumber contacts:EmailAddress distributionlist:Members:Member
"""

# Texts that are any number of these words, with spaces between.
LISTS: Final = """
FreeBusyViews : None MergedOnly FreeBusy FreeBusyMerged Detailed DetailedMerged
DaysOfWeek : Sunday Monday Tuesday Wednesday Thursday Friday Saturday Day Weekday WeekendDay
MailTipTypes : All OutOfOfficeMessage MailboxFullStatus CustomMailTip ExternalMemberCount TotalMemberCount
  MaxMessageSize DeliveryRestriction ModerationStatus InvalidRecipient Scope RecipientSuggestions
  PreferAccessibleContent
ServiceConfigurationType : MailTips UnifiedMessagingConfiguration ProtectionRules PolicyNudges SharePointURLs
  OfficeIntegrationConfiguration
UserConfigurationProperty : Id Dictionary XmlData BinaryData All
"""
