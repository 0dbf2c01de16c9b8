"""
A worker with a bug of its own: `python -m tests.support.broken_mailbox FILE ADDRESS COMMAND...`.

As long as the file exists, listing that mailbox raises what no code of the bridge raises on purpose, with an address in
its text. Everything else is the bridge as it is.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.adapters.ews.inbox import EwsInbox
from bridge.cli import main

if TYPE_CHECKING:
    from bridge.domain.mail import Listing


def plant(file: Path, address: str) -> None:
    """Put the bug in."""
    list_waiting = EwsInbox.list_waiting

    async def stumble(self: EwsInbox, *arguments: Any, **more: Any) -> Listing:
        if self._address == address and file.exists():  # noqa: ASYNC240 - a look takes no time
            raise LookupError(f"nobody foresaw this of {address}")
        return await list_waiting(self, *arguments, **more)

    EwsInbox.list_waiting = stumble  # type: ignore[method-assign]


if __name__ == "__main__":
    plant(Path(sys.argv[1]), sys.argv[2])
    sys.argv = ["bridge", *sys.argv[3:]]
    main()
