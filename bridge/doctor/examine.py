"""All steps in their order."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from bridge.config import Settings
from bridge.doctor.apps import Apps
from bridge.doctor.blobs import examine_blobs
from bridge.doctor.broker import Broker
from bridge.doctor.findings import skipped
from bridge.doctor.mailboxes import Mailboxes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from bridge.doctor.examination import Examination
    from bridge.doctor.findings import Finding


async def examine(examination: Examination) -> AsyncGenerator[Finding, None]:
    """
    Yield what each step finds, as it is found.

    What is made on the way is taken away again, also where this is cancelled or closed in the middle.
    """
    apps, settings = Apps(), examination.settings
    all_steps = [apps.examine(examination), Mailboxes(examination, apps).examine()]
    if isinstance(settings, Settings):
        all_steps.append(Broker(examination, settings, apps).examine())
    for steps in all_steps:
        async with aclosing(steps) as found:
            async for finding in found:
                yield finding
    if not isinstance(settings, Settings):
        yield skipped("rabbitmq", "log in, and look at rights, exchanges and queues", "it is not configured")
    blobs = settings.blobs if isinstance(settings, Settings) else None
    async with aclosing(examine_blobs(blobs)) as found:
        async for finding in found:
            yield finding
