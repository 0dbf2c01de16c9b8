"""What lies beside the inbox is told when there is news of it, and looks in vain when they come in a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.domain.mailbox_state import FolderCounts
from bridge.errors import MailboxUnavailable
from bridge.ingest.folder_counts import FolderWatch
from bridge.telemetry.ingest_events import JunkFound
from tests.support.memory.inbox import MemoryInbox

if TYPE_CHECKING:
    from bridge.telemetry.events import Event


class _Seen(MemoryInbox):
    """Shows what a test says; None is no answer."""

    def __init__(self, *seen: int | None) -> None:
        super().__init__()
        self._seen = list(seen)

    async def count_folders(self) -> FolderCounts:
        junk = self._seen.pop(0)
        if junk is None:
            raise MailboxUnavailable
        return FolderCounts(junk, 0)


async def _concerns_after_each(watch: FolderWatch, looks: int) -> list[list[str]]:
    told = []
    for _ in range(looks):
        await watch._look()
        told.append([concern.code for concern in watch.concerns])
    return told


async def test_more_mail_in_the_junk_folder_is_told_each_time_that_it_becomes_more() -> None:
    events: list[Event] = []
    looks = (1, 3, 3, 0, 2)

    await _concerns_after_each(FolderWatch("dispatch", _Seen(*looks), events.append, every_seconds=1.0), len(looks))

    found = [event.count for event in events if isinstance(event, JunkFound)]
    assert found == [1, 3, 2]


async def test_looks_in_vain_are_told_from_the_third_in_a_row_on_beside_what_was_seen_before() -> None:
    looks = (1, None, None, 1, None, None, None, 1)

    told = await _concerns_after_each(
        FolderWatch("dispatch", _Seen(*looks), lambda _: None, every_seconds=1.0), len(looks)
    )

    assert told == [["junk_waits"]] * 6 + [["junk_waits", MailboxUnavailable.code], ["junk_waits"]]
