"""What clients do with folders: they are made, moved, emptied, marked and deleted, with all that they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.stress import soap
from tests.stress.client import NO_FOLDER, Client, deleted
from tests.stress.mailclient import WAYS
from tests.stress.wire import TYPES, LostAnswerError, WrongAnswerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.stress.journal import Mail, World


class FolderClient(Client):
    """A client that does everything there is to do with folders of its own."""

    def _new_folder(self, name: str) -> str:
        """Return the id of a new folder; one whose answer was lost is looked for, and made if it is not there."""
        self._journal.doubtful_folders.add((self._mailbox, name))
        while True:
            try:
                (answer,) = self._link.call(
                    f"<m:CreateFolder><m:ParentFolderId>{soap.folder('msgfolderroot')}</m:ParentFolderId><m:Folders>"
                    f"<t:Folder><t:DisplayName>{name}</t:DisplayName></t:Folder></m:Folders></m:CreateFolder>"
                )
            except LostAnswerError:
                self._journal.count("lost")
                continue
            break
        if answer.code == "ErrorFolderExists":
            # This name is only used once, so it was made by the call whose answer was lost.
            (listed,) = self._link.call(
                '<m:FindFolder Traversal="Shallow"><m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape>'
                f"<m:ParentFolderIds>{soap.folder('msgfolderroot')}</m:ParentFolderIds></m:FindFolder>"
            )
            (folder_id,) = [
                soap.attribute(node, "Id", "FolderId")
                for node in listed.node.iter(TYPES + "Folder")
                if node.findtext(TYPES + "DisplayName") == name
            ]
        else:
            (folder_id,) = self._done(answer, "CreateFolder", "FolderId")
        self._journal.identify(folder_id, f"folder {self._mailbox} {name}")
        self._journal.folders[folder_id] = self._mailbox
        self._journal.doubtful_folders.discard((self._mailbox, name))
        return folder_id

    def _make_folder(self) -> None:
        if len(self._folders) < 6:
            self._made += 1
            self._folders.append(self._new_folder(f"folder-{self._number}-{self._made}"))

    def _delete_folder(self) -> None:
        if not self._folders:
            return
        gone = self._chance.choice(self._folders)
        held = self._held_in(gone)
        way = self._chance.choice(("MoveToDeletedItems", "HardDelete"))
        if way == "HardDelete":
            for mail in held:
                mail.may_become(_emptied(mail, gone, "HardDelete"))
        self._folders.remove(gone)
        again = False
        while True:
            try:
                self._folder_call(f'<m:DeleteFolder DeleteType="{way}">', gone, "DeleteFolder", again=again)
            except LostAnswerError:
                # Asked once more: it is either done then, or was done before.
                self._journal.count("lost")
                again = True
                continue
            break
        if way == "HardDelete":
            self._journal.folders.pop(gone)
            for mail in held:
                self._journal.settle(mail, mail.worlds[1])

    def _empty_folder(self) -> None:
        if not self._folders:
            return
        where, way = self._chance.choice(self._folders), self._chance.choice(WAYS)
        held = self._held_in(where)
        for mail in held:
            mail.may_become(_emptied(mail, where, way))
        call = f'<m:EmptyFolder DeleteType="{way}" DeleteSubFolders="false">'
        try:
            self._folder_call(call, where, "EmptyFolder")
        except LostAnswerError:
            self._journal.count("lost")
            self._must_be_all_or_none(held, where)
            return
        for mail in held:
            self._journal.settle(mail, mail.worlds[1])

    def _must_be_all_or_none(self, held: Sequence[Mail], where: str) -> None:
        """One call is one transaction: of what it was to empty, everything is there or nothing."""
        before = {mail.message_id: mail.worlds[0] for mail in held}
        for mail in held:
            self._look_for(mail)
        if len({mail.world == before[mail.message_id] for mail in held}) > 1:
            self._journal.problem("a folder was emptied by half")

    def _held_in(self, where: str) -> list[Mail]:
        """Return all mails that lie in a folder of this client's; those in doubt are looked for."""
        held = []
        for mail in list(self._journal.mails.values()):
            if any(place.folder == where for world in mail.worlds for place in world):
                self._look_for(mail)
                if any(place.folder == where for place in mail.world):
                    held.append(mail)
        return held

    def _folder_call(self, opening: str, folder_id: str, operation: str, *, again: bool = False) -> None:
        self._shared.gate.delicate.set()
        (answer,) = self._link.call(f"{opening}<m:FolderIds>{soap.folder(folder_id)}</m:FolderIds></m:{operation}>")
        if not answer.done and not (again and answer.code in NO_FOLDER):
            raise WrongAnswerError(f"{operation}: {answer.code}")

    def _move_folder(self) -> None:
        if len(self._folders) > 1:
            moved = self._chance.choice(self._folders)
            to = self._chance.choice(("msgfolderroot", "archive"))
            (answer,) = self._link.call(
                f"<m:MoveFolder><m:ToFolderId>{soap.folder(to)}</m:ToFolderId><m:FolderIds>{soap.folder(moved)}"
                "</m:FolderIds></m:MoveFolder>"
            )
            self._done(answer, "MoveFolder", "FolderId")

    def _mark_read(self) -> None:
        where = self._chance.choice(["inbox", *self._folders])
        flag = self._chance.choice(("true", "false"))
        (answer,) = self._link.call(
            f"<m:MarkAllItemsAsRead><m:ReadFlag>{flag}</m:ReadFlag><m:SuppressReadReceipts>true"
            f"</m:SuppressReadReceipts><m:FolderIds>{soap.folder(where)}</m:FolderIds></m:MarkAllItemsAsRead>"
        )
        self._done(answer, "MarkAllItemsAsRead")


def _emptied(mail: Mail, where: str, way: str) -> World:
    return tuple(
        after for place in mail.world for after in (deleted(place, way) if place.folder == where else (place,))
    )
