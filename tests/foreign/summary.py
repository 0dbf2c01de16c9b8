"""
Writes what foreign clients found: the section "Foreign clients" of docs/sandbox-truth.md.

    python -m tests.foreign.summary            prints the section
    python -m tests.foreign.summary --write    puts it into the page

A check is a test of this suite that passes, or one of exchangelib's own, which ends as its table says; so the section
says what the last green run found. `test_summary.py` fails where the page says something else.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.foreign.exchangelib.run import LIBRARY, MAIL_PART, OTHER_ITEMS
from tests.foreign.exchangelib.source import VERSION
from tests.foreign.exchangelib.table import Ends, read_table

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "sandbox-truth.md"
HEADING: Final = "## Foreign clients"
_HERE: Final = Path(__file__).parent
_INTRODUCTION: Final = """
Software written by others, for real Exchange servers, driven against the sandbox over HTTPS by `tests/run.sh sandbox`.
A check passes, or it is explained below.

| client | version | from | checks | passed | explained |
| --- | --- | --- | --- | --- | --- |"""


@dataclass(frozen=True, slots=True)
class Client:
    """One foreign client whose checks are tests of this suite."""

    title: str
    version: str
    origin: str
    folder: str
    checks: tuple[str, ...]


def section() -> str:
    """Return the section, from its heading to its last line."""
    ends = read_table()
    parts = (("mail", MAIL_PART), ("appointments, contacts and tasks", OTHER_ITEMS), ("the library by itself", LIBRARY))
    rows = [_own_tests(name, _of(ends, files)) for name, files in parts]
    rows += [
        f"| {one.title} (`{one.folder}`) | {one.version} | {one.origin} | {len(one.checks)} | {len(one.checks)} | 0 |"
        for one in clients()
    ]
    lines = [f"{HEADING}\n{_INTRODUCTION}", *rows, *_explained(ends), *_checks()]
    return "\n".join(lines) + "\n"


def clients() -> tuple[Client, ...]:
    """Return the clients, with their checks as sentences."""
    packages = json.loads((_HERE / "javascript" / "package-lock.json").read_text())["packages"]
    return (
        Client(
            "The npm port of Microsoft's EWS Managed API",
            packages["node_modules/ews-javascript-api"]["version"],
            "npm",
            "tests/foreign/javascript",
            _matches(r'^check\("(.+?)", async', "javascript/client.mjs"),
        ),
        Client(
            "DavMail, an IMAP and SMTP gateway to EWS, through `imaplib` and `smtplib`",
            "Debian's (6.3.0)",
            "Debian, davmail-server",
            "tests/foreign/davmail",
            _tests("davmail"),
        ),
        Client(
            "SOAP by hand, after Microsoft's documentation",
            "",
            "",
            "tests/foreign/soap",
            (*_matches(r'^    Refusal\(\s*"(.+?)"', "soap/test_refusals.py"), *_tests("soap", besides="a refusal")),
        ),
    )


def put_into(page: str) -> str:
    """Return the page with the section as it is now; other sections stay."""
    before, found, rest = page.partition(f"{HEADING}\n")
    if not found:
        return f"{page.rstrip()}\n\n{section()}"
    following = re.search(r"^## ", rest, re.MULTILINE)
    return before + section() + (f"\n{rest[following.start() :]}" if following else "")


def _of(ends: Ends, files: tuple[str, ...]) -> Ends:
    return {name: end for name, end in ends.items() if name.partition("::")[0] in files}


def _own_tests(name: str, ends: Ends) -> str:
    counts = Counter(end for end, _ in ends.values())
    return (
        f"| exchangelib's own tests, {name} (`tests/foreign/exchangelib`) | {VERSION} | Debian, source package "
        f"python-exchangelib | {counts['passes'] + counts['fails']} | {counts['passes']} | {counts['fails']} |"
    )


def _explained(ends: Ends) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for name, (end, why) in sorted(ends.items()):
        if end == "fails":
            reasons.setdefault(why, []).append(name.partition("::")[2])
    skipped = sum(end == "skips" for end, _ in ends.values())
    last = "have nothing to test here, as they say; [how each one ends](../tests/foreign/exchangelib/expected.tsv)."
    return [
        "\n### Tests of exchangelib that cannot pass\n\n| why | tests |\n| --- | --- |",
        *(
            f"| {why.replace('|', '/')} | {', '.join(names)} |"
            for why, names in sorted(reasons.items(), key=lambda pair: (-len(pair[1]), pair[0]))
        ),
        f"\n{skipped} more {last}",
    ]


def _checks() -> list[str]:
    lines = []
    for one in clients():
        lines += [f"\n### {one.title} (`{one.folder}`)\n", *(f"- {name}" for name in one.checks)]
    return lines


def _matches(pattern: str, path: str) -> tuple[str, ...]:
    return tuple(re.findall(pattern, (_HERE / path).read_text(), re.MULTILINE))


def _tests(folder: str, *, besides: str = "") -> tuple[str, ...]:
    names: list[str] = []
    for path in sorted((_HERE / folder).glob("test_*.py")):
        names += [one.name for one in ast.parse(path.read_text()).body if isinstance(one, ast.FunctionDef)]
    sentences = (name.removeprefix("test_").replace("_", " ") for name in names if name.startswith("test_"))
    return tuple(sentence for sentence in sentences if sentence != besides)


def main() -> None:
    """Print the section, or put it into the page."""
    if "--write" in sys.argv:
        PAGE.write_text(put_into(PAGE.read_text()))
    else:
        sys.stdout.write(section())


if __name__ == "__main__":
    main()
