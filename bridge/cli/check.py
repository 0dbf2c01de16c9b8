"""`bridge check`: tries what the workers need, step by step, and says what is missing and how to get it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING

from bridge.cli.exits import Exit, answer, say
from bridge.doctor.configuration import examine_configuration
from bridge.doctor.examination import Examination
from bridge.doctor.examine import examine

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bridge.doctor.examination import Role
    from bridge.doctor.findings import Finding


def check_all(
    config: Path | None,
    *,
    as_json: bool,
    role: Role = "run",
    send_test: str | None = None,
    allow_warnings: bool = False,
) -> int:
    """Try everything, print_finding each finding as it comes, and return the exit code."""
    findings: list[Finding] = []
    printer = _Printer(as_json=as_json)

    def found(finding: Finding) -> None:
        findings.append(finding)
        printer.print_finding(finding)

    settings, of_configuration = examine_configuration(config)
    for finding in of_configuration:
        found(finding)
    code = Exit.USAGE
    if settings is not None:
        examination = Examination(settings, role=role, send_test=send_test, begin=printer.begin)
        try:
            asyncio.run(_examine(examination, found))
        except KeyboardInterrupt:
            printer.clear()
            say("interrupted; what was made to try the rights is deleted again, at the latest by the next check")
            raise
        code = exit_code(findings, allow_warnings=allow_warnings)
    if as_json:
        fields = [finding.as_fields() for finding in findings]
        answer(json.dumps({"ok": code == Exit.OK, "findings": fields}, indent=2))
    else:
        printer.sum_up(findings)
    return code


def exit_code(findings: Iterable[Finding], *, allow_warnings: bool) -> Exit:
    """Return whether all is well; what is doubtful is not, unless it is allowed."""
    states = {finding.state for finding in findings}
    if "failed" in states:
        return Exit.NO
    return Exit.WARNING if "warning" in states and not allow_warnings else Exit.OK


async def _examine(examination: Examination, found: _Found) -> None:
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    if task is not None:
        # As Ctrl-C does: what was made in the mailboxes is taken away before the end.
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        async with aclosing(examine(examination)) as findings:
            async for finding in findings:
                found(finding)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


class _Printer:
    """Tells people each finding as it comes; on a terminal, also what is being tried at the moment."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._watched = sys.stderr.isatty()

    def begin(self, step: str, tried: str) -> None:
        if self._watched:
            with contextlib.suppress(OSError):
                sys.stderr.write(f"\r\x1b[K....  {step}: {tried}"[:200])
                sys.stderr.flush()

    def clear(self) -> None:
        if self._watched:
            with contextlib.suppress(OSError):
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()

    def print_finding(self, finding: Finding) -> None:
        self.clear()
        (say if self._as_json else answer)(finding.as_lines())

    def sum_up(self, findings: list[Finding]) -> None:
        states = [finding.state for finding in findings]
        told = f"{states.count('ok')} ok, {states.count('failed')} failed, {states.count('warning')} with a warning"
        answer(f"{told}, {states.count('skipped')} skipped")


if TYPE_CHECKING:
    from collections.abc import Callable

    _Found = Callable[[Finding], None]
