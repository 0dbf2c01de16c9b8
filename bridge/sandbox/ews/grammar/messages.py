"""The requests (namespace `messages`), in the language that `language` reads."""

from __future__ import annotations

from typing import Final

MESSAGES: Final = """
GetFolder : FolderShape FolderIds=BaseFolderIds
FindFolder Traversal!=FolderQueryTraversal : FolderShape
  (IndexedPageFolderView=IndexedPageView | FractionalPageFolderView=FractionalPageView)?
  Restriction? ParentFolderIds=BaseFolderIds
CreateFolder : ParentFolderId=TargetFolderId Folders
UpdateFolder : FolderChanges
DeleteFolder DeleteType!=Disposal : FolderIds=BaseFolderIds
EmptyFolder DeleteType!=Disposal DeleteSubFolders!=boolean : FolderIds=BaseFolderIds
MoveFolder : ToFolderId=TargetFolderId FolderIds=BaseFolderIds
CopyFolder : ToFolderId=TargetFolderId FolderIds=BaseFolderIds

FindItem Traversal!=ItemQueryTraversal : ItemShape
  (IndexedPageItemView=IndexedPageView | FractionalPageItemView=FractionalPageView
    | SeekToConditionPageItemView=SeekToConditionPageView | CalendarView | ContactsView)?
  (GroupBy | DistinguishedGroupBy)? Restriction? SortOrder? ParentFolderIds=BaseFolderIds QueryString?
GetItem : ItemShape ItemIds=BaseItemIds
CreateItem MessageDisposition=MessageDisposition SendMeetingInvitations=CalendarItemCreateOrDeleteOperation :
  SavedItemFolderId=TargetFolderId? Items=AllItems
UpdateItem ConflictResolution!=ConflictResolution MessageDisposition=MessageDisposition
  SendMeetingInvitationsOrCancellations=CalendarItemUpdateOperation SuppressReadReceipts=boolean :
  SavedItemFolderId=TargetFolderId? ItemChanges
SendItem SaveItemToFolder!=boolean : ItemIds=BaseItemIds SavedItemFolderId=TargetFolderId?
DeleteItem DeleteType!=Disposal SendMeetingCancellations=CalendarItemCreateOrDeleteOperation
  AffectedTaskOccurrences=AffectedTaskOccurrences SuppressReadReceipts=boolean : ItemIds=BaseItemIds
MoveItem : ToFolderId=TargetFolderId ItemIds=BaseItemIds ReturnNewItemIds=boolean?
CopyItem : ToFolderId=TargetFolderId ItemIds=BaseItemIds ReturnNewItemIds=boolean?
MarkAllItemsAsRead : ReadFlag=boolean SuppressReadReceipts=boolean FolderIds=BaseFolderIds
MarkAsJunk IsJunk!=boolean MoveItem!=boolean : ItemIds=BaseItemIds
ArchiveItem : ArchiveSourceFolderId=TargetFolderId ItemIds=BaseItemIds
ExportItems : ItemIds=PlainItemIds
UploadItems : Items=UploadedItems
FindConversation Traversal=ConversationQueryTraversal ViewFilter=ViewFilter :
  (IndexedPageItemView=IndexedPageView | SeekToConditionPageItemView=SeekToConditionPageView)? SortOrder?
  ParentFolderId=TargetFolderId MailboxScope=MailboxSearchLocation? QueryString? ConversationShape=FolderShape?
GetConversationItems : ItemShape FoldersToIgnore=BaseFolderIds? MaxItemsToReturn=int?
  SortOrder=ConversationNodeSortOrder? MailboxScope=MailboxSearchLocation? Conversations=ConversationRequests
ApplyConversationAction : ConversationActions

GetAttachment : AttachmentShape? AttachmentIds=RequestAttachmentIds
CreateAttachment : ParentItemId=ItemId Attachments
DeleteAttachment : AttachmentIds=RequestAttachmentIds

ResolveNames ReturnFullContactData!=boolean SearchScope=ResolveNamesSearchScope ContactDataShape=DefaultShapeNames :
  ParentFolderIds=BaseFolderIds? UnresolvedEntry=NonEmptyString
ConvertId DestinationFormat!=IdFormat : SourceIds
ExpandDL : Mailbox
GetMailTips : SendingAs=Mailbox Recipients MailTipsRequested=MailTipTypes
GetRooms : RoomList=Mailbox
GetRoomLists :
GetUserAvailabilityRequest : t:TimeZone=SerializableTimeZone? MailboxDataArray t:FreeBusyViewOptions?
  t:SuggestionsViewOptions?
GetServerTimeZones ReturnFullTimeZoneData=boolean : Ids=TimeZoneIds?
GetServiceConfiguration : ActingAs=Mailbox? RequestedConfiguration ConfigurationRequestDetails=Any?

SyncFolderItems : ItemShape SyncFolderId=TargetFolderId SyncState=string? Ignore=ItemsToIgnore?
  MaxChangesReturned=MaxSyncChangesReturned SyncScope=SyncFolderItemsScope?
SyncFolderHierarchy : FolderShape SyncFolderId=TargetFolderId? SyncState=string?
Subscribe : PullSubscriptionRequest | PushSubscriptionRequest | StreamingSubscriptionRequest
Unsubscribe : SubscriptionId=NonEmptyString
GetEvents : SubscriptionId=NonEmptyString Watermark=NonEmptyString
GetStreamingEvents : SubscriptionIds ConnectionTimeout=StreamingSubscriptionConnectionTimeout

GetUserOofSettingsRequest : t:Mailbox=EmailAddress
SetUserOofSettingsRequest : t:Mailbox=EmailAddress t:UserOofSettings
GetInboxRules : MailboxSmtpAddress=string?
UpdateInboxRules : MailboxSmtpAddress=string? RemoveOutlookRuleBlob=boolean? Operations=RuleOperations
GetDelegate IncludePermissions!=boolean : Mailbox UserIds?
AddDelegate : Mailbox DelegateUsers DeliverMeetingRequests?
UpdateDelegate : Mailbox DelegateUsers? DeliverMeetingRequests?
RemoveDelegate : Mailbox UserIds
GetUserConfiguration : UserConfigurationName UserConfigurationProperties=UserConfigurationProperty
CreateUserConfiguration : UserConfiguration
UpdateUserConfiguration : UserConfiguration
DeleteUserConfiguration : UserConfigurationName
"""

# What requests hold in their own namespace.
PARTS: Final = """
RequestedConfiguration : ConfigurationName=ServiceConfigurationType+
QueryString ResetCache=boolean ReturnHighlightTerms=boolean ReturnDeletedItems=boolean : Text string
"""
