"""The options of `bridge probe-exchange`."""

from __future__ import annotations

from typing import Annotated

import typer

from bridge.cli.options import AsJson, Config, load_part


def probe_exchange(
    mailbox: Annotated[
        str | None,
        typer.Argument(metavar="MAILBOX", help="A test mailbox: its address, or the alias of a configured one."),
    ] = None,
    config: Config = None,
    *,
    write: Annotated[
        bool,
        typer.Option("--write", help="Also make folders and mails of its own, and send to the mailbox itself."),
    ] = False,
    thorough: Annotated[
        bool,
        typer.Option("--thorough", help="With --write: also what takes minutes, megabytes, or forty mails at once."),
    ] = False,
    guess: Annotated[
        list[int] | None, typer.Option(metavar="N", help="Check this guess alone; may be repeated.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Also a mailbox with more than 100 mails in its inbox.")] = False,
    as_json: AsJson = False,
) -> None:
    """
    Compare an Exchange with what the sandbox guesses about it (docs/sandbox-guesses.md), on a test mailbox.

    Reads only, unless --write is given: then it works in a folder of its own, sends to the mailbox itself alone, says
    each such step before it makes it, and removes all of it in the end. The report holds nothing private, so it can
    be sent to the project. Exit code 0: nothing differs; 1: something does, or could not be removed.
    """
    from bridge.cli.probe import probe_exchange as probe  # noqa: PLC0415 - --help must not wait for these
    from bridge.config.settings import ExchangeSettings  # noqa: PLC0415

    settings = load_part(config, ExchangeSettings).settings
    raise typer.Exit(
        probe(settings, mailbox, write=write, thorough=thorough, guesses=guess or (), sure=yes, as_json=as_json)
    )
