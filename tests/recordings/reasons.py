# ruff: noqa: E501 - a table of sentences
"""Why the sandbox's answers differ from recorded ones: the first pattern that matches `file: difference` counts."""

from __future__ import annotations

import re
from typing import Final

_SHORT: Final = "A sample of the documentation, which may be shortened; the schema has a place for it."
_OLD: Final = "An older server's form; the sandbox speaks as Exchange Online does now."
_VERSION: Final = (
    "No property of Exchange 2013 is in the recorded answer: its client seems to have asked as an older version."
)
_STATE: Final = "The recorded mail was made by a client and never went through delivery; this one arrived by SMTP."
_GAP_CONTACTS: Final = (
    "The directory of the sandbox knows names and addresses alone; the recorded one knows more, or less was asked for."
)

REASONS: Final[tuple[tuple[str, str], ...]] = (
    (r"no HTTP header (x-aspnet-version|x-powered-by|persistent-auth)", "Says what the web server runs on; no client goes by it."),
    (r"no HTTP header (x-|ms-cv|nel|report-to|restrict-access-confirm|strict-transport-security)",
     "Diagnostics of Exchange Online's front ends; no client goes by it."),
    (r"no HTTP header content-length", "Exchange 2007 says how long an answer is; its successors and the sandbox send it in chunks."),
    (r"cache-control", _OLD),
    (r"ServerVersionInfo has the attribute Version too", _OLD),
    (r"ServerVersionInfo has the attribute M(aj|in)orBuildNumber too", "The recording was trimmed."),
    (r"no SOAP header", "Some recorded faults bear the version, others do not; those of the sandbox do not."),
    (r"soap-deserialize_envelope_with_(connection_count|server_busy)_fault", "Made up, as the recording says itself, or another wording."),
    (r"soap-deserialize_envelope_with_warning", "Made up: GetFolder gives no such warning."),
    (r"test_element_container", "The recording was cut down for a unit test."),
    (r"not “The specified object was not found in the store\.”", _OLD),
    (r"exchange2007_sp1/.*Fault|ms-docs/(updateitem|addimgroup|getserviceconfiguration|findconversation).*Fault|samples/.*: Fault/", _OLD),
    (r": Fault/(faultstring|detail)", "The recorded request broke the schema at another place, so another violation is named."),
    (r"already exists\., Could not", _OLD),
    (r"ErrorNonExistentMailbox|No mailbox with such guid|exchange2007_sp1/create_folder_with_invalid_non.*MessageXml", _OLD),
    (r"Es wurden keine Ergebnisse", "That server speaks German."),
    (r"PermissionSet/", "The recorded folders were shared with others."),
    (r"Folder has no FolderClass", _OLD),
    (r"Folder has no ExtendedProperty", "The recorded folders bear named properties of other products; these were not set here."),
    (r"test_folder-test_public_folders", "Made up: folders of a mail's element that hold contacts; a server shows them as ContactsFolder."),
    (r"Folder has DistinguishedFolderId too", _SHORT),
    (r"FolderId has the attribute ChangeKey too", _SHORT),
    (r"Message has (Flag|InstanceKey|Preview) too", _VERSION),
    (r"IsTruncated too", _VERSION),
    (r"Message has (Sender|From|ReceivedBy|ReceivedRepresenting|InternetMessageHeaders) too", _STATE),
    (r"Message has Reminder\w+ too", "Exchange Online gave it to FindItem since; a later recording has it."),
    (r"(ItemID|Message has ItemId too)", "A misprint in the sample."),
    (r"(File|Item)Attachment has \w+ too", _SHORT),
    (r"ResolveNamesResponse.*(Contact|Mailbox has no ItemId)", _GAP_CONTACTS),
    (r"Attachments/ItemAttachment/Message", "The recorded mail had more than the subject that the attached one has here."),
    (r"subscribe-operation-SubscribeResponse~2", "The recorded request was a delegate's; here it is the mailbox's own."),
    (r"corrupted", "Samples use both words; the sandbox says for folders what they say for items."),
    (r"ConflictResults too", _OLD),
)  # fmt: skip
_COMPILED: Final = tuple((re.compile(pattern), reason) for pattern, reason in REASONS)


def reason_for(file: str, difference: str) -> str | None:
    """Return the reason for a difference in an answer, None for one that has none."""
    line = f"{file}: {difference}"
    return next((reason for pattern, reason in _COMPILED if pattern.search(line)), None)


def unused(lines: list[str]) -> list[str]:
    """Return the patterns that are the reason for none of these `file: difference` lines."""
    used = {next((index for index, (one, _) in enumerate(_COMPILED) if one.search(line)), -1) for line in lines}
    return [pattern for index, (pattern, _) in enumerate(REASONS) if index not in used]
