"""Options that several commands share, and the loading of the configuration that they name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar, overload

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

    from bridge.config import Loaded, Settings

    S = TypeVar("S", bound=BaseModel)

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="The configuration, TOML; BRIDGE_CONFIG if not given."),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON document on standard output, all else on standard error.")
]


@overload
def load_settings(config: Path | None) -> Loaded[Settings]: ...
@overload
def load_settings(config: Path | None, model: type[S]) -> Loaded[S]: ...
def load_settings(config: Path | None, model: type[BaseModel] | None = None) -> Loaded[BaseModel] | Loaded[Settings]:
    """
    Return the settings that a command was given; what is doubtful about them goes to standard error.

    Raises:
        ConfigurationInvalid: With every problem.
    """
    from bridge.cli.exits import say  # noqa: PLC0415 - --help must not wait for these
    from bridge.config import Settings, load  # noqa: PLC0415

    loaded = load(config, os.environ, model if model is not None else Settings)
    for warning in loaded.warnings:
        say(f"warning: {warning}")
    return loaded
