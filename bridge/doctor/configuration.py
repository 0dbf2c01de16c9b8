"""What is wrong or doubtful about the configuration, told as findings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bridge.config import ConfigurationInvalid, load
from bridge.doctor.findings import doubtful, ok, wrong

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bridge.config import Problem, Settings
    from bridge.doctor.findings import Finding

_STEP, _TRIED = "configuration", "read it"


def examine_configuration(
    path: Path | None, environ: Mapping[str, str] = os.environ
) -> tuple[Settings | None, list[Finding]]:
    """Return the settings, None where they cannot be used, and what is found about them."""
    try:
        loaded = load(path, environ)
    except ConfigurationInvalid as invalid:
        return None, [
            wrong(_STEP, _TRIED, problem.code, _told(problem), fix=problem.fix) for problem in invalid.problems
        ]
    where = str(loaded.path) if loaded.path is not None else "environment variables alone"
    findings = [ok(_STEP, _TRIED, f"{where}, {len(loaded.settings.mailboxes)} mailbox(es)")]
    for warning in loaded.warnings:
        code = warning.code if warning.code != ConfigurationInvalid.code else "configuration_doubtful"
        findings.append(doubtful(_STEP, "look for what is rarely right", code, _told(warning), fix=warning.fix))
    return loaded.settings, findings


def _told(problem: Problem) -> str:
    subject = " ".join(part for part in (problem.key, problem.what) if part)
    return f"{subject} ({problem.place})" if problem.place else subject
