"""More mails than a mailbox may send in a minute, which takes more than one: a file of its own, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.probe.support import TEST_BOX, probe, report

if TYPE_CHECKING:
    from tests.support.sandbox import SandboxProcess


def test_a_burst_is_sent_once_and_tells_of_the_rate_and_of_drafts_that_wait(sandbox: SandboxProcess) -> None:
    with sandbox.settings(throttled_mail_waits_in="drafts"):
        ran = probe(sandbox, TEST_BOX, "--write", "--thorough", "--json", "--guess", "28", "--guess", "32")

    results = report(ran)
    assert {number: result["state"] for number, result in results.items()} == {28: "same", 32: "same"}, ran.stdout
    assert "of 10 that waited there, 10 show it" in results[28]["seen"]
    assert "0 waited in the Outbox and 10 in Drafts; 30 arrived in a minute" in results[32]["seen"]
    assert len(sandbox.sends()) == 40
    assert sandbox.mails(TEST_BOX) == []
