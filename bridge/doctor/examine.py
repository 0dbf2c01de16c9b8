"""All steps in their order."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from bridge.doctor.apps import Apps
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
    apps = Apps()
    for steps in (
        apps.examine(examination),
        Mailboxes(examination, apps).examine(),
        Broker(examination, apps).examine(),
    ):
        async with aclosing(steps) as found:
            async for finding in found:
                yield finding
    yield skipped("blob store", "write, read and delete", "there is none yet: it comes with large mail")
