"""The table in `docs/sandbox-probe.md`. `python -m bridge.probe.page` writes it anew, in a checkout."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from bridge.probe.by_hand import BY_HAND
from bridge.probe.guesses import STEPS, Needs
from bridge.probe.run import numbers

PAGE: Final = Path(__file__).parents[2] / "docs" / "sandbox-probe.md"
_BEGIN: Final = "<!-- generated from here -->"
_HOW: Final = {Needs.READ: "reads", Needs.WRITE: "`--write`", Needs.THOROUGH: "`--write --thorough`"}


def page(text: str) -> str:
    """Return the page with the table as it has to be."""
    return text.partition(_BEGIN)[0] + _BEGIN + "\n\n" + _table()


def _table() -> str:
    rows = ["| guess | what is compared | how |", "| --- | --- | --- |"]
    for number in numbers():
        if number in BY_HAND:
            assumes, why = BY_HAND[number]
            how = f"by hand: {why}"
        else:
            step = STEPS[number]
            assumes = step.assumes
            only = {"oauth": ", with an app", "password": ", on-premises", None: ""}[step.sign_in]
            how = _HOW[step.needs] + only
        rows.append(f"| {number} | {assumes} | {how} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
    sys.exit(0)
