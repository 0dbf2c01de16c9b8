"""
What a sandbox makes for itself before it starts: certificates and a signing key, in a process that ends when they are.

    python -m bridge.sandbox.firsttime DIR [workload]

The library that makes them is large, needed for a moment, and goes with that process. Nothing depends on it having run:
who finds something missing makes it.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.sandbox.certificatefiles import are_checked

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORKLOAD: Final = "workload"


def certificates_of(directory: Path) -> Path:
    """Return where a sandbox has its certificates."""
    return directory / "certificates"


def signing_key_of(directory: Path) -> Path:
    """Return where a sandbox has the key that signs its tokens."""
    return directory / "keys" / "signing.json"


def workload_key_of(directory: Path) -> Path:
    """Return where a sandbox has the key of the cluster beside it."""
    return directory / "keys" / "workload.json"


def prepare_workload_key(directory: Path) -> None:
    """Have another process make the key of the cluster, if it is missing."""
    if not workload_key_of(directory).exists():
        _run(directory, _WORKLOAD)


def prepare(directory: Path) -> None:
    """Have another process make what is missing or must be looked at; what fails there is told by who needs it."""
    if not (are_checked(certificates_of(directory)) and signing_key_of(directory).exists()):
        _run(directory)


def _run(directory: Path, *what: str) -> None:
    command = [sys.executable, "-m", "bridge.sandbox.firsttime", str(directory), *what]
    subprocess.run(command, check=False, stderr=subprocess.DEVNULL)  # noqa: S603 - this program itself


def main(arguments: Sequence[str]) -> int:
    """Make what is missing in a directory."""
    from bridge.sandbox.certificates import ensure_certificates  # noqa: PLC0415 - `prepare` shall not load it
    from bridge.sandbox.entra.keys import ensure_signing_key  # noqa: PLC0415

    os.umask(0o077)
    directory = Path(arguments[0])
    descriptor = os.open(directory, os.O_RDONLY)
    # A sandbox that was killed may have left such a process: the next one waits for it.
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    if arguments[1:] == [_WORKLOAD]:
        ensure_signing_key(workload_key_of(directory))
        return 0
    ensure_certificates(certificates_of(directory))
    ensure_signing_key(signing_key_of(directory))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
