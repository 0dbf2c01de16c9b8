"""
The mailboxes behind the sandbox: folders, items with one property bag each, and the record of sends, in SQLite.

    store = Store(path)
    store.add_mailbox("dispatch@example.org", alias="dispatch")
    mail = store.deliver("dispatch@example.org", mime)      # kept for good when it returns
    store.mails("dispatch@example.org", "inbox", offset=0, limit=100)
    store.mime("dispatch@example.org", mail.item_id)        # byte for byte
    for submitted in store.pending():                       # after a restart; else the mail flow is handed each one
        store.settle(submitted.submission, [(address, submitted.mime), (submitted.sender, bounce)])
    store.sends()
"""

from bridge.sandbox.store.errors import (
    FolderExistsError,
    FolderNotFoundError,
    ItemNotFoundError,
    MailboxNotFoundError,
    StoreError,
)
from bridge.sandbox.store.folders import Folder, Mailbox
from bridge.sandbox.store.sends import Send, SubmittedMail
from bridge.sandbox.store.store import FolderSummary, MailPage, MailSummary, Store

__all__ = [
    "Folder",
    "FolderExistsError",
    "FolderNotFoundError",
    "FolderSummary",
    "ItemNotFoundError",
    "MailPage",
    "MailSummary",
    "Mailbox",
    "MailboxNotFoundError",
    "Send",
    "Store",
    "StoreError",
    "SubmittedMail",
]
