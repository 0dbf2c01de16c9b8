"""`bridge parked list|export|retry`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer evaluates the annotations
from typing import Annotated

import typer

from bridge.cli.options import AsJson, Config, load_settings

app = typer.Typer(
    help="Mails that could be neither fetched nor carried, in the folder Bridge Parked.", no_args_is_help=True
)

Mailbox = Annotated[
    list[str] | None, typer.Option("--mailbox", metavar="ALIAS", help="Only this mailbox; may be repeated.")
]


@app.command(name="list")
def list_parked(config: Config = None, mailbox: Mailbox = None, *, as_json: AsJson = False) -> None:
    """Show what is parked, with the reason: message_id, when it was received, size and kind, never what it says."""
    from bridge.cli import parked  # noqa: PLC0415 - --help must not wait for it

    raise typer.Exit(parked.list_parked(load_settings(config).settings, mailbox or (), as_json=as_json))


@app.command()
def export(
    message_id: Annotated[str, typer.Argument(metavar="MESSAGE_ID", help="As `bridge parked list` shows it.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; must not exist.")],
    config: Config = None,
    mailbox: Mailbox = None,
) -> None:
    """Write one parked mail to a file, as Exchange gives it, and leave it parked. Exit code 1: Exchange cannot."""
    from bridge.cli import parked  # noqa: PLC0415 - --help must not wait for it

    raise typer.Exit(parked.export(load_settings(config).settings, mailbox or (), message_id, file))


@app.command()
def retry(
    message_ids: Annotated[
        list[str] | None, typer.Argument(metavar="MESSAGE_ID...", help="As `bridge parked list` shows them.")
    ] = None,
    config: Config = None,
    mailbox: Mailbox = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All that are parked.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also what would be stopped again, as far as is known.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for what becomes of them.")] = False,
    timeout: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Longest wait with --wait.")] = 120.0,
    as_json: AsJson = False,
) -> None:
    """
    Put parked mails back into the inbox, where they are read again, under the same message_id.

    Each is first fetched and made into its payload, as a worker does it: one that would be stopped again stays parked,
    with the reason. --wait says of each whether it was published, or parked again and why. Exit code 1: one would be
    stopped, was parked again, could not be moved, or is not parked; 4: one is still in the inbox.
    """
    from bridge.cli import parked_retry  # noqa: PLC0415 - --help must not wait for it

    if bool(message_ids) == every:
        raise typer.BadParameter("give message ids, or --all")
    raise typer.Exit(
        parked_retry.retry(
            load_settings(config).settings,
            mailbox or (),
            message_ids or (),
            every=every,
            force=force,
            wait_seconds=timeout if wait else None,
            as_json=as_json,
        )
    )
