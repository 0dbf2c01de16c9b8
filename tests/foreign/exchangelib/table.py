"""How each of exchangelib's own tests ends, and why where it does not pass: the table in expected.tsv."""

from __future__ import annotations

import csv
from pathlib import Path

TABLE = Path(__file__).with_name("expected.tsv")
_HEAD = ("test", "ends", "reason")

Ends = dict[str, tuple[str, str]]
"""By a test's name how it ends (passes, fails, skips) and why."""


def read_table(path: Path = TABLE) -> Ends:
    """Return the table; none where there is no file."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return {row[0]: (row[1], row[2] if len(row) > 2 else "") for row in rows if row and row[0] != _HEAD[0]}


def write_table(path: Path, expected: Ends, ended: Ends) -> None:
    """Write the table with the ends of a run; reasons of tests that end as before are kept."""
    kept = {name: expected[name] if expected.get(name, ("", ""))[0] == end[0] else end for name, end in ended.items()}
    rows = [_HEAD, *((name, *end) for name, end in sorted({**expected, **kept}.items()))]
    path.write_text("".join("\t".join(row).rstrip("\t") + "\n" for row in rows))


def otherwise(expected: Ends, ended: Ends) -> list[str]:
    """Return a line for each test of a run that ended otherwise than the table says."""
    return [
        f"{name}: {outcome}, expected: {expected.get(name, ('no such test', ''))[0]}  {why}".rstrip()
        for name, (outcome, why) in sorted(ended.items())
        if expected.get(name, ("no such test", ""))[0] != outcome
    ]
