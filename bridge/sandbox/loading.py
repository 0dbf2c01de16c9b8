"""The sandbox's program, loaded without what its libraries get ready for uses that it does not have."""

from __future__ import annotations

import mimetypes
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.sandbox.settings import SandboxOptions

# Looked at while modules are loaded, and by those alone.
_LEFT_OUT: Final = {
    # aiohttp makes the TLS context of its client at once, with all authorities that the system trusts: 1.8 MB. A
    # sandbox calls nobody.
    "SSL_CERT_FILE": os.devnull,
    # The compiled half of the lists that hold an application's signals, which run at start and stop: it alone needs
    # the C++ runtime, 1.5 MB.
    "FROZENLIST_NO_EXTENSIONS": "1",
}


def load_server() -> Callable[[SandboxOptions], int]:
    """Return what runs a sandbox, loaded by now."""
    # aiohttp would read the system's tables of file types, to serve files by their names. It serves none here.
    mimetypes.init(files=())
    with _environment(_LEFT_OUT):
        from bridge.sandbox.server import run  # noqa: PLC0415 - what is left out is left out while it is loaded

    return run


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Have the environment so within the block, and as it was afterwards: other programs are started with it."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
