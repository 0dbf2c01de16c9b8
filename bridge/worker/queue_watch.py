"""Looks now and then at the queues that nothing else would show while no mail flows."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

from bridge.domain.concern import in_words
from bridge.domain.queue_states import QueueStates
from bridge.errors import BridgeError
from bridge.telemetry.broker_events import QueueCounted

if TYPE_CHECKING:
    from bridge.domain.queue_states import Watched
    from bridge.ports.broker import QueueLooks
    from bridge.ports.clock import Clock
    from bridge.telemetry.events import Emit
    from bridge.telemetry.health import Health

PART: Final = "broker:queues"
_EVERY_SECONDS: Final = 15.0
_LONGEST_LOOK_SECONDS: Final = 20.0
_TYPES_AGAIN_SECONDS: Final = 6 * 3600.0
"""A queue's type changes only with the queue; RabbitMQ logs each question for it as an error."""


class QueueWatch:
    """Of one process, whatever the number of its mailboxes."""

    def __init__(self, watched: Watched, looks: QueueLooks, clock: Clock, health: Health, emit: Emit) -> None:
        self._watched = watched
        self._states = QueueStates(watched)
        self._looks = looks
        self._clock = clock
        self._health = health
        self._emit = emit
        self._types_due = 0.0

    async def run(self) -> None:
        """Look until cancelled."""
        self._health.expect(PART)
        while True:
            await self.look()
            await self._clock.sleep(_EVERY_SECONDS * random.uniform(0.8, 1.0))  # noqa: S311 - parts workers

    async def look(self) -> None:
        """Look once, and say what there is."""
        missing = self._states.missing
        try:
            async with asyncio.timeout(_LONGEST_LOOK_SECONDS):
                looked = await self._looks.look(self._watched.amqp_exchanges, self._watched.queues)
                now = self._clock.monotonic()
                self._states.update(looked, now)
                if now >= self._types_due or missing - self._states.missing:  # made anew, perhaps as another type
                    self._states.of_other_type = await self._looks.not_quorum(
                        [*self._watched.queues, *self._watched.quorum]
                    )
                    self._types_due = now + _TYPES_AGAIN_SECONDS
        except (BridgeError, TimeoutError):
            self._types_due = 0.0
            self._health.progress(PART)  # the connection that it was made on tells why
            return
        for one in looked:
            if one.kind == "queue" and not one.missing:
                self._emit(QueueCounted(one.name, one.messages, one.consumers))
        concerns = self._states.concerns(now)
        if not concerns:
            self._health.ok(PART)
            return
        say = self._health.trouble if concerns[0].stops_mail else self._health.warn
        say(PART, concerns[0].code, in_words(concerns))
