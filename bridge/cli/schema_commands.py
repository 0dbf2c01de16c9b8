"""`bridge schemas write|check`: what is generated from the code, in a checkout of the project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.exits import Exit, answer, say

app = typer.Typer(
    help="The files generated from the code: schemas, the AsyncAPI document, tables.", no_args_is_help=True
)

Root = Annotated[
    Path, typer.Option("--root", metavar="DIR", file_okay=False, exists=True, help="The checkout of the project.")
]


def _require_checkout(root: Path) -> None:
    if not (root / "pyproject.toml").is_file() or not (root / "schemas").is_dir():
        say("this is no checkout of the project: go to its folder, or name it with --root")
        raise typer.Exit(Exit.USAGE)


@app.command()
def write(root: Root = Path()) -> None:
    """Write every generated file that no longer fits the code."""
    _require_checkout(root)
    from bridge.config import schema as config_schema  # noqa: PLC0415 - --help must not wait for these
    from bridge.telemetry import metrics_page  # noqa: PLC0415
    from bridge.wire import schemas as wire_schemas  # noqa: PLC0415

    changed = [*config_schema.write(root), *metrics_page.write(root), *wire_schemas.write(root)]
    for path in changed:
        answer(str(path))
    say(f"{len(changed)} file(s) written")


@app.command()
def check(root: Root = Path()) -> None:
    """Name each generated file that no longer fits the code and each change that would break a reader (exit code 1)."""
    _require_checkout(root)
    from bridge.config import schema as config_schema  # noqa: PLC0415
    from bridge.telemetry import metrics_page  # noqa: PLC0415
    from bridge.wire import schemas as wire_schemas  # noqa: PLC0415

    stale = [*config_schema.check(root), *metrics_page.check(root), *wire_schemas.check(root)]
    for path in stale:
        answer(str(path))
    if stale:
        say("bridge schemas write makes the generated files fit the code again")
        raise typer.Exit(Exit.NO)
