"""
Writes docs/sandbox-truth.md: how the sandbox compares with recordings, and what foreign clients found.

    python -m tests.recordings.truth            prints the page
    python -m tests.recordings.truth --write    writes it
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

from tests.foreign import summary as summary_of_clients
from tests.recordings.reasons import reason_for
from tests.recordings.replay import Replay, replay_all

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "sandbox-truth.md"
_HEAD = """# How true the sandbox is

Written by `python -m tests.recordings.truth --write`; `tests/run.sh sandbox` fails where it says something else
than what is.

## Recordings

Every answer of Exchange in the collection of recordings (traffic of real servers, samples of Microsoft's documentation,
data of other clients' tests) is asked of the sandbox anew: the same operation, in a mailbox brought into the state that
the answer shows, for the properties that it shows. Compared are element names, their order, attributes, response codes
and their texts, HTTP status and headers; not compared are the values that are somebody's data.
"""


def page(replays: list[Replay]) -> str:
    """Return the page."""
    compared = [one for one in replays if not one.not_compared]
    equal = sum(not one.found for one in compared)
    same_body = sum(one.same_body for one in compared)
    summary = (
        f"**{len(replays)} answers: {len(compared)} compared; of these {equal} are equal in all, {same_body} in all "
        f"but HTTP headers and the server's version; each difference has a reason below. "
        f"{len(replays) - len(compared)} are not compared.**\n"
    )
    lines = [
        _HEAD,
        summary,
        *_operations(replays),
        "\n### Not compared\n\n| reason | answers |\n| --- | --- |",
        *(f"| {reason} | {count} |" for reason, count in sorted(Counter(
            _not_compared(one) for one in replays if one.not_compared).items(), key=lambda pair: (-pair[1], pair[0]))),
        "\n### Differences\n\n| in the sandbox | answers | reason |\n| --- | --- | --- |",
        *_differences(compared),
    ]  # fmt: skip
    return summary_of_clients.put_into("\n".join(lines) + "\n")


def _not_compared(one: Replay) -> str:
    reason = one.not_compared
    return f"{reason}: {one.operation}" if reason.startswith("the sandbox has no such") else reason


def _operations(replays: list[Replay]) -> list[str]:
    by_name: dict[str, list[Replay]] = defaultdict(list)
    for one in replays:
        by_name[one.operation].append(one)
    rows = ["| operation | answers | compared | same body | equal in all |", "| --- | --- | --- | --- | --- |"]
    for name, found in sorted(by_name.items()):
        compared = [one for one in found if not one.not_compared]
        body, equal = sum(one.same_body for one in compared), sum(not one.found for one in compared)
        rows.append(f"| {name} | {len(found)} | {len(compared)} | {body} | {equal} |")
    return rows


def _differences(compared: list[Replay]) -> list[str]:
    rows: Counter[tuple[str, str]] = Counter()
    for one in compared:
        for difference in one.found:
            rows[difference, reason_for(one.file, difference) or "**none yet**"] += 1
    ordered = sorted(rows.items(), key=lambda row: (-row[1], row[0]))
    return [f"| {difference.replace('|', '/')} | {count} | {reason} |" for (difference, reason), count in ordered]


def main() -> None:
    """Print or write the page."""
    with tempfile.TemporaryDirectory() as folder:
        text = page(replay_all(Path(folder) / "sandbox"))
    if "--write" in sys.argv:
        PAGE.write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
