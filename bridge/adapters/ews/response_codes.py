"""
The response codes of Exchange, in sets by their meaning; `errors.py` has the error for each set.

Every code of the schema is in one of them. The names are those of `ResponseCodeType` in messages.xsd, of Exchange
Server and of Exchange Online, and a few that only the documentation knows. A code that is not in any of these sets is
one that nobody knew when this was written.
"""

from __future__ import annotations

from typing import Final


def _codes(names: str) -> frozenset[str]:
    return frozenset(names.split())


THROTTLED: Final = _codes(
    """
    ErrorExceededChannelSubscriptionCount ErrorExceededConnectionCount ErrorExceededSubscriptionCount
    ErrorInsufficientResources ErrorNotEnoughMemory ErrorServerBusy ErrorTooManyObjectsOpened
    """
)
"""Exchange asks for fewer calls."""

UNAVAILABLE: Final = _codes(
    """
    ErrorADOperation ErrorADUnavailable ErrorBatchProcessingStopped ErrorClientDisconnected ErrorConnectionFailed
    ErrorCrossSiteRequest ErrorDataSourceOperation ErrorDeleteItemsFailed ErrorFolderPropertRequestFailed
    ErrorFolderSave ErrorFolderSaveFailed ErrorFolderSavePropertyError ErrorGetServerSecurityDescriptorFailed
    ErrorInternalServerError ErrorInternalServerTransientError ErrorInvalidClientSecurityContext
    ErrorInvalidNetworkServiceContext ErrorInvalidProxySecurityContext ErrorInvalidSerializedAccessToken
    ErrorItemSave ErrorItemSavePropertyError ErrorLocalServerObjectNotFound ErrorLogonAsNetworkServiceFailed
    ErrorMailboxFailover ErrorMailboxMoveInProgress ErrorMailboxStoreUnavailable ErrorMissedNotificationEvents
    ErrorNoApplicableProxyCASServersAvailable ErrorNoDestinationCASDueToKerberosRequirements
    ErrorNoDestinationCASDueToSSLRequirements ErrorNoDestinationCASDueToVersionMismatch
    ErrorNoOAuthServerAvailableForRequest ErrorNoRespondingCASInDestinationSite ErrorParsingXMLResponse
    ErrorPropertyUpdate ErrorProxiedSubscriptionCallFailure ErrorProxyCallFailed ErrorProxyRequestProcessingFailed
    ErrorProxyServiceDiscoveryFailed ErrorProxySoapException ErrorProxyTokenExpired ErrorReadEventsFailed
    ErrorRequestAborted ErrorResponseSchemaValidation ErrorServiceDiscoveryFailed ErrorServiceUnavailable
    ErrorTimeoutExpired ErrorTokenSerializationDenied ErrorWebRequestInInvalidState ErrorWin32InteropError
    """
)
"""Exchange, or something behind it, cannot at the moment. A call that changes something may have worked."""

CONFLICT: Final = _codes(
    """
    ErrorFolderExists ErrorInvalidItemForOperationSendItem ErrorInvalidPropertyUpdateSentMessage
    ErrorItemNotFound ErrorObjectTypeChanged
    """
)
"""One call was refused before anything was done, for what others did meanwhile: look again."""

CHANGED: Final = _codes(
    """
    ErrorChangeKeyRequired ErrorChangeKeyRequiredForWriteOperations ErrorInvalidChangeKey ErrorIrresolvableConflict
    ErrorStaleObject
    """
)
"""Likewise, for the change key and nothing else."""

LOGIN: Final = _codes(
    """
    ErrorPasswordChangeRequired ErrorPasswordExpired
    """
)
"""The login is good for nothing."""

NOT_IMPERSONATED: Final = _codes(
    """
    ErrorImpersonateUserDenied ErrorImpersonationDenied ErrorImpersonationFailed
    """
)
"""The mailbox is outside of what the app or account may act as."""

ACCESS_DENIED: Final = _codes(
    """
    ErrorAccessDenied ErrorAccountDisabled ErrorAccountSuspend ErrorAccountSuspendShowTierUpgrade
    ErrorCallerIsInvalidADAccount ErrorCannotDeleteObject ErrorCreateItemAccessDenied
    ErrorCreateSubfolderAccessDenied ErrorInvalidAuthorizationContext ErrorInvalidClientAccessTokenRequest
    ErrorInvalidExchangeImpersonationHeaderData ErrorInvalidLicense ErrorInvalidLogonType ErrorMailboxConfiguration
    ErrorMailboxLogonFailed ErrorMessageSubmissionBlocked ErrorMoveCopyFailed ErrorMultiLegacyMailboxAccess
    ErrorOrganizationAccessBlocked ErrorPermissionNotAllowedByPolicy ErrorProxyRequestNotAllowed
    ErrorUnauthorizedClientAccessTokenRequest ErrorUserNotAllowedByPolicy
    """
)
"""The app or account may not, in this mailbox."""

FOLDER_MISSING: Final = _codes(
    """
    ErrorFolderNotFound ErrorParentFolderNotFound ErrorSavedItemFolderNotFound ErrorSyncFolderNotFound
    ErrorToFolderNotFound
    """
)
"""A folder is not there."""

MAILBOX_MISSING: Final = _codes(
    """
    ErrorCannotFindUser ErrorDuplicateLegacyDistinguishedName ErrorInvalidMailbox ErrorInvalidSid
    ErrorInvalidUserPrincipalName ErrorInvalidUserSid ErrorInvalidUserSidMissingUPN ErrorMissingEmailAddress
    ErrorMissingExchangePrincipal ErrorMissingInformationReferenceUser ErrorNonExistentMailbox
    ErrorNonPrimarySmtpAddress ErrorUnifiedGroupMailboxNotFound
    """
)
"""There is no such mailbox."""

FULL: Final = _codes(
    """
    ErrorExceededMessageLimit ErrorExceededMessageLimitShowTierUpgrade
    ErrorMessagePerFolderCountReceiveQuotaExceeded ErrorQuotaExceeded ErrorSubmissionQuotaExceeded
    """
)
"""The mailbox, or what it may send, is used up."""

SEND_REFUSALS: Final = _codes(
    """
    ErrorAttachmentNestLevelLimitExceeded ErrorAttachmentSizeLimitExceeded ErrorContentConversionFailed
    ErrorDataSizeLimitExceeded ErrorDistributionListMemberNotExist ErrorExceededMaxRecipientLimit
    ErrorExceededMaxRecipientLimitBlock ErrorExceededMaxRecipientLimitShowTierUpgrade
    ErrorInvalidContactEmailAddress ErrorInvalidExtendedPropertyValue ErrorInvalidInternetHeaderChildNodes
    ErrorInvalidPropertySet ErrorInvalidRecipients ErrorInvalidRoutingType ErrorInvalidSmtpAddress
    ErrorMailRecipientNotFound ErrorMessageBlocked ErrorMessageSizeExceeded ErrorMimeContentInvalid
    ErrorMimeContentInvalidBase64String ErrorMissingRecipients ErrorPropertyValidationFailure
    ErrorRecipientNotFound ErrorRequestStreamTooBig ErrorRequiredPropertyMissing ErrorSchemaValidation
    ErrorSendAsDenied ErrorVirusDetected
    """
)
"""Exchange will not send this mail, however often it is asked."""

CONVERSION_REFUSALS: Final = _codes(
    """
    ErrorContentConversionFailed ErrorMimeContentConversionFailed ErrorUnsupportedMimeConversion
    """
)
"""The mail is there, its MIME cannot be made; its properties may still be had."""

UNREADABLE: Final = _codes(
    """
    ErrorCannotOpenFileAttachment ErrorCorruptData ErrorItemCorrupt ErrorItemPropertyRequestFailed
    ErrorPropertyRequestFailed ErrorVirusMessageDeleted
    """
)
"""The mail can be had neither as MIME nor by its properties."""

NOT_POSSIBLE: Final = _codes(
    """
    ErrorADSessionFilter ErrorAccessModeSpecified ErrorAddDelegatesFailed ErrorAddressSpaceNotFound
    ErrorAffectedTaskOccurrencesRequired ErrorApplyConversationActionFailed ErrorArchiveFolderPathCreation
    ErrorArchiveMailboxNotEnabled ErrorArchiveMailboxSearchFailed ErrorArchiveMailboxServiceDiscoveryFailed
    ErrorAutoDiscoverFailed ErrorAvailabilityConfigNotFound ErrorCalendarCannotMoveOrCopyOccurrence
    ErrorCalendarCannotUpdateDeletedItem ErrorCalendarCannotUseIdForOccurrenceId
    ErrorCalendarCannotUseIdForRecurringMasterId ErrorCalendarDurationIsTooLong
    ErrorCalendarEndDateIsEarlierThanStartDate ErrorCalendarFolderIsInvalidForCalendarView
    ErrorCalendarForwardActionNotAllowed ErrorCalendarInvalidAttributeValue
    ErrorCalendarInvalidDayForTimeChangePattern ErrorCalendarInvalidDayForWeeklyRecurrence
    ErrorCalendarInvalidPropertyState ErrorCalendarInvalidPropertyValue ErrorCalendarInvalidRecurrence
    ErrorCalendarInvalidTimeZone ErrorCalendarIsCancelledForAccept ErrorCalendarIsCancelledForDecline
    ErrorCalendarIsCancelledForRemove ErrorCalendarIsCancelledForTentative ErrorCalendarIsDelegatedForAccept
    ErrorCalendarIsDelegatedForDecline ErrorCalendarIsDelegatedForRemove ErrorCalendarIsDelegatedForTentative
    ErrorCalendarIsGroupMailboxForAccept ErrorCalendarIsGroupMailboxForDecline
    ErrorCalendarIsGroupMailboxForSuppressReadReceipt ErrorCalendarIsGroupMailboxForTentative
    ErrorCalendarIsNotOrganizer ErrorCalendarIsOrganizerForAccept ErrorCalendarIsOrganizerForDecline
    ErrorCalendarIsOrganizerForRemove ErrorCalendarIsOrganizerForTentative ErrorCalendarMeetingRequestIsOutOfDate
    ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange ErrorCalendarOccurrenceIsDeletedFromRecurrence
    ErrorCalendarOutOfRange ErrorCalendarSeekToConditionNotSupported ErrorCalendarViewRangeTooBig
    ErrorCannotAccessDeletedPublicFolder ErrorCannotArchiveCalendarContactTaskFolderException
    ErrorCannotArchiveItemsInArchiveMailbox ErrorCannotArchiveItemsInPublicFolders
    ErrorCannotCreateCalendarItemInNonCalendarFolder ErrorCannotCreateContactInNonContactFolder
    ErrorCannotCreatePostItemInNonMailFolder ErrorCannotCreateTaskInNonTaskFolder ErrorCannotDeleteTaskOccurrence
    ErrorCannotDisableMandatoryExtension ErrorCannotDownloadExtensionManifest ErrorCannotEmptyFolder
    ErrorCannotGetExternalEcpUrl ErrorCannotGetSourceFolderPath ErrorCannotSetCalendarPermissionOnNonCalendarFolder
    ErrorCannotSetNonCalendarPermissionOnCalendarFolder ErrorCannotSetPermissionUnknownEntries
    ErrorCannotSpecifySearchFolderAsSourceFolder ErrorCannotUninstallProvidedExtensions
    ErrorCannotUseFolderIdForItemId ErrorCannotUseItemIdForFolderId ErrorChannelSubscriptionAlreadyExists
    ErrorChannelSubscriptionNotFound ErrorClientIntentInvalidStateDefinition ErrorClientIntentNotFound
    ErrorContainsFilterWrongType ErrorContentIndexingNotEnabled ErrorCreateManagedFolderPartialCompletion
    ErrorCrossMailboxMoveCopy ErrorDelegateAlreadyExists ErrorDelegateCannotAddOwner
    ErrorDelegateMissingConfiguration ErrorDelegateNoUser ErrorDelegateValidationFailed
    ErrorDeleteDistinguishedFolder ErrorDeleteUnifiedMessagingPromptFailed ErrorDiscoverySearchesDisabled
    ErrorDistinguishedUserNotSupported ErrorDuplicateExtendedKeywordDefinition ErrorDuplicateInputFolderNames
    ErrorDuplicateSOAPHeader ErrorDuplicateSenderRestrictionsInputFound ErrorDuplicateUserIdsSpecified
    ErrorEmailAddressMismatch ErrorEventNotFound ErrorExceededFindCountLimit ErrorExpiredSubscription
    ErrorExportRemoteArchiveItemsFailed ErrorExtensionAlreadyInstalledForOrg ErrorExtensionNotFound
    ErrorExtensionsNotAuthorized ErrorFindRemoteArchiveFolderFailed ErrorFolderCorrupt ErrorFreeBusyDLLimitReached
    ErrorFreeBusyGenerationFailed ErrorGetRemoteArchiveFolderFailed ErrorGetRemoteArchiveItemFailed
    ErrorIPGatewayNotFound ErrorImContactLimitReached ErrorImGroupDisplayNameAlreadyExists ErrorImGroupLimitReached
    ErrorInboxRulesValidationError ErrorIncorrectSchemaVersion ErrorIncorrectUpdatePropertyCount
    ErrorIndividualMailboxLimitReached ErrorInstantSearchFailed ErrorInstantSearchSessionExpired
    ErrorInstantSearchTimeout ErrorInvalidAccessLevel ErrorInvalidArgument ErrorInvalidAttachmentId
    ErrorInvalidAttachmentSubfilter ErrorInvalidAttachmentSubfilterTextFilter ErrorInvalidBulkActionType
    ErrorInvalidChannelId ErrorInvalidChannelSubscriptionId ErrorInvalidCompleteDate ErrorInvalidContactEmailIndex
    ErrorInvalidCrossForestCredentials ErrorInvalidDelegatePermission ErrorInvalidDelegateUserId
    ErrorInvalidExcludesRestriction ErrorInvalidExpressionTypeForSubFilter ErrorInvalidExtendedProperty
    ErrorInvalidExtensionId ErrorInvalidExternalSharingInitiator ErrorInvalidExternalSharingSubscriber
    ErrorInvalidFederatedOrganizationId ErrorInvalidFederationOrganizationIdentifier ErrorInvalidFolderId
    ErrorInvalidFolderTypeForOperation ErrorInvalidFractionalPagingParameters ErrorInvalidFreeBusyViewType
    ErrorInvalidGetSharingFolderRequest ErrorInvalidId ErrorInvalidIdEmpty ErrorInvalidIdMalformed
    ErrorInvalidIdMalformedEwsLegacyIdFormat ErrorInvalidIdMonikerTooLong ErrorInvalidIdNotAnItemAttachmentId
    ErrorInvalidIdReturnedByResolveNames ErrorInvalidIdStoreObjectIdTooLong ErrorInvalidIdTooManyAttachmentLevels
    ErrorInvalidIdXml ErrorInvalidImContactId ErrorInvalidImDistributionGroupSmtpAddress ErrorInvalidImGroupId
    ErrorInvalidIndexedPagingParameters ErrorInvalidInternetWebProxyOnLocalServer
    ErrorInvalidItemForOperationAcceptItem ErrorInvalidItemForOperationArchiveItem
    ErrorInvalidItemForOperationCancelItem ErrorInvalidItemForOperationCreateItem
    ErrorInvalidItemForOperationCreateItemAttachment ErrorInvalidItemForOperationDeclineItem
    ErrorInvalidItemForOperationExpandDL ErrorInvalidItemForOperationRemoveItem
    ErrorInvalidItemForOperationTentative ErrorInvalidKeepNCount ErrorInvalidKeepNType ErrorInvalidLatitude
    ErrorInvalidLikeRequest ErrorInvalidLongitude ErrorInvalidManagedFolderProperty ErrorInvalidManagedFolderQuota
    ErrorInvalidManagedFolderSize ErrorInvalidManagementRoleHeader ErrorInvalidMergedFreeBusyInterval
    ErrorInvalidNameForNameResolution ErrorInvalidOofParameter ErrorInvalidOperation
    ErrorInvalidOrganizationRelationshipForFreeBusy ErrorInvalidPagingMaxRows ErrorInvalidParentFolder
    ErrorInvalidPercentCompleteValue ErrorInvalidPermissionSettings ErrorInvalidPhoneCallId ErrorInvalidPhoneNumber
    ErrorInvalidPhotoSize ErrorInvalidPropertyAppend ErrorInvalidPropertyDelete ErrorInvalidPropertyForExists
    ErrorInvalidPropertyForOperation ErrorInvalidPropertyRequest ErrorInvalidPullSubscriptionId
    ErrorInvalidPushSubscriptionUrl ErrorInvalidRecipientSubfilter ErrorInvalidRecipientSubfilterComparison
    ErrorInvalidRecipientSubfilterOrder ErrorInvalidRecipientSubfilterTextFilter ErrorInvalidReferenceItem
    ErrorInvalidReportMessageActionType ErrorInvalidRequest ErrorInvalidRestriction ErrorInvalidRetentionTagIdGuid
    ErrorInvalidRetentionTagInheritance ErrorInvalidRetentionTagInvisible ErrorInvalidRetentionTagNone
    ErrorInvalidRetentionTagTypeMismatch ErrorInvalidSIPUri ErrorInvalidScheduledOofDuration
    ErrorInvalidSchemaVersionForMailboxVersion ErrorInvalidSecurityDescriptor ErrorInvalidSendItemSaveSettings
    ErrorInvalidServerVersion ErrorInvalidSharingData ErrorInvalidSharingMessage ErrorInvalidSubfilterType
    ErrorInvalidSubfilterTypeNotAttendeeType ErrorInvalidSubfilterTypeNotRecipientType ErrorInvalidSubscription
    ErrorInvalidSubscriptionRequest ErrorInvalidSweepRule ErrorInvalidSweepRuleOperationType
    ErrorInvalidSyncStateData ErrorInvalidTimeInterval ErrorInvalidUserInfo ErrorInvalidUserOofSettings
    ErrorInvalidValueForProperty ErrorInvalidWatermark ErrorLegacyMailboxFreeBusyViewTypeNotMerged
    ErrorLocationServicesDisabled ErrorLocationServicesInvalidRequest ErrorLocationServicesRequestFailed
    ErrorLocationServicesRequestTimedOut ErrorMailTipsDisabled ErrorMailboxDataArrayEmpty
    ErrorMailboxDataArrayTooBig ErrorMailboxHoldNotFound ErrorMailboxScopeNotAllowedWithoutQueryString
    ErrorManagedFolderAlreadyExists ErrorManagedFolderNotFound ErrorManagedFoldersRootFailure
    ErrorMarketPlaceExtensionAlreadyInstalledForOrg ErrorMeetingSuggestionGenerationFailed
    ErrorMessageDispositionRequired ErrorMessageTrackingNoSuchDomain ErrorMessageTrackingPermanentError
    ErrorMessageTrackingTransientError ErrorMissingArgument ErrorMissingEmailAddressForManagedFolder
    ErrorMissingInformationEmailAddress ErrorMissingInformationReferenceItemId
    ErrorMissingInformationSharingFolderId ErrorMissingItemForCreateItemAttachment ErrorMissingManagedFolderId
    ErrorMissingUserIdInformation ErrorMoreThanOneAccessModeSpecified ErrorMoveDistinguishedFolder
    ErrorNameResolutionMultipleResults ErrorNameResolutionNoMailbox ErrorNameResolutionNoResults
    ErrorNewChannelConnectionOpened ErrorNewEventStreamConnectionOpened ErrorNewerExtensionAlreadyInstalled
    ErrorNewerMarketPlaceExtensionAlreadyInstalled ErrorNoCalendar ErrorNoFolderClassOverride ErrorNoFreeBusyAccess
    ErrorNoPropertyTagForCustomProperties ErrorNoPublicFolderReplicaAvailable ErrorNoPublicFolderServerAvailable
    ErrorNoRbacPermissionToInstallMarketPlaceExtensions ErrorNoRbacPermissionToInstallReadWriteMailboxExtensions
    ErrorNoSenderRestrictionsSettingsFoundInRequest ErrorNoSpeechDetected ErrorNotAllowedExternalSharingByPolicy
    ErrorNotDelegate ErrorNotSupportedSharingMessage ErrorOccurrenceCrossingBoundary ErrorOccurrenceTimeSpanTooBig
    ErrorOperationNotAllowedWithPublicFolderRoot ErrorOrganizationNotFederated ErrorOutlookRuleBlobExists
    ErrorParentFolderIdRequired ErrorPhoneNumberNotDialable ErrorPromptPublishingOperationFailed
    ErrorProxyGroupSidLimitExceeded ErrorPublicFolderMailboxDiscoveryFailed ErrorPublicFolderOperationFailed
    ErrorPublicFolderRequestProcessingFailed ErrorPublicFolderServerNotFound ErrorPublicFolderSyncException
    ErrorQueryFilterTooLong ErrorReadReceiptNotPending ErrorRecognizerNotInstalled ErrorRecurrenceEndDateTooBig
    ErrorRecurrenceHasNoOccurrence ErrorRemoveDelegatesFailed ErrorResolveNamesInvalidFolderType
    ErrorResolveNamesOnlyOneContactsFolderAllowed ErrorRestrictionTooComplex ErrorRestrictionTooLong
    ErrorResultSetTooBig ErrorRulesOverQuota ErrorSearchFolderNotInitialized ErrorSearchQueryHasTooManyKeywords
    ErrorSearchTooManyMailboxes ErrorSendMeetingCancellationsRequired
    ErrorSendMeetingInvitationsOrCancellationsRequired ErrorSendMeetingInvitationsRequired
    ErrorSenderRestrictionsUpdateFailed ErrorSentMeetingRequestUpdate ErrorSentTaskRequestUpdate
    ErrorSharingNoExternalEwsAvailable ErrorSharingSynchronizationFailed ErrorSpeechGrammarError
    ErrorSubscriptionAccessDenied ErrorSubscriptionDelegateAccessNotSupported ErrorSubscriptionNotFound
    ErrorSubscriptionUnsubscribed ErrorSubscriptionsDisabledForGroup ErrorTargetDomainNotSupported
    ErrorTeamMailboxActiveToPendingDelete ErrorTeamMailboxErrorUnknown ErrorTeamMailboxFailedSendingNotifications
    ErrorTeamMailboxNotAuthorizedOwner ErrorTeamMailboxNotFound ErrorTeamMailboxNotLinkedToSharePoint
    ErrorTeamMailboxUrlValidationFailed ErrorTimeIntervalTooBig ErrorTimeZone ErrorUMServerUnavailable
    ErrorUnableToGetUserOofSettings ErrorUnableToRemoveImContactFromGroup ErrorUnexpectedUnifiedGroupsCount
    ErrorUnifiedGroupAadAuthorizationRequestDenied ErrorUnifiedGroupAliasNamingPolicy
    ErrorUnifiedGroupAlreadyExists ErrorUnifiedGroupCreationDisabled ErrorUnifiedGroupMailboxAADCreationFailed
    ErrorUnifiedGroupMailboxAADDeleteFailed ErrorUnifiedGroupMailboxDeleteFailed
    ErrorUnifiedGroupMailboxNamingPolicy ErrorUnifiedGroupMailboxProvisionFailed
    ErrorUnifiedGroupMailboxUpdateDelayed ErrorUnifiedGroupMailboxUpdateFailed
    ErrorUnifiedGroupMailboxUpdatedPartialProperties ErrorUnifiedMessagingDialPlanNotFound
    ErrorUnifiedMessagingPromptNotFound ErrorUnifiedMessagingReportDataNotFound ErrorUnifiedMessagingRequestFailed
    ErrorUnifiedMessagingServerNotFound ErrorUnsupportedCulture ErrorUnsupportedMapiPropertyType
    ErrorUnsupportedPathForQuery ErrorUnsupportedPathForSortGroup ErrorUnsupportedPropertyDefinition
    ErrorUnsupportedQueryFilter ErrorUnsupportedRecurrence ErrorUnsupportedSubFilter
    ErrorUnsupportedTypeForConversion ErrorUnsupportedUserForExecuteSearch ErrorUpdateDelegatesFailed
    ErrorUpdatePropertyMismatch ErrorUserNotUnifiedMessagingEnabled ErrorUserWithoutFederatedProxyAddress
    ErrorValueOutOfRange ErrorVoiceMailNotImplemented ErrorWeatherServiceDisabled ErrorWorkingHoursSaveFailed
    ErrorWorkingHoursXmlMalformed ErrorWrongServerVersion ErrorWrongServerVersionDelegate
    """
)
"""The call itself is refused for good, or belongs to what the bridge never asks for: a person has to look."""
