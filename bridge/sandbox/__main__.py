"""`python -m bridge.sandbox --dir DIR` is `bridge sandbox --dir DIR`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bridge.sandbox.loading import load_server
from bridge.sandbox.settings import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

# As this module is loaded: who starts it learns then what is not installed.
_run = load_server()


def main(argv: Sequence[str] | None = None) -> int:
    """Run a sandbox as a command line says, and return the exit code."""
    return _run(parse(argv))


if __name__ == "__main__":
    sys.exit(main())
