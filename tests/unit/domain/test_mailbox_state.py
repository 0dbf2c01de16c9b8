"""What a person should see to in a mailbox, and from when on."""

from __future__ import annotations

import pytest

from bridge.domain.concern import Concern
from bridge.domain.mailbox_state import FolderCounts, MailboxSize, MailboxState


def _codes(state: MailboxState, *, junk_is_read: bool = False) -> list[tuple[str, bool]]:
    return [(one.code, one.stops_mail) for one in state.concerns(junk_is_read=junk_is_read)]


@pytest.mark.parametrize(
    ("held", "send", "receive", "codes"),
    [
        (899, 1_000, 1_100, []),
        (900, 1_000, 1_100, [("mailbox_nearly_full", False)]),
        (1_099, 1_000, 1_100, [("mailbox_nearly_full", False)]),
        (1_100, 1_000, 1_100, [("mailbox_full", True)]),
        (1_000, None, 1_000, [("mailbox_full", True)]),
        (1_000, 1_000, None, [("mailbox_nearly_full", False)]),
        (0, 0, 0, [("mailbox_full", True)]),
        (10**15, None, None, []),
    ],
)
def test_a_mailbox_is_told_of_from_nine_tenths_of_its_first_limit_on(
    held: int, send: int | None, receive: int | None, codes: list[tuple[str, bool]]
) -> None:
    """Mail is stopped by the limit of receiving alone; a mailbox without limits is never full."""
    assert _codes(MailboxState(size=MailboxSize(held, send, receive))) == codes


def test_the_worst_is_told_first_and_parked_mail_with_its_reasons() -> None:
    state = MailboxState()
    state.update(
        FolderCounts(
            2, 3, {"mail_unreadable": 2, "too_large_for_broker": 1}, MailboxSize(95, 100, 110), target_missing=True
        )
    )

    assert state.concerns(junk_is_read=False) == [
        Concern("folder_not_found", "the folder of after_publish is gone", stops_mail=True),
        Concern("mailbox_nearly_full", "0.0 GB of 0.0 GB"),
        Concern("mail_parked", "3 mail(s) (mail_unreadable: 2, too_large_for_broker: 1)"),
        Concern("junk_waits", "2 mail(s) that nobody reads"),
    ]
    assert ("junk_waits", False) not in _codes(state, junk_is_read=True)


def test_what_one_look_cannot_tell_stands_as_it_was() -> None:
    """Otherwise a warning would come and go with every call that fails."""
    state = MailboxState()
    state.update(FolderCounts(2, 3, {"mail_unreadable": 3}, MailboxSize(100, 100, 100)))
    before = _codes(state)

    state.update(FolderCounts(None, None))

    assert _codes(state) == before
    state.update(FolderCounts(0, 0, None, MailboxSize(1, 100, 100)))
    assert _codes(state) == []
