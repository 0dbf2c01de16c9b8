"""Options that several commands share, and the loading of the configuration that they name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

    from bridge.config import Loaded, Settings

S = TypeVar("S", bound="BaseModel")

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="The configuration, TOML; BRIDGE_CONFIG if not given."),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON document on standard output, all else on standard error.")
]


def load_settings(config: Path | None) -> Loaded[Settings]:
    """
    Return the settings that a command was given; what is doubtful about them goes to standard error.

    Raises:
        ConfigurationInvalid: With every problem.
    """
    from bridge.config import Settings  # noqa: PLC0415 - --help must not wait for it

    return load_part(config, Settings)


def load_part(config: Path | None, model: type[S]) -> Loaded[S]:
    """Return only the sections that a command needs; a CAD developer who sends mail has no secret of Entra's."""
    from bridge.cli.exits import say  # noqa: PLC0415 - --help must not wait for these
    from bridge.config import load  # noqa: PLC0415

    loaded = load(config, os.environ, model)
    for warning in loaded.warnings:
        say(f"warning: {warning}")
    return loaded
