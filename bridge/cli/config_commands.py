"""`bridge config show|schema`."""

from __future__ import annotations

import typer

from bridge.cli.exits import answer
from bridge.cli.options import AsJson, Config, load_settings

app = typer.Typer(help="What is configured.", no_args_is_help=True)


@app.command()
def show(config: Config = None, *, as_json: AsJson = False) -> None:
    """Show every option that is in force, secrets masked, with where its value comes from."""
    import json  # noqa: PLC0415

    from bridge.config.show import rows  # noqa: PLC0415

    loaded = load_settings(config)
    table = rows(loaded)
    if as_json:
        answer(json.dumps([row.as_fields() for row in table], indent=2))
        return
    width = max(len(row.key) for row in table)
    values = min(60, max(len(row.text) for row in table))
    for row in table:
        answer(f"{row.key:<{width}}  {row.text:<{values}}  {row.origin}")


@app.command()
def schema() -> None:
    """Show the JSON Schema of the configuration file, for editors."""
    from bridge.config.schema import schema_text  # noqa: PLC0415

    answer(schema_text().rstrip())
