"""
A sandbox as a process of its own, by the same code that other people's projects test with.

    with SandboxProcess(tmp_path / "sandbox", mailboxes=["dispatch@example.org"]) as sandbox:
        sandbox.deliver("dispatch@example.org", mime)          # over SMTP
        sandbox.mails("dispatch@example.org")                  # over the admin API
        sandbox.kill(); sandbox.start()                        # SIGKILL, and back on the same ports with the same mails
"""

from __future__ import annotations

from bridge.sandbox.testing.process import AdminRefusedError, SandboxFailedError, SandboxProcess, stuffed
from bridge.sandbox.trace import as_given

__all__ = ["AdminRefusedError", "SandboxFailedError", "SandboxProcess", "as_given", "stuffed"]
