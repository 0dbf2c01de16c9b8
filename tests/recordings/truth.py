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
from tests.recordings.reasons import REASONS, reason_for
from tests.recordings.replay import AS_RECORDED, NOTHING, SENT, Replay, replay_all

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "sandbox-truth.md"
_HEAD = """# How true the sandbox is

Written by `python -m tests.recordings.truth --write`; `tests/run.sh sandbox` fails where it says something else
than what is.
"""
_METHOD = """
## Recordings

The collection holds traffic of real servers (Exchange Online, 2013, 2010, 2007), samples of Microsoft's documentation,
and data of other clients' tests. Each recorded request is sent to the sandbox as it stands, with nothing replaced but
ids, states, addresses and what else a server alone can make; answers whose request was not recorded are asked for with
one that is made for them, for the properties that they show and in the version of their server. Each has a mailbox of
its own, brought into the state that the answer shows; Exchange Online's are asked of a sandbox that is one, those of
other servers of a sandbox on-premises. Codes that no state brings about (a busy server, an error within) are brought
about by a rule of the sandbox's faults.

Compared are elements, their order and attributes, response codes, texts, HTTP status and headers; not compared are
values that are somebody's data, and headers that the sandbox says beyond the recorded ones.
"""
_FILES = """
### Every file

`as recorded`: the recorded request was sent; `built`: one was made for the answer; `sent`: a request whose answer was
not recorded. An outcome in numbers differs for these reasons.
"""
_KINDS = {
    "recorded/": "traffic of real servers",
    "samples/": "samples of the documentation",
    "fixtures/": "data of other clients' tests",
}


def page(replays: list[Replay]) -> str:
    """Return the page."""
    answers = [one for one in replays if not one.recording.is_request]
    compared = [one for one in answers if not one.not_compared]
    lines = [
        _HEAD,
        *_summary(replays, answers, compared),
        _METHOD,
        "### By operation\n",
        *_operations(answers),
        "\n### Reasons\n\nThe numbers are those of the tables below.\n",
        *_reasons(replays),
        "\n### Differences\n\n| in the sandbox | answers | reason |\n| --- | --- | --- |",
        *_differences(compared),
        _FILES,
        *_files(replays),
    ]
    return summary_of_clients.put_into("\n".join(lines) + "\n")


def _summary(replays: list[Replay], answers: list[Replay], compared: list[Replay]) -> list[str]:
    requests = [one for one in replays if one.recording.is_request]
    alone = [one for one in requests if one.how == SENT]
    equal = sum(not one.found for one in compared)
    same = sum(one.same_body for one in compared)
    rows = [
        "| recordings | files |",
        "| --- | --- |",
        f"| answers of Exchange | {len(answers)} |",
        f"| - compared | {len(compared)} |",
        f"| - of these asked for with the very request that was recorded | {_count(compared, AS_RECORDED)} |",
        f"| - equal in body, codes, texts, HTTP status and headers | {equal} |",
        f"| - equal but for HTTP headers and the server's version | {same - equal} |",
        f"| - different in something else, each difference with its reason | {len(compared) - same} |",
        f"| - not compared, each with its reason | {len(answers) - len(compared)} |",
        f"| requests | {len(requests)} |",
        f"| - sent, and their answers compared | {_count(requests, AS_RECORDED)} |",
        f"| - sent without a recorded answer, and done | {sum(not one.found for one in alone)} |",
        f"| - sent without a recorded answer, and refused for a reason | {sum(bool(one.found) for one in alone)} |",
        f"| - not sent, each with its reason | {_count(requests, NOTHING)} |",
        "",
        "| of answers in | compared | same body | equal in all |",
        "| --- | --- | --- | --- |",
    ]
    for kind, meaning in _KINDS.items():
        of_kind = [one for one in compared if one.file.startswith(kind)]
        equal_of_kind = sum(not one.found for one in of_kind)
        rows.append(f"| {meaning} | {len(of_kind)} | {sum(one.same_body for one in of_kind)} | {equal_of_kind} |")
    rows.append("\nWhat clients of others found is at the end of this page, in a table of its own.")
    return rows


def _count(replays: list[Replay], how: str) -> int:
    return sum(one.how == how for one in replays)


def _operations(replays: list[Replay]) -> list[str]:
    by_name: dict[str, list[Replay]] = defaultdict(list)
    for one in replays:
        by_name["no SOAP" if one.operation == "?" else one.operation].append(one)
    rows = [
        "| operation | answers | compared | as recorded | same body | equal in all |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, found in sorted(by_name.items()):
        compared = [one for one in found if not one.not_compared]
        body, equal = sum(one.same_body for one in compared), sum(not one.found for one in compared)
        rows.append(f"| {name} | {len(found)} | {len(compared)} | {_count(compared, AS_RECORDED)} | {body} | {equal} |")
    return rows


def _reasons(replays: list[Replay]) -> list[str]:
    files: dict[int, set[str]] = defaultdict(set)
    for one in replays:
        for difference in one.found:
            files[_number(one, difference)].add(one.file)
    rows = ["| | reason | files |", "| --- | --- | --- |"]
    rows += [f"| {number} | {REASONS[number - 1].why} | {len(found)} |" for number, found in sorted(files.items())]
    return rows


def _number(one: Replay, difference: str) -> int:
    """Return the number of the reason, zero for a difference that has none yet."""
    number = reason_for(one.recording, difference)
    return 0 if number is None else number + 1


def _differences(compared: list[Replay]) -> list[str]:
    rows: Counter[tuple[str, int]] = Counter()
    for one in compared:
        for difference in one.found:
            rows[difference, _number(one, difference)] += 1
    ordered = sorted(rows.items(), key=lambda row: (-row[1], row[0]))
    return [f"| {difference.replace('|', '/')} | {count} | {number} |" for (difference, number), count in ordered]


def _files(replays: list[Replay]) -> list[str]:
    rows = ["| file | shows | how | outcome |", "| --- | --- | --- | --- |"]
    for one in replays:
        shows = "-" if one.operation in ("?", "Envelope", "AAA") else one.operation
        rows.append(f"| {one.file} | {shows} | {one.how} | {_outcome(one)} |")
    return rows


def _outcome(one: Replay) -> str:
    if one.not_compared:
        return one.not_compared
    if one.found:
        return " ".join(str(number) for number in sorted({_number(one, difference) for difference in one.found}))
    if one.recording.is_request:
        return "see its answer" if one.how == AS_RECORDED else "done"
    return "equal"


def main() -> None:
    """Print or write the page."""
    with tempfile.TemporaryDirectory() as folder:
        text = page(replay_all(Path(folder)))
    if "--write" in sys.argv:
        PAGE.write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
