"""`docs/metrics.md`, generated from the metrics."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

from bridge.telemetry.metrics import Age, Metrics
from bridge.telemetry.reasons import CODES, hint_for, words_for

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = Path("docs/metrics.md")

_HEAD = """\
# Metrics and health

`/metrics`, `/health/live`, `/health/ready` and `/health` are served on `[http] listen`. This page is generated from the
code (`bridge schemas write`).

- `/health/live`: 200 as long as the event loop turns.
- `/health/ready`: 200 when every part works, otherwise 503 with one line for each part that does not.
- `/health`: JSON. Each part (`mailbox:<alias>:ingest`, `mailbox:<alias>:egress`, `broker:...`, `entra`, `entra:<app>`,
  `exchange:notifications`, `clock`) has a status (`starting`, `ok`, `warning`, `standby`, `trouble`, `stale`), a code,
  the reason in words and what to do. A part with a `warning` works and counts as ready; a person should see to it
  before it does not. `standby` is no trouble: another worker is heard to work, and this one takes over when that
  one ends. Where nobody is heard to work the code is `nobody_works` (not ready), or `holder_unknown` (a warning) as
  long as nothing is left undone.

A part that gives no sign of life for 45 seconds is stale, whatever it said last; one that said for how long it would
wait, 45 seconds after that time. The gauge `bridge_health_part_up` tells the same to Prometheus.

## Metrics

Labels come from small closed sets; `mailbox` is the alias. Ages are computed when they are asked for.

| metric | kind | labels | meaning |
| --- | --- | --- | --- |
"""


def page() -> str:
    """Return the page."""
    codes = "".join(
        f"| `{code}` | {in_cell(words_for(code))} | {in_cell(hint_for(code))} |\n" for code in sorted(CODES)
    )
    return f"{_HEAD}{''.join(_rows())}\n## Codes\n\n| code | meaning | what to do |\n| --- | --- | --- |\n{codes}"


def in_cell(text: str) -> str:
    """Return text as a cell of a Markdown table shows it."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def _rows() -> Iterator[str]:
    for metric in vars(Metrics()).values():
        if isinstance(metric, Counter | Gauge | Histogram):
            (family,) = metric.describe()
            name = family.name + ("_total" if isinstance(metric, Counter) else "")
            labels = ", ".join(metric._labelnames)  # noqa: SLF001 - the library has no other way to ask
            yield f"| `{name}` | {family.type} | {labels} | {family.documentation} |\n"
        elif isinstance(metric, Age):
            (family,) = metric.collect()
            yield f"| `{family.name}` | gauge | mailbox | {family.documentation} |\n"
    yield "| `bridge_health_part_up` | gauge | part, code | 1 while the part works, here or in another worker |\n"
    yield "| `bridge_health_silence_seconds` | gauge | part | Since the part was last heard of |\n"


def write(root: Path) -> list[Path]:
    """Write the page below a checkout; return it if it changed."""
    stale = check(root)
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(), "utf-8")
    return stale


def check(root: Path) -> list[Path]:
    """Return the page if it no longer fits the code."""
    path = root / FILE
    return [] if path.is_file() and path.read_text("utf-8") == page() else [path]
