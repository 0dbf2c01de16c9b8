"""The public mails of the corpus, which lie beside the checkout."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(os.environ.get("BRIDGE_SHARED", Path(__file__).parents[3] / "shared")) / "corpus"


@dataclass(frozen=True)
class CorpusMail:
    """One mail, and what its manifest says of it."""

    file: str
    sha256: str
    tags: frozenset[str]

    def read(self) -> bytes:
        """Return its bytes."""
        return (FOLDER / self.file).read_bytes()

    def __str__(self) -> str:
        return self.file


def corpus() -> list[CorpusMail]:
    """Return all mails, in the order of the manifest."""
    lines = (FOLDER / "MANIFEST.tsv").read_text("utf-8").splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    return [CorpusMail(row[0], row[4], frozenset(row[6].split(","))) for row in rows]
