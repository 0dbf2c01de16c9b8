"""The rights in a mailbox, each tried on a draft and a folder that are deleted again, whatever happens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bridge.doctor.examination import to_its_end
from bridge.doctor.findings import failed, ok, skipped
from bridge.doctor.marks import FOLDER_PREFIX, REQUEST_ID, Mark, is_left_behind
from bridge.domain.outbound_records import CreatedDraft
from bridge.domain.watched_folders import OWN_FOLDERS
from bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from bridge.bootstrap.mailboxes import OpenMailbox
    from bridge.doctor.examination import Examination
    from bridge.doctor.findings import Finding

_DRAFT: Final = (
    b"Subject: Draft of bridge check: may be deleted\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
    b"Made to try the rights in this mailbox. It is deleted at once; if it is still here, delete it.\r\n"
)
_CLEAN_UP_SECONDS: Final = 30.0


class Rights:
    """Tries the rights in one mailbox."""

    def __init__(self, examination: Examination, step: str, opened: OpenMailbox) -> None:
        self._examination = examination
        self._step = step
        self._sender = opened.sender
        self._trial = opened.trial
        self._mark = Mark.new()
        self._draft: CreatedDraft | None = None
        self._folder_id: str | None = None
        self._all_deleted = False

    async def try_all(self) -> AsyncGenerator[Finding, None]:
        """Yield what is found; what was made is gone afterwards, also where this is cut short."""
        try:
            yield await self._make_draft()
            yield await self._read_mime()
            yield await self._make_folder()
            yield await self._move()
            yield await self._delete()
        finally:
            await asyncio.shield(self._clean_up())

    async def _make_draft(self) -> Finding:
        tried = self._begin("make a draft")
        try:
            self._draft = await to_its_end(self._sender.create_draft(_DRAFT, self._mark.stamp))
        except BridgeError as error:
            return failed(self._step, tried, error)
        return ok(self._step, tried, "made")

    async def _read_mime(self) -> Finding:
        tried = self._begin("read it as MIME")
        if self._draft is None:
            return skipped(self._step, tried, "there is no draft")
        try:
            mime = await self._trial.read_mime(self._draft.item_id)
        except BridgeError as error:
            return failed(self._step, tried, error)
        return ok(self._step, tried, f"read, {len(mime)} bytes")

    async def _make_folder(self) -> Finding:
        tried = self._begin("make a folder beside the inbox, as Bridge Parked and Bridge Sends are")
        try:
            there = [name for name in OWN_FOLDERS if await self._trial.has_folder(name)]
            self._folder_id = await to_its_end(self._trial.make_folder(self._mark.folder))
        except BridgeError as error:
            return failed(self._step, tried, error)
        return ok(self._step, tried, f"made (there already: {', '.join(there)})" if there else "made")

    async def _move(self) -> Finding:
        tried = self._begin("move the draft into that folder")
        if self._draft is None or self._folder_id is None:
            return skipped(self._step, tried, "there is no draft or no folder")
        try:
            moved = await to_its_end(self._trial.move(self._draft.item_id, self._folder_id))
        except BridgeError as error:
            return failed(self._step, tried, error)
        if moved:
            self._draft = CreatedDraft(self._draft.stamp, moved, "")
        return ok(self._step, tried, "moved")

    async def _delete(self) -> Finding:
        tried = self._begin("delete the draft and the folder")
        if self._draft is None and self._folder_id is None:
            return skipped(self._step, tried, "there is neither")
        try:
            if self._draft is not None:
                await self._trial.delete_item(self._draft.item_id)
            if self._folder_id is not None:
                await self._trial.delete_folder(self._folder_id)
        except BridgeError as error:
            return failed(self._step, tried, error)
        self._all_deleted = True
        return ok(self._step, tried, "deleted")

    def _begin(self, tried: str) -> str:
        self._examination.begin(self._step, tried)
        return tried

    async def _clean_up(self) -> None:
        """Delete what this examination made, as far as it is still there, and what an earlier one left."""
        # Whatever was not told as made may have been made all the same.
        own = not (self._all_deleted and self._draft is not None and self._folder_id is not None)
        try:
            async with asyncio.timeout(_CLEAN_UP_SECONDS):
                await self._delete_drafts(own=own)
                await self._delete_folders(own=own)
        except (BridgeError, TimeoutError):
            return  # the findings say what this mailbox refuses; the next examination looks again

    async def _delete_drafts(self, *, own: bool) -> None:
        for draft in await self._sender.find_drafts(REQUEST_ID):
            if is_left_behind(draft.stamp.attempt) or (own and draft.stamp == self._mark.stamp):
                await self._trial.delete_item(draft.item_id)

    async def _delete_folders(self, *, own: bool) -> None:
        for name, folder_id in await self._trial.folders_named(FOLDER_PREFIX):
            if is_left_behind(name) or (own and name == self._mark.folder):
                await self._trial.delete_folder(folder_id)
