"""What takes a minute, in a file of its own: others run meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.probe.support import BURSTS, TEST_BOX, THOROUGH, probe, report

if TYPE_CHECKING:
    from tests.support.sandbox import SandboxProcess


def test_what_takes_long_is_the_same_too(sandbox: SandboxProcess) -> None:
    chosen = [word for number in (20, *sorted(THOROUGH - BURSTS)) for word in ("--guess", str(number))]

    ran = probe(sandbox, TEST_BOX, "--write", "--thorough", "--json", *chosen)

    assert {result["state"] for result in report(ran).values()} == {"same"}, ran.stdout
    assert "65 MB: HTTP 413" in ran.stdout
