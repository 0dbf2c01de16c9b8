"""`python -m bridge.sandbox --dir DIR` is `bridge sandbox --dir DIR`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bridge.sandbox.server import run
from bridge.sandbox.settings import parse

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run a sandbox as a command line says, and return the exit code."""
    return run(parse(argv))


if __name__ == "__main__":
    sys.exit(main())
