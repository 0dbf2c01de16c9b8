"""
What is expected of each mail, one line of JSON a mail in `expected.jsonl`; `python -m tests.corpus.expected` writes it.

Texts and people are hashed: the mails are public, but nothing is gained by repeating whom they name.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.mime import kind_of, parse
from tests.corpus.mails import corpus

if TYPE_CHECKING:
    from bridge.mime import ParsedMail

FILE = Path(__file__).with_name("expected.jsonl")


def summary(mail: ParsedMail) -> dict[str, Any]:
    """Return what is compared."""
    people = [mail.author, mail.sender, *mail.to, *mail.cc, *mail.reply_to]
    report = mail.kind_inputs.report
    return {
        "kind": kind_of(mail.kind_inputs),
        "headers": [len(mail.headers), _hash(json.dumps([[h.name, h.value] for h in mail.headers]))],
        "subject": _hash(mail.subject),
        "people": [len([one for one in people if one]), _hash(json.dumps([_person(one) for one in people]))],
        "date": mail.date.isoformat() if mail.date else None,
        "ids": _hash(json.dumps([mail.message_id, mail.in_reply_to, mail.references])),
        "text": [len(mail.text), _hash(mail.text)],
        "html": [len(mail.html), _hash(mail.html)] if mail.html is not None else None,
        "attachments": [
            [_hash(a.name) if a.name is not None else None, a.content_type, a.size, a.sha256[:16], a.inline]
            for a in mail.attachments
        ],
        "report": [
            report.kind,
            [[_hash(r.address), r.action, r.status] for r in report.recipients],
            report.disposition,
            report.standard,
        ]
        if report
        else None,
        "importance": mail.importance,
        "defects": list(mail.defects),
    }


def expected() -> dict[str, dict[str, Any]]:
    """Return the file's content, by the mail's file name."""
    lines = [json.loads(line) for line in FILE.read_text("utf-8").splitlines()]
    return {line.pop("file"): line for line in lines}


def _person(one: Any) -> list[str] | None:  # noqa: ANN401 - an address or none
    return [one.name, one.address] if one else None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write() -> None:
    """Write the file anew; whoever does looks at every line that changed."""
    lines = [{"file": mail.file, **summary(parse(mail.read()))} for mail in corpus()]
    FILE.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines), "utf-8")


if __name__ == "__main__":
    write()
    sys.stderr.write(f"{FILE} written\n")
