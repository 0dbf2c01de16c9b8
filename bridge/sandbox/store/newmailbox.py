"""The folders of a new mailbox, as Exchange Online makes them."""

from __future__ import annotations

from typing import Final

SEEN: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("root", "", "", ""),
    ("msgfolderroot", "root", "Top of Information Store", ""),
    ("searchfolders", "root", "Finder", ""),
    ("recoverableitemsroot", "root", "Recoverable Items", ""),
    ("recoverableitemsdeletions", "recoverableitemsroot", "Deletions", ""),
    ("recoverableitemspurges", "recoverableitemsroot", "Purges", ""),
    ("recoverableitemsversions", "recoverableitemsroot", "Versions", ""),
    ("archive", "msgfolderroot", "Archive", "IPF.Note"),
    ("calendar", "msgfolderroot", "Calendar", "IPF.Appointment"),
    ("contacts", "msgfolderroot", "Contacts", "IPF.Contact"),
    ("conversationhistory", "msgfolderroot", "Conversation History", ""),
    ("deleteditems", "msgfolderroot", "Deleted Items", "IPF.Note"),
    ("drafts", "msgfolderroot", "Drafts", "IPF.Note"),
    ("inbox", "msgfolderroot", "Inbox", "IPF.Note"),
    ("journal", "msgfolderroot", "Journal", "IPF.Journal"),
    ("junkemail", "msgfolderroot", "Junk Email", "IPF.Note"),
    ("notes", "msgfolderroot", "Notes", "IPF.StickyNote"),
    ("outbox", "msgfolderroot", "Outbox", "IPF.Note"),
    ("sentitems", "msgfolderroot", "Sent Items", "IPF.Note"),
    ("syncissues", "msgfolderroot", "Sync Issues", "IPF.Note"),
    ("conflicts", "syncissues", "Conflicts", ""),
    ("localfailures", "syncissues", "Local Failures", ""),
    ("serverfailures", "syncissues", "Server Failures", ""),
    ("tasks", "msgfolderroot", "Tasks", "IPF.Task"),
)
"""Distinguished name, parent, display name, folder class of what people and clients work with."""

HIDDEN: Final[tuple[tuple[str, str, str, str], ...]] = (
    # Below the root, where no mail program looks; clients that walk the whole tree meet them.
    ("", "root", "Common Views", ""),
    ("", "root", "Deferred Action", ""),
    ("", "root", "DefaultFoldersChangeHistory", "IPM.DefaultFolderHistoryItem"),
    ("", "root", "EventCheckPoints", "IPF.StoreItem.EventCheckPoints"),
    ("", "root", "ExchangeSyncData", ""),
    ("", "root", "Freebusy Data", ""),
    ("", "root", "FreeBusyLocalCache", "IPF.StoreItem.FreeBusyCache"),
    ("", "root", "GraphAnalytics", "IPF.StoreItem.GraphAnalytics"),
    ("", "root", "Location", ""),
    ("", "root", "MailboxAssociations", ""),
    ("", "root", "ParkedMessages", ""),
    ("", "root", "Pass-Through Search Results", "IPF.StoreItem.PassThroughSearchResults"),
    ("", "root", "RecoveryPoints", "IPF.StoreItem.RecoveryPoints"),
    ("", "root", "Reminders", "Outlook.Reminder"),
    ("", "root", "Schedule", ""),
    ("", "root", "ShadowItems", "IPF.StoreItem.ShadowItems"),
    ("", "root", "Sharing", "IPF.Note"),
    ("", "root", "Shortcuts", ""),
    ("", "root", "Signal", "IPF.StoreItem.Signal"),
    ("", "root", "Spooler Queue", ""),
    ("", "root", "System", ""),
    ("todosearch", "root", "To-Do Search", "IPF.Task"),
    ("", "root", "Views", ""),
    ("", "recoverableitemsroot", "Audits", ""),
    ("", "recoverableitemsroot", "Calendar Logging", ""),
    ("", "contacts", "GAL Contacts", "IPF.Contact.GalContacts"),
    ("", "contacts", "Organizational Contacts", "IPF.Contact.OrganizationalContacts"),
    ("recipientcache", "contacts", "Recipient Cache", "IPF.Contact.RecipientCache"),
)
"""What Exchange keeps for itself; most of it has no distinguished name."""
