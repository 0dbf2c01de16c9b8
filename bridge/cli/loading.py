"""How a worker's program is loaded: without what its libraries get ready for uses that a worker does not have."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNUSED: Final = "rich"
"""With it structlog would render exceptions, of which no text ever reaches a line: half a hundred modules."""
_AUTHORITIES: Final = "SSL_CERT_FILE"
"""aiohttp makes its client's TLS context when it is loaded, with all authorities that the system trusts. The worker's
calls go through requests, which has a context of its own for each host."""


@contextmanager
def sparing() -> Iterator[None]:
    """
    Load modules within the block at less cost.

    What they are made of stays, so there is nothing for the garbage collector to find in it: it is off meanwhile, and
    passes over all of it from then on.
    """
    before = os.environ.get(_AUTHORITIES)
    hides = _UNUSED not in sys.modules
    gc.disable()
    os.environ[_AUTHORITIES] = os.devnull
    if hides:
        sys.modules[_UNUSED] = None  # type: ignore[assignment]  # Python's way to say that there is no such module
    try:
        yield
    finally:
        if hides:
            del sys.modules[_UNUSED]
        if before is None:
            del os.environ[_AUTHORITIES]
        else:
            os.environ[_AUTHORITIES] = before
        gc.freeze()
        gc.enable()
