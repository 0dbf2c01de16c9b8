"""
The schema versions that a request may ask for, and what each of them knows.

A request names a version in RequestServerVersion and gets an answer that a client of that version understands:
properties that came later are left out of shapes and refused when named, and whatever else came later makes the
request a wrong one. When something came is what Microsoft's Managed API goes by.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.errors import EwsError, FaultError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lxml import etree

    from bridge.sandbox.ews.servers import Server


class SchemaVersion(IntEnum):
    """The versions by name, in their order."""

    Exchange2007 = 0
    Exchange2007_SP1 = 1
    Exchange2009 = 2
    Exchange2010 = 3
    Exchange2010_SP1 = 4
    Exchange2010_SP2 = 5
    Exchange2012 = 6
    Exchange2013 = 7
    Exchange2013_SP1 = 8
    Exchange2015 = 9
    Exchange2016 = 10


UNNAMED: Final = SchemaVersion.Exchange2007
"""What a request gets that names no version (learn.microsoft.com, "Versioning EWS requests")."""
LATEST: Final = SchemaVersion.Exchange2016
"""The last one with a name; versions by date, `V2018_01_08`, know no less."""

_BY_DATE: Final = re.compile(r"V([0-9]{1,4})_([0-9]{1,4})(?:_([0-9]{1,4}))?")


def read_version(text: str, server: Server) -> SchemaVersion:
    """
    Return the version that a RequestServerVersion means.

    Raises:
        FaultError: There is none of that name, or the server is older.
    """
    if text in SchemaVersion.__members__:
        return SchemaVersion[text]
    dated = _BY_DATE.fullmatch(text)
    # V2_17 is of Exchange 2013, before versions had a year; as numbers they stand before all others.
    if dated and tuple(int(part or 0) for part in dated.groups()) <= server.newest_schema:
        return LATEST
    raise FaultError(server.unknown_version)


def _since(listed: str) -> dict[str, SchemaVersion]:
    """Read lines of a version, a colon, and the names of what came with it."""
    known: dict[str, SchemaVersion] = {}
    for line in listed.replace("\n ", " ").split("\n"):
        version, colon, names = line.partition(":")
        if colon:
            known.update(dict.fromkeys(names.split(), SchemaVersion[version.strip()]))
    return known


_OPERATIONS: Final[Mapping[str, SchemaVersion]] = _since("""
Exchange2007_SP1: ConvertId AddDelegate GetDelegate RemoveDelegate UpdateDelegate
Exchange2010: GetServerTimeZones GetServiceConfiguration GetMailTips GetRooms GetRoomLists GetUserConfiguration
  CreateUserConfiguration UpdateUserConfiguration DeleteUserConfiguration PlayOnPhone GetPhoneCall DisconnectPhoneCall
  FindMessageTrackingReport GetMessageTrackingReport GetSharingFolder GetSharingMetadata RefreshSharingFolder
Exchange2010_SP1: EmptyFolder FindConversation ApplyConversationAction GetInboxRules UpdateInboxRules
  GetStreamingEvents ExportItems UploadItems GetPasswordExpirationDate FindMailboxStatisticsByKeywords
Exchange2013: MarkAllItemsAsRead MarkAsJunk ArchiveItem GetConversationItems FindPeople GetPersona GetUserPhoto
  GetUserRetentionPolicyTags GetAppManifests GetAppMarketplaceUrl InstallApp UninstallApp DisableApp
  GetClientAccessToken SearchMailboxes GetSearchableMailboxes GetDiscoverySearchConfiguration GetHoldOnMailboxes
  SetHoldOnMailboxes GetNonIndexableItemDetails GetNonIndexableItemStatistics SetTeamMailbox UnpinTeamMailbox
  GetImItemList GetImItems AddNewImContactToGroup AddImContactToGroup AddImGroup RemoveImContactFromGroup
  CreateUMPrompt GetUMPrompt
Exchange2016: SetUserPhoto
""")

_PROPERTIES: Final[Mapping[str, SchemaVersion]] = _since("""
Exchange2010: item:IsAssociated item:WebClientReadFormQueryString item:WebClientEditFormQueryString
  item:ConversationId item:UniqueBody folder:SharingEffectiveRights calendar:StartTimeZone calendar:EndTimeZone
  contacts:HasPicture
Exchange2010_SP1: contacts:Alias contacts:DirectReports contacts:DirectoryId contacts:MSExchangeCertificate
  contacts:ManagerMailbox contacts:Notes contacts:PhoneticFirstName contacts:PhoneticFullName
  contacts:PhoneticLastName contacts:Photo contacts:UserSMIMECertificate
Exchange2010_SP2: item:StoreEntryId
Exchange2013: item:InstanceKey item:NormalizedBody item:EntityExtractionResult item:Flag item:PolicyTag item:ArchiveTag
  item:RetentionDate item:Preview item:TextBody item:IconIndex item:ReminderNextTime item:RightsManagementLicenseData
  item:BlockStatus item:HasBlockedImages item:PredictedActionReasons item:IsClutter message:ApprovalRequestData
  message:VotingInformation message:ReminderMessageData folder:DistinguishedFolderId folder:PolicyTag
  folder:ArchiveTag folder:ReplicaList calendar:JoinOnlineMeetingUrl calendar:OnlineMeetingSettings
  meeting:ProposedStart meeting:ProposedEnd meetingRequest:ChangeHighlights conversation:DraftItemIds
  conversation:HasIrm conversation:GlobalHasIrm conversation:IconIndex conversation:GlobalIconIndex
  conversation:InstanceKey conversation:LastModifiedTime conversation:Preview
Exchange2013_SP1: item:MimeContentUTF8 calendar:EnhancedLocation calendar:StartWallClock calendar:EndWallClock
  calendar:StartTimeZoneId calendar:EndTimeZoneId calendar:IsOrganizer
Exchange2015: item:Hashtags item:Mentions item:MentionedMe item:Likes
Exchange2016: item:DisplayBcc item:MentionsPreview item:MentionsEx item:AppliedHashtags item:AppliedHashtagsPreview
  item:LikesPreview item:PendingSocialActivityTagIds item:AtAllMention item:CanDelete item:InferenceClassification
  item:FirstBody message:MessageSafety message:PublishedCalendarItemIcs message:PublishedCalendarItemName
""")

# What may stand in a request beside operations and paths. An element of this name has one meaning wherever it stands.
_ELEMENTS: Final[Mapping[str, SchemaVersion]] = {
    **{
        xml.T + uri.partition(":")[2]: version
        for uri, version in _PROPERTIES.items()
        # Elements of these names have other meanings, too: a conversation, a folder, somebody in the directory.
        if uri not in ("item:ConversationId", "folder:DistinguishedFolderId", "contacts:Alias")
        and not uri.startswith("conversation:")
    },
    **{
        "{" + space + "}" + name: version
        for space, listed in (
            (
                xml.T[1:-1],
                """
Exchange2010: FilterHtmlContent IsContactPhoto
Exchange2010_SP1: ConvertHtmlCodePageToUTF8
Exchange2013: UniqueBodyType NormalizedBodyType InlineImageUrlTemplate BlockExternalImages AddBlankTargetToLinks
  MaximumBodySize
Exchange2015: ReferenceAttachment
""",
            ),
            (
                xml.M[1:-1],
                """
Exchange2010: SyncScope QueryString
Exchange2010_SP1: StreamingSubscriptionRequest ReturnNewItemIds
Exchange2013: MailboxScope
""",
            ),
        )
        for name, version in _since(listed).items()
    },
}
_ATTRIBUTES: Final[Mapping[str, SchemaVersion]] = _since("""
Exchange2010_SP1: ContactDataShape
Exchange2013: SuppressReadReceipts ViewFilter
""")
_FOLDERS: Final[Mapping[str, SchemaVersion]] = _since("""
Exchange2010_SP1: recoverableitemsroot recoverableitemsdeletions recoverableitemsversions recoverableitemspurges
  archiveroot archivemsgfolderroot archivedeleteditems archiverecoverableitemsroot
  archiverecoverableitemsdeletions archiverecoverableitemsversions archiverecoverableitemspurges
Exchange2013: syncissues conflicts localfailures serverfailures recipientcache quickcontacts conversationhistory
  adminauditlogs todosearch mycontacts imcontactlist peopleconnect favorites
Exchange2013_SP1: recoverableitemsdiscoveryholds archiverecoverableitemsdiscoveryholds archiveinbox directory
""")


def knows(version: SchemaVersion, uri: str) -> bool:
    """Return whether a version knows the property of a FieldURI."""
    return version >= _PROPERTIES.get(uri, UNNAMED)


def check_operation(version: SchemaVersion, operation: str) -> None:
    """
    Return if a version knows an operation.

    Raises:
        FaultError: ErrorIncorrectSchemaVersion.
    """
    if version < _OPERATIONS.get(operation, UNNAMED):
        raise FaultError("ErrorIncorrectSchemaVersion")


def check_content(version: SchemaVersion, request: etree._Element) -> None:
    """
    Return if a version knows all that stands in a request, except for the properties that it points at.

    Raises:
        FaultError: ErrorIncorrectSchemaVersion.
    """
    if version >= LATEST:
        return
    for node in request.iter("*"):
        since = _ELEMENTS.get(str(node.tag), UNNAMED)
        if node.tag == xml.T + "DistinguishedFolderId":
            since = _FOLDERS.get(str(node.get("Id")), UNNAMED)
        for name in node.attrib:
            since = max(since, _ATTRIBUTES.get(str(name), UNNAMED))
        if version < since:
            raise FaultError("ErrorIncorrectSchemaVersion")


def check_paths(version: SchemaVersion, node: etree._Element | None) -> None:
    """
    Return if a version knows every property that a part of a request points at.

    Raises:
        EwsError: ErrorInvalidPropertyRequest.
    """
    if node is None or version >= LATEST:
        return
    for path in node.iter(xml.T + "FieldURI"):
        uri = str(path.get("FieldURI"))
        if not knows(version, uri):
            raise unknown_property(version, uri)


def unknown_property(version: SchemaVersion, uri: str) -> EwsError:
    """Return the refusal of a property that is not one of the objects asked for, in Exchange Online's words."""
    text = f"The property {uri} is not valid for this object type. The Current ExchangeVersion is {version.name}."
    return EwsError("ErrorInvalidPropertyRequest", text, f'<t:FieldURI FieldURI="{xml.attribute(uri)}"/>')
