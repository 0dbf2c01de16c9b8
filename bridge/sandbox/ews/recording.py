"""Keeps the bodies of requests and answers as files, so that a test run can be checked against the schema."""

from __future__ import annotations

import itertools
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Of the process, not of a recorder: a process with many services must not write one's files over another's.
_numbers = itertools.count(1)
# A run of thousands of processes gets to the same process number again.
_started = f"{time.time_ns():x}"


class Recorder:
    """Writes `<process>-<start>-<number>-<operation>.request.xml` and its answers into a folder that it makes."""

    def __init__(self, folder: Path) -> None:
        """Make the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def request(self, operation: str, body: bytes) -> Kept:
        """Keep the body of a request, whether an answer of EWS follows or none."""
        name = f"{os.getpid()}-{_started}-{next(_numbers):06d}-{operation}"
        _keep(self._folder / f"{name}.request.xml", body)
        return Kept(self._folder, name)


class Kept:
    """A request that is kept."""

    def __init__(self, folder: Path, name: str) -> None:
        """Know where its answers go."""
        self._folder = folder
        self._name = name
        self._numbers = itertools.count(1)

    def answer(self, status: int, body: bytes) -> None:
        """Keep an answer as `<request>.<status>.<number>.response.xml`; a stream has several."""
        _keep(self._folder / f"{self._name}.{status}.{next(self._numbers)}.response.xml", body)


def _keep(path: Path, body: bytes) -> None:
    # A sandbox that is killed while it writes leaves nothing that looks like a whole body.
    part = path.with_suffix(".part")
    part.write_bytes(body)
    part.rename(path)
