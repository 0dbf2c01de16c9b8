"""Refusals: of one item of a request, and of a whole request; each code with the text that Exchange gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.sandbox.store import errors as store_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXTS: Final[Mapping[str, str]] = {
    "ErrorAccessDenied": "Access is denied. Check credentials and try again.",
    "ErrorAffectedTaskOccurrencesRequired": "AffectedTaskOccurrences attribute is required for Task objects.",
    "ErrorAttachmentNestLevelLimitExceeded": "The limit of nested attachments has been exceeded.",
    "ErrorAttachmentSizeLimitExceeded": "The attachment size limit has been exceeded.",
    "ErrorBatchProcessingStopped": "Batch processing was stopped; this item was not looked at.",
    "ErrorCalendarCannotMoveOrCopyOccurrence": "An occurrence of a recurring item cannot be moved, copied or sent by "
    "itself.",
    "ErrorCalendarCannotUseIdForOccurrenceId": "The Id does not belong to an occurrence of a recurring item.",
    "ErrorCalendarCannotUseIdForRecurringMasterId": "The Id does not belong to an occurrence of a recurring "
    "item, so it has no recurring master.",
    "ErrorCalendarDurationIsTooLong": "The duration of a calendar item cannot be longer than five years.",
    "ErrorCalendarEndDateIsEarlierThanStartDate": "EndDate is earlier than StartDate",
    "ErrorCalendarFolderIsInvalidForCalendarView": "Calendar view can only be used on calendar folders.",
    "ErrorCalendarIsNotOrganizer": "Must be organizer to cancel a calendar item.",
    "ErrorCalendarIsOrganizerForAccept": "User can't be the organizer to accept a meeting request.",
    "ErrorCalendarIsOrganizerForDecline": "User can't be the organizer to decline a meeting request.",
    "ErrorCalendarIsOrganizerForTentative": "User can't be the organizer to tentatively accept a meeting request.",
    "ErrorCalendarInvalidRecurrence": "The recurrence is invalid.",
    "ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange": "Occurrence index is out of recurrence range.",
    "ErrorCalendarOccurrenceIsDeletedFromRecurrence": "The occurrence is deleted from the recurrence.",
    "ErrorCalendarViewRangeTooBig": "The specified view range exceeds the maximum range of two years.",
    "ErrorCannotCreateCalendarItemInNonCalendarFolder": "Cannot create a calendar item in a non-calendar folder.",
    "ErrorCannotCreateContactInNonContactFolder": "Cannot create a contact in a non-contact Folder.",
    "ErrorCannotCreateTaskInNonTaskFolder": "Cannot create a task in a non-task folder.",
    "ErrorCannotEmptyFolder": "Folder cannot be emptied.",
    "ErrorCannotSetCalendarPermissionOnNonCalendarFolder": "Cannot set calendar permissions on a folder that is no "
    "calendar.",
    "ErrorCannotSetNonCalendarPermissionOnCalendarFolder": "Cannot set permissions of other folders on a calendar.",
    "ErrorCannotSetPermissionUnknownEntries": "Cannot set unknown entries in a permission set.",
    "ErrorCannotUseFolderIdForItemId": "Id must be an item id, not a folder id.",
    "ErrorCannotUseItemIdForFolderId": "Id must be a folder id, not an item id.",
    "ErrorChangeKeyRequired": "A change key is required for this operation.",
    "ErrorChangeKeyRequiredForWriteOperations": "Change key is required for this operation.",
    "ErrorCorruptData": "The data is corrupt.",
    "ErrorCreateItemAccessDenied": "Access is denied. Check credentials and try again., The item cannot be created.",
    "ErrorCreateSubfolderAccessDenied": "Access is denied. Check credentials and try again., The folder "
    "cannot be created.",
    "ErrorCrossMailboxMoveCopy": "The item or folder cannot be moved or copied to another mailbox.",
    "ErrorDelegateAlreadyExists": "The delegate already exists.",
    "ErrorDelegateCannotAddOwner": "The owner of the mailbox cannot be added as a delegate.",
    "ErrorDelegateNoUser": "The user is not a user of this organization.",
    "ErrorDeleteDistinguishedFolder": "Distinguished folders cannot be deleted.",
    "ErrorDuplicateSOAPHeader": "A SOAP header is given twice.",
    "ErrorDuplicateUserIdsSpecified": "A user is named twice in the permission set.",
    "ErrorExceededConnectionCount": "You have exceeded the available concurrent connections for your account. "
    "Try again once your other requests have completed.",
    "ErrorExceededFindCountLimit": "You have exceeded the maximum number of objects that can be returned for the find "
    "operation. Use paging to reduce the result size and try your request again.",
    "ErrorExceededSubscriptionCount": "You have exceeded the available subscriptions for your account. Remove "
    "unnecessary subscriptions and try your request again.",
    "ErrorFolderExists": "A folder with the specified name already exists.",
    "ErrorFolderNotFound": "The specified folder could not be found in the store.",
    "ErrorImpersonateUserDenied": "The account does not have permission to impersonate the requested user.",
    "ErrorIncorrectSchemaVersion": "The request is valid but does not specify the correct server version in the "
    "RequestServerVersion SOAP header.  Ensure that the RequestServerVersion SOAP header is set with the correct "
    "RequestServerVersionValue.",
    "ErrorIncorrectUpdatePropertyCount": "An object within a change description must contain one and only one "
    "property to modify.",
    "ErrorInternalServerError": "An internal server error occurred. The operation failed.",
    "ErrorInvalidAttachmentId": "The attachment id is invalid.",
    "ErrorInvalidChangeKey": "The change key is invalid.",
    "ErrorInvalidExchangeImpersonationHeaderData": "ExchangeImpersonation SOAP header must be present for this type of "
    "OAuth token.",
    "ErrorInvalidExtendedProperty": "The extended property attribute combination is invalid.",
    "ErrorInvalidExtendedPropertyValue": "The value for the extended property is invalid.",
    "ErrorInvalidFractionalPagingParameters": "The specified fractional paging parameters are invalid.",
    "ErrorInvalidCompleteDate": "The completion date of a task cannot be in the future.",
    "ErrorInvalidFreeBusyViewType": "The free/busy view type is invalid.",
    "ErrorInvalidIdEmpty": "Id must be non-empty.",
    "ErrorInvalidIdMalformed": "Id is malformed.",
    "ErrorInvalidIdNotAnItemAttachmentId": "Id must be the id of an attachment.",
    "ErrorInvalidIndexedPagingParameters": "The specified indexed paging parameters are invalid.",
    "ErrorInvalidItemForOperationCreateItem": "An item of this type cannot be created.",
    "ErrorInvalidItemForOperationCreateItemAttachment": "An item of this type cannot be attached.",
    "ErrorInvalidItemForOperationSendItem": "An item of this type cannot be sent.",
    "ErrorInvalidMergedFreeBusyInterval": "The merged free/busy interval must be from 5 to 1440 minutes.",
    "ErrorInvalidNameForNameResolution": "The name is invalid for name resolution.",
    "ErrorInvalidOperation": "The requested operation is invalid.",
    "ErrorInvalidPagingMaxRows": "Specified MaxRows value is invalid.",
    "ErrorInvalidPercentCompleteValue": "The percentage of a task must be between 0 and 100.",
    "ErrorInvalidPermissionSettings": "The permission settings do not fit their level.",
    "ErrorInvalidPropertyAppend": "Append action is invalid for property.",
    "ErrorInvalidPropertyDelete": "Delete action is invalid for property.",
    "ErrorInvalidPropertyRequest": "Property is not valid for this object type.",
    "ErrorInvalidPropertySet": "Set action is invalid for property.",
    "ErrorInvalidPropertyUpdateSentMessage": "Update operation is invalid for property of a sent message.",
    "ErrorInvalidPullSubscriptionId": "The subscription ID must be the ID of a pull subscription.",
    "ErrorInvalidPushSubscriptionUrl": "The push subscription URL is invalid.",
    "ErrorInvalidRecipients": "At least one recipient isn't valid.",
    "ErrorInvalidReferenceItem": "The reference item is invalid for this response object.",
    "ErrorInvalidRequest": "The request is invalid.",
    "ErrorInvalidScheduledOofDuration": "The duration of the out-of-office message is invalid.",
    "ErrorInvalidSendItemSaveSettings": "If SaveItemToFolder is false, it is illegal to specify SavedItemFolderId.",
    "ErrorInvalidServerVersion": "The specified server version is invalid.",
    "ErrorInvalidSmtpAddress": "The SMTP address format is invalid.",
    "ErrorInvalidSubscription": "Subscription is invalid.",
    "ErrorInvalidSubscriptionRequest": "The subscription request is invalid.",
    "ErrorInvalidSyncStateData": "Synchronization state data is corrupt or otherwise invalid.",
    "ErrorInvalidValueForProperty": "The specified value is invalid for property.",
    "ErrorInvalidTimeInterval": "The time interval is invalid.",
    "ErrorInvalidUserInfo": "The user is unknown.",
    "ErrorInvalidUserSid": "The SID of the user is invalid.",
    "ErrorInvalidWatermark": "The watermark is invalid.",
    "ErrorIrresolvableConflict": "The send or update operation could not be performed because the change key passed in "
    "the request does not match the current change key for the item.",
    "ErrorItemNotFound": "The specified object was not found in the store., The process failed to get the correct "
    "properties.",
    "ErrorMailboxDataArrayEmpty": "The array of mailboxes is empty.",
    "ErrorMailboxDataArrayTooBig": "The array of mailboxes has more than 100 entries.",
    "ErrorMessageDispositionRequired": "Message disposition is required.",
    "ErrorMimeContentInvalid": "The mime content is invalid.",
    "ErrorMimeContentInvalidBase64String": "The mime content is not a valid base64 string.",
    "ErrorMissingInformationReferenceItemId": "The reference item id is missing.",
    "ErrorMissedNotificationEvents": "Notification events have been missed. The subscription must be created again.",
    "ErrorMissingEmailAddress": "When making a request as an account that does not have a mailbox, you must specify "
    "the mailbox primary SMTP address for any distinguished folder Ids.",
    "ErrorItemSave": "Failed to save the item.",
    "ErrorMailRecipientNotFound": "The mail recipient could not be found.",
    "ErrorMissingItemForCreateItemAttachment": "The item that is to be attached is missing.",
    "ErrorMoveCopyFailed": "The move or copy operation failed.",
    "ErrorMoveDistinguishedFolder": "Distinguished folders cannot be moved.",
    "ErrorNameResolutionMultipleResults": "Multiple results were found.",
    "ErrorNameResolutionNoResults": "No results were found.",
    "ErrorNameResolutionNoMailbox": "The name has no mailbox associated with it.",
    "ErrorNewEventStreamConnectionOpened": "A new connection was opened for the subscription.",
    "ErrorNoFolderClassOverride": "The class of a folder of this type cannot be given.",
    "ErrorNoPropertyTagForCustomProperties": "A property tag cannot name a property of 0x8000 or above.",
    "ErrorNoPublicFolderReplicaAvailable": "There is no public folder replica available.",
    "ErrorNonExistentMailbox": "The SMTP address has no mailbox associated with it.",
    "ErrorNotDelegate": "The user is not a delegate of the mailbox.",
    "ErrorObjectTypeChanged": "The type of the object cannot be changed.",
    "ErrorParentFolderNotFound": "The specified parent folder could not be found.",
    "ErrorPropertyUpdate": "One or more properties could not be updated.",
    "ErrorReadReceiptNotPending": "The message asks for no read receipt.",
    "ErrorRequiredPropertyMissing": "Required property is missing.",
    "ErrorResolveNamesInvalidFolderType": "Names can be resolved in folders of contacts alone.",
    "ErrorResolveNamesOnlyOneContactsFolderAllowed": "Only one contacts folder can be searched.",
    "ErrorSavedItemFolderNotFound": "The folder to save the item in could not be found.",
    "ErrorSendAsDenied": "The user account which was used to submit this request does not have the right to send mail "
    "on behalf of the specified sending account.",
    "ErrorSendMeetingInvitationsOrCancellationsRequired": "SendMeetingInvitationsOrCancellations attribute is required "
    "for calendar items.",
    "ErrorSendMeetingInvitationsRequired": "SendMeetingInvitations attribute is required for calendar items.",
    "ErrorSendMeetingCancellationsRequired": "SendMeetingCancellations attribute is required for Calendar items.",
    "ErrorStaleObject": "The send or update operation could not be performed because the change key passed in the "
    "request does not match the current change key for the item.",
    "ErrorSubscriptionAccessDenied": "Access is denied. Only the subscription owner may access the subscription.",
    "ErrorSubscriptionDelegateAccessNotSupported": "Subscriptions are not supported for delegate user access.",
    "ErrorSubscriptionNotFound": "The specified subscription was not found.",
    "ErrorSyncFolderNotFound": "The folder to be synchronized could not be found.",
    "ErrorTimeZone": "The specified time zone isn't valid.",
    "ErrorTimeIntervalTooBig": "The requested time window is too big: at most 62 days.",
    "ErrorToFolderNotFound": "The destination folder could not be found.",
    "ErrorTooManyObjectsOpened": "Too many concurrent connections opened.",
    "ErrorUnsupportedCulture": "The culture is not supported.",
    "ErrorUnsupportedMapiPropertyType": "Properties of this type are not supported.",
    "ErrorUnsupportedMimeConversion": "Mime conversion is not supported for this item type.",
    "ErrorUnsupportedPathForQuery": "Property path is not supported for query.",
    "ErrorUnsupportedPathForSortGroup": "Property path is not supported for sort or grouping.",
    "ErrorUnsupportedPropertyDefinition": "The property definition is not supported.",
    "ErrorUnsupportedQueryFilter": "The query filter is not supported.",
    "ErrorUnsupportedTypeForConversion": "The property type is not supported for conversion.",
}


class EwsError(Exception):
    """One item of a request is refused, inside an HTTP 200; the others are not concerned."""

    def __init__(self, code: str, text: str | None = None, xml: str = "") -> None:
        """Hold the ResponseCode, its MessageText and the content of MessageXml."""
        super().__init__(code)
        self.code = code
        self.text = TEXTS[code] if text is None else text
        self.xml = xml


class FaultError(Exception):
    """A whole request is refused by a SOAP fault, HTTP 500."""

    def __init__(self, code: str, text: str | None = None) -> None:
        """Hold the ResponseCode and its text."""
        super().__init__(code)
        self.code = code
        self.text = TEXTS[code] if text is None else text


def of_store(error: store_errors.StoreError) -> EwsError:
    """Return what EWS calls a refusal of the store."""
    codes: tuple[tuple[type[store_errors.StoreError], str], ...] = (
        (store_errors.FolderExistsError, "ErrorFolderExists"),
        (store_errors.FolderNotFoundError, "ErrorFolderNotFound"),
        (store_errors.DistinguishedFolderError, "ErrorDeleteDistinguishedFolder"),
        (store_errors.StaleItemError, "ErrorStaleObject"),
        (store_errors.MailboxNotFoundError, "ErrorNonExistentMailbox"),
        (store_errors.AlreadySubmittedError, "ErrorItemNotFound"),
        (store_errors.ItemNotFoundError, "ErrorItemNotFound"),
    )
    return EwsError(next(code for kind, code in codes if isinstance(error, kind)))
