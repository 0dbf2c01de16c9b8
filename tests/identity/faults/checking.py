"""Running what `bridge check` does, in this process."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING
from unittest import mock

from bridge.doctor.configuration import examine_configuration
from bridge.doctor.examination import Examination
from bridge.doctor.examine import examine
from tests.support.workers import clean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bridge.doctor.examination import Role
    from bridge.doctor.findings import Finding


def findings(environment: Mapping[str, str | None], *, config: Path | None = None, role: Role = "run") -> list[Finding]:
    """Return what check finds with these variables; those that are None are not set."""
    given = {key: value for key, value in environment.items() if value is not None}
    with mock.patch.dict(os.environ, clean(given), clear=True):
        settings, found = examine_configuration(config, given)
        if settings is not None:
            found += asyncio.run(_examined(Examination(settings, role=role)))
    return found


async def _examined(examination: Examination) -> list[Finding]:
    return [finding async for finding in examine(examination)]
