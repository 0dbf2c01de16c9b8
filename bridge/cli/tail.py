"""
`bridge tail`: events as they come; nothing is taken from anybody's queue.

Mails are not shown on purpose: a queue of this command's own on `mail.inbound` would count as a reader, and a mail that
nobody else wants would leave its inbox for a queue that ends with this command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.cli.exits import Exit, answer, say
from bridge.cli.send import in_words, on_first_node
from bridge.wire import event_v1

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.client import BridgeClient
    from bridge.config import ClientSettings


def tail_events(
    settings: ClientSettings, names: Sequence[str], *, as_json: bool, limit: int | None, idle_seconds: float | None
) -> int:
    """
    Print events until Ctrl-C, `limit` of them, or until none came for `idle_seconds`.

    They are copied into a queue of this command's own, which goes with its connection.
    """
    count = 0

    def work(client: BridgeClient) -> None:
        nonlocal count
        queue = client.subscribe_events(*names)
        say("listening; Ctrl-C ends")
        for received in client.events(queue, idle_seconds=idle_seconds):
            received.ack()
            answer(event_v1.to_json(received.payload).decode() if as_json else in_words(received.payload))
            count += 1
            if count == limit:
                return

    on_first_node(settings, work)
    return Exit.OK if limit is None or count == limit else Exit.TIMEOUT
