"""Keeps the ledger in the mailbox as long as it is of use."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from bridge.errors import BridgeError
from bridge.flow.waiting import report_bug, unless_set, wait_for_any
from bridge.telemetry.egress_events import LedgerSwept, StepTaken

if TYPE_CHECKING:
    import asyncio

    from bridge.egress.availability.pauses import Availability
    from bridge.egress.options import EgressOptions
    from bridge.ports.outbox import SendingMailbox
    from bridge.telemetry.events import Emit

_BATCH = 100


async def keep_sweeping(
    mailbox: SendingMailbox,
    availability: Availability,
    options: EgressOptions,
    *,
    alias: str,
    emit: Emit,
    stop: asyncio.Event,
) -> None:
    """Sweep by age until `stop` is set; best effort, and never in the way."""
    # Whatever is configured: the ledger outlives the requests.
    longest = timedelta(seconds=options.give_up_after_seconds) + timedelta(days=2)
    age = max(timedelta(days=options.ledger_days), longest)
    while not stop.is_set():
        await wait_for_any(options.sweep_every_seconds, stop)
        swept = 0
        try:
            while not stop.is_set() and not availability.paused:
                deleted = await unless_set(stop, mailbox.sweep(age, limit=_BATCH)) or 0
                swept += deleted
                if not deleted:
                    break
        except BridgeError as error:
            emit(StepTaken(alias, "sweep", error.code, 0.0))
        except Exception as bug:  # noqa: BLE001 - housekeeping: nothing is held up for it
            report_bug("the ledger was not swept", bug)
        if swept:
            emit(LedgerSwept(alias, swept))
