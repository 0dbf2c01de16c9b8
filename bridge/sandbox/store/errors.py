"""What the store refuses; each says nothing about content, and nothing changed when it is raised."""

from __future__ import annotations


class StoreError(Exception):
    """The store refused, and nothing changed."""


class MailboxNotFoundError(StoreError):
    """There is no mailbox of this address."""


class FolderNotFoundError(StoreError):
    """There is no such folder in this mailbox."""


class FolderExistsError(StoreError):
    """The parent already has a folder of this name."""


class DistinguishedFolderError(StoreError):
    """The folder belongs to every mailbox and cannot be deleted, moved or renamed."""


class ItemNotFoundError(StoreError):
    """There is no such item, or no longer under this id."""


class StaleItemError(StoreError):
    """The item changed after the change key was given out."""


class AlreadySubmittedError(StoreError):
    """The item is on its way out already."""
