"""A mailbox that was full before anybody looked: its mails are put into the sandbox's own files while it is down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bridge.sandbox.store import Store, folders, items

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.sandbox import SandboxProcess

_AT_ONCE = 2_000


def prefill(sandbox: SandboxProcess, address: str, mimes: Sequence[bytes], mails: int) -> None:
    """Return once the sandbox runs again, with so many mails more in an inbox: these over and over."""
    sandbox.stop()
    store = Store(sandbox.directory / "store.sqlite")
    begin = datetime.now(UTC) - timedelta(seconds=mails + 60)
    try:
        mailbox = store.mailbox(address)
        for first in range(0, mails, _AT_ONCE):
            with store.writing() as db:
                inbox = folders.folder(db, mailbox.id, "inbox").id
                for number in range(first, min(mails, first + _AT_ONCE)):
                    mime = mimes[number % len(mimes)]
                    bag = items.bag_for_delivery(mime, mailbox, begin + timedelta(seconds=number))
                    items.insert(db, mailbox.id, inbox, bag, mime=mime)
    finally:
        store.close()
    sandbox.start()
