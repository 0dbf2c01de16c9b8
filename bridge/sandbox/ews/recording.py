"""Keeps the bodies of requests and answers as files, so that a test run can be checked against the schema."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Recorder:
    """Writes `<process>-<number>-<operation>.request.xml` and `.response.xml` into a folder that it makes."""

    def __init__(self, folder: Path) -> None:
        """Make the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._numbers = itertools.count(1)

    def write(self, operation: str, request: bytes, status: int, response: bytes) -> None:
        """Keep one call's bodies; the answer's HTTP status is part of its file's name."""
        name = f"{os.getpid()}-{next(self._numbers):06d}-{operation}"
        (self._folder / f"{name}.request.xml").write_bytes(request)
        (self._folder / f"{name}.{status}.response.xml").write_bytes(response)
