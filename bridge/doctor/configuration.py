"""What is wrong or doubtful about the configuration, told as findings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bridge.config import ConfigurationInvalid, load
from bridge.config.settings import ExchangeSettings
from bridge.doctor.findings import doubtful, ok, wrong

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bridge.config import Problem
    from bridge.doctor.findings import Finding

_STEP, _TRIED = "configuration", "read it"


def examine_configuration(
    path: Path | None, environ: Mapping[str, str] = os.environ
) -> tuple[ExchangeSettings | None, list[Finding]]:
    """
    Return the settings, None where they cannot be used, and what is found about them.

    Where nothing but the broker's section is wrong, the rest is returned: whoever sets up the mailbox may not know the
    broker yet.
    """
    try:
        loaded = load(path, environ)
    except ConfigurationInvalid as invalid:
        findings = [wrong(_STEP, _TRIED, problem.code, _told(problem), fix=problem.fix) for problem in invalid.problems]
        of_broker = all(problem.key.partition(".")[0] == "rabbitmq" for problem in invalid.problems)
        return _without_broker(path, environ) if of_broker else None, findings
    where = str(loaded.path) if loaded.path is not None else "environment variables alone"
    findings = [ok(_STEP, _TRIED, f"{where}, {len(loaded.settings.mailboxes)} mailbox(es)")]
    for warning in loaded.warnings:
        code = warning.code if warning.code != ConfigurationInvalid.code else "configuration_doubtful"
        findings.append(doubtful(_STEP, "look for what is rarely right", code, _told(warning), fix=warning.fix))
    return loaded.settings, findings


def _without_broker(path: Path | None, environ: Mapping[str, str]) -> ExchangeSettings | None:
    try:
        settings = load(path, environ, ExchangeSettings).settings
    except ConfigurationInvalid:
        return None
    return settings if settings.mailboxes else None


def _told(problem: Problem) -> str:
    subject = " ".join(part for part in (problem.key, problem.what) if part)
    return f"{subject} ({problem.place})" if problem.place else subject
