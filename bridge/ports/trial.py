"""Trying what a mailbox allows, as an examination does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class MailboxTrial(Protocol):
    """Calls that nothing but an examination makes, in one mailbox. Raises what every call to a mailbox may raise."""

    async def check_folders(self) -> None:
        """
        Compare the folders that mail is taken from with the one that it is moved to, by what they are and not by name.

        Raises:
            FoldersConflict: Published mail would come back, or one is a folder in which no mail arrives.
        """

    async def has_folder(self, name: str) -> bool:
        """Tell whether a folder of that name is beside the inbox."""

    async def search_drafts(self) -> None:
        """Make the searches that sending makes in the ledger, in Drafts; what they find is of no matter."""

    async def make_folder(self, name: str) -> str:
        """
        Make a folder beside the inbox; return its id.

        Raises:
            SendOutcomeUnknown: It may be there, or come later.
        """

    async def folders_named(self, prefix: str) -> Sequence[tuple[str, str]]:
        """Return name and id of the folders beside the inbox whose names begin so."""

    async def delete_folder(self, folder_id: str) -> None:
        """Delete a folder with what is in it, for good; one that is gone is no error."""

    async def move(self, item_id: str, folder_id: str) -> str:
        """Move an item into a folder; return its new id, empty where it is not told."""

    async def delete_item(self, item_id: str) -> None:
        """Delete an item for good; one that is gone is no error."""

    async def read_mime(self, item_id: str) -> bytes:
        """
        Return the MIME of an item.

        Raises:
            MailUnreadable: Exchange answers, and without any.
        """
