"""`bridge check`: tries what the workers need, step by step, and says what is missing and how to get it."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING

from bridge.cli.check_steps import check_everything
from bridge.cli.exits import Exit, answer, say
from bridge.cli.findings import Finding
from bridge.config import ConfigurationInvalid, Settings, load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridge.config import Loaded


def check_all(config: Path | None, *, as_json: bool) -> int:
    """Try everything, tell each finding as it comes, and return the exit code."""
    findings: list[Finding] = []

    def found(finding: Finding) -> None:
        findings.append(finding)
        (say if as_json else answer)(finding.as_line())

    loaded, code = _configuration(config, found)
    if loaded is not None:
        code = asyncio.run(_try(loaded.settings, found))
    if as_json:
        well = code == Exit.OK
        answer(json.dumps({"ok": well, "findings": [finding.as_fields() for finding in findings]}, indent=2))
    return code


def _configuration(config: Path | None, found: Callable[[Finding], None]) -> tuple[Loaded[Settings] | None, int]:
    try:
        loaded = load(config, os.environ)
    except ConfigurationInvalid as invalid:
        for problem in invalid.problems:
            subject = " ".join(part for part in (problem.key, problem.what) if part)
            place = f" ({problem.place})" if problem.place else ""
            found(Finding("configuration", "failed", "configuration", subject + place, problem.fix))
        return None, Exit.USAGE
    where = str(loaded.path) if loaded.path is not None else "environment variables alone"
    found(Finding("configuration", "ok", "ok", f"{where}, {len(loaded.settings.mailboxes)} mailbox(es)"))
    for warning in loaded.warnings:
        what = f"{warning.key} {warning.what} ({warning.place})"
        found(Finding("configuration", "warning", "configuration_doubtful", what, warning.fix))
    return loaded, Exit.OK


async def _try(settings: Settings, found: Callable[[Finding], None]) -> int:
    code = Exit.OK
    async for finding in check_everything(settings):
        found(finding)
        if finding.state in {"failed", "skipped"}:
            code = Exit.NO
    return code
