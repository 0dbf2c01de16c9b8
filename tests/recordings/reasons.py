# ruff: noqa: E501 - a table of sentences
"""
Why the sandbox's answers differ from recorded ones. The first reason that fits counts.

A reason that speaks of a server's age fits answers of servers of that age alone, so a newer one that shows the same
difference has no reason and fails the tests.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.recordings.collection import Recording

_Server = tuple[int, int]
_2007, _2007_SP1, _2010, _2013 = (8, 0), (8, 1), (14, 3), (15, 0)


@dataclass(frozen=True)
class Reason:
    """A reason, and what it is a reason for."""

    difference: str
    """A regular expression."""
    why: str
    file: str = ""
    """A regular expression; empty fits all."""
    servers: tuple[_Server, _Server] | None = None
    """The oldest and the newest server that it holds for; None: it has nothing to do with the server."""

    def fits(self, recording: Recording, difference: str) -> bool:
        """Return whether it is the reason."""
        if self.servers is not None and (
            recording.server is None or not self.servers[0] <= recording.server <= self.servers[1]
        ):
            return False
        return bool(re.search(self.difference, difference) and re.search(self.file, recording.file))


REASONS: Final[tuple[Reason, ...]] = (
    # HTTP
    Reason("no HTTP header (nel|report-to)", "Left out: it would have browsers send reports to Microsoft."),
    Reason("no HTTP header strict-transport-security", "Left out: a browser would then refuse the admin API, which speaks HTTP on the same name."),
    Reason("cache-control is “private”, not “private, max-age=0”", "Exchange 2007's wording; each Exchange since 2010 says `private`.", servers=(_2007, _2007_SP1)),
    Reason("no HTTP header content-length", "Exchange 2007 says the length of an answer; each since 2010 sends chunks, as the sandbox does.", servers=(_2007, _2007_SP1)),
    Reason("HTTP header content-type", "The sandbox's refusal has no page, so it says no kind.", file="create_existing_folder-01"),
    Reason("no HTTP header persistent-auth", "Said of a connection that NTLM proved; here each call is signed in by Basic."),
    # Around the body
    Reason("ServerVersionInfo has the attribute Version too", "Exchange 2007 has no such attribute before its first service pack.", servers=(_2007, _2007)),
    Reason("ServerVersionInfo has the attribute M(aj|in)orBuildNumber too", "Written by hand in a unit test, without the numbers of the build.", file="test_bulk"),
    Reason("no SOAP header", "Exchange 2007 puts its version before a fault too; of the later ones none does.", servers=(_2007, _2007_SP1)),
    Reason("no SOAP header", "Written by hand: the version `15.01.225.042` is none that a server has.", file="kdepim-runtime/errorserverbusy"),
    Reason("no SOAP header", "An Action of WS-Addressing, as the server's framework keeps it in its own log, and no version.", file="soapMessageWithFault"),
    # Faults
    Reason("^Fault", "Exchange 2007's form of a fault: no MessageXml, but Line and Position beside a message of its own.", servers=(_2007, _2007_SP1)),
    Reason("^Fault", "XXX and YYY stand for texts in a unit test.", file="test_error_schema_validation"),
    Reason("^Fault", "Made up, as its text says itself.", file="server_busy_fault"),
    Reason("faultstring", "The sample breaks its lines in the middle of the text; word for word it is the same up to a missing blank.", file="getserviceconfiguration-operation-Fault"),
    Reason("faultstring", "What .NET's reader says of broken XML is known of one kind of mistake; of all others the sandbox names the place.", file="soapMessageWithFault"),
    # Texts
    Reason("not “The specified object was not found in the store.”", "Up to Exchange 2013 the text ends after the first sentence; that of Exchange Online, 15.20, goes on, and the sandbox with it.", servers=(_2007, _2013)),
    Reason("not “A folder with the specified name already exists.”", "Up to Exchange 2010 the text ends after the first sentence; clients of newer servers are told which folder could not be made.", servers=(_2007, _2010)),
    Reason("Es wurden keine Ergebnisse", "That server speaks German."),
    Reason("corrupted", "The two samples of 8.0.628 use both words for one mistake; the sandbox says for folders what they say for items.", file="syncfolderhierarchy-operation"),
    # Folders
    Reason("PermissionSet", "The recorded folder is shared with people by name; the one that stands for it has the entries of everybody and of strangers alone."),
    Reason("", "Made up: folders that hold contacts in a mail folder's element; servers show a ContactsFolder, as the other recordings do.", file="test_public_folders_root"),
    Reason("Folder has DistinguishedFolderId too", "The sample of 15.0.893 leaves it out; recordings of Exchange Online have it.", file="set-folder-permissions", servers=(_2013, _2013)),
    Reason("FolderId has the attribute ChangeKey too", "The sample leaves the change key out; the recordings of 8.1 and 14.2 have it.", file="createfolder-operation", servers=(_2007, _2007)),
    Reason("TasksFolder too|other order of CalendarFolder ContactsFolder Folder", "The request lists the whole mailbox; that one had no folder for tasks, and its folders in another order.", file="how-to-work-with-folders"),
    Reason("has no Folder", "The request, of another file of the same project, asks for a name that the folder in the answer has not.", file="viewpoint/find_folder_response"),
    Reason("Changes: other order of Update Create", "The sandbox tells what is new first; clients take changes in any order.", file="how-to-synchronize-"),
    # Mails
    Reason("(InternetMessageHeaders|Sender|From) too", "The recorded mail never had a sender: its client saved it and called it sent. The sandbox gives each mail that is saved its mailbox as the sender.", file="php-ews.*MailAPITest"),
    Reason("Reminder(IsSet|MinutesBeforeStart) too", "Of mails Exchange Online gives reminders since; the recordings of 2025 have them."),
    Reason("IsDeliveryReceiptRequested too", "Exchange 2013 leaves it out; the recordings of Exchange Online have it.", servers=(_2013, _2013)),
    Reason("no WebClientReadFormQueryString|WebClientEditFormQueryString too", "The recorded mail had been delivered; the one that stands for it is a draft.", file="how-to-synchronize-items"),
    Reason("ItemId has the attribute ChangeKey too", "The sample lost it: the schema asks for none, but every other item in it has one.", file="how-to-synchronize-items"),
    Reason("(ItemID|Message has ItemId too)", "A misprint in the sample: `ItemID`.", file="(copy|move)item-operation"),
    Reason("ConflictResults too", "Exchange 2007 has no ConflictResults before its first service pack.", servers=(_2007, _2007)),
    Reason("", "The recorded notice answers a mail (InReplyTo, References) and carries the mail itself alone, with a ContentId.", file="undeliverable_test_mail"),
    # Attachments
    Reason("FileAttachment has ContentType too", "The sample's attachment was made without a type; each one in the sandbox is a part of a mail, which has one."),
    Reason("ItemAttachment/Message", "The recorded mail was made by the client, with recipients; here a mail with a subject alone is attached, which has no conversation, rights and page of its own.", file="(get-attachments|get_attachment_response_item)"),
    # Calendar
    Reason("CalendarItem has no ReminderDueBy", "Not in the sandbox: of items that are synchronised; fetched ones have it."),
    Reason("ReminderNextTime|WebClientEditFormQueryString|IntendedFreeBusyStatus|IsOnlineMeeting too", "Not in the sandbox: the next reminder, the page to edit an appointment, and what its organiser meant for others; `IsOnlineMeeting` came to all properties later, as a recording of Exchange Online has it.", file="ews-cpp/get_item_response_message"),
    Reason("", "The recorded item is a meeting that somebody else called, in a place and with guests; the one that stands for it is one's own.", file="dodgy_ews_response"),
    # Answers of one kind
    Reason("", "Cut down for a unit test: one tip of many, and no name.", file="test_mail_tips"),
    Reason("ResolutionSet too", "Cut down for a unit test.", file="test_element_container"),
    Reason("MessageXml", "Brought about by a rule, which gives no values of MessageXml.", file="(test_invalid_value_extras|server_busy_error)"),
    Reason("MessageText", "Brought about by a rule, whose text does not name the policy that was exceeded.", file="server_busy_error"),
    Reason("MessageText", "The same words about another address, on another server.", file="get_user_availability"),
    Reason("", "Made up: GetFolder gives no such warning.", file="envelope_with_warning"),
    Reason("", "No mailbox of the sandbox has an archive; the other answer of the page, which says so, is equal.", file="archiveitem-operation-ArchiveItemResponse.response"),
    Reason("", "Exchange 2007 makes no MIME of a contact; newer ones do (learn.microsoft.com, “export items by using EWS”), and the sandbox with them.", file="getitem-operation-contact", servers=(_2007, _2007)),
    Reason("", "Exchange 2007 refuses a property that mails do not have; of newer ones exchangelib asks for the properties of all kinds at once, whatever the items are.", file="getitem-operation-email-message", servers=(_2007, _2007)),
    Reason("Resolution has Contact too", "The sample leaves out the data of contacts that its request asks for (ReturnFullContactData).", file="how-to-access-contacts-as-a-delegate"),
    Reason("Resolution/Contact", "The recorded people have initials, a company and a photo, or no given name; the directory of the sandbox knows names and addresses, and says where from.", file="ResolveNames"),
    Reason("the answer is Fault", "The sample has a blank before the version, ` Exchange2007_SP1`, which the schema refuses.", file="how-to-access-email-as-a-delegate"),
    Reason("", "The recorded request was a delegate's; here it is the mailbox's own.", file="subscribe-operation-SubscribeResponse~2"),
    Reason("", "The sample has no text, its elements in an order that the schema refuses, and does not name the subscription.", file="getstreamingevents-operation-GetStreamingEventsResponse~2"),
    # Requests whose answers were not recorded
    Reason("answered ErrorFolderExists", "What the test that sent it was after: the mailbox has a folder of this name.", file="create_existing_folder-01.request"),
    Reason("answered ErrorInvalidIdMalformed", "The ids of the sample's occurrences are cut off, and no series was made for it.", file="recurring-series"),
    Reason("answered ErrorMimeContentInvalidBase64String", "The content of the sample's mail is cut off: `tDQe/Eo=…`.", file="CreateAttachment.request"),
    Reason("answered ErrorMessageDispositionRequired", "The item that stands for the sample's contact is a mail.", file="contacts-in-batches"),
    Reason("answered ErrorNameResolutionNoResults", "The organisation has no list of rooms of the address that stands for the recorded one.", file="get_rooms_request"),
    Reason("answered ErrorInvalidOperation", "Not in the sandbox: search folders.", file="search-folders"),
)  # fmt: skip


def reason_for(recording: Recording, difference: str) -> int | None:
    """Return the place in REASONS of the reason for a difference, None for one that has none."""
    return next((number for number, one in enumerate(REASONS) if one.fits(recording, difference)), None)


def unused(found: Iterable[tuple[Recording, str]]) -> list[str]:
    """Return the sentences that are the reason for none of these differences."""
    used = {reason_for(recording, difference) for recording, difference in found}
    return [one.why for number, one in enumerate(REASONS) if number not in used]
