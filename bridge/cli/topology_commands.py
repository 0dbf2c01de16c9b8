"""`bridge topology apply|show|export`."""

from __future__ import annotations

import typer

app = typer.Typer(help="The exchanges and queues on RabbitMQ.", no_args_is_help=True)
