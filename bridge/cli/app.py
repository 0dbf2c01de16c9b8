"""The command line: what there is, with its options; what each command does is in the module beside it."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from bridge import __version__
from bridge.cli import (
    client_commands,
    config_commands,
    parked_commands,
    probe_command,
    schema_commands,
    topology_commands,
)
from bridge.cli.exits import answer
from bridge.cli.options import AsJson, Config  # noqa: TC001 - typer evaluates the annotations
from bridge.cli.workers import GRACE_SECONDS, work

_EXIT_CODES = (  # one line: the help breaks lines itself
    "Exit codes: 0 done, yes; 1 done, no (a finding, a difference, not sent); 2 wrong command line or configuration; "
    "3 Exchange, Entra or RabbitMQ did not answer or refused; 4 no answer in the time given; 5 a worker stopped with "
    "work in flight; 6 check has warnings alone; 70 a bug; 130 interrupted."
)

app = typer.Typer(
    name="bridge",
    help="Carries e-mail between Microsoft Exchange mailboxes and RabbitMQ, and loses none of it.",
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(config_commands.app, name="config", rich_help_panel="Set up")
app.add_typer(topology_commands.app, name="topology", rich_help_panel="Set up")
app.add_typer(parked_commands.app, name="parked", rich_help_panel="Mend")
app.add_typer(schema_commands.app, name="schemas", rich_help_panel="Develop")

Grace = Annotated[
    float,
    typer.Option(
        "--stop-within", min=0.1, metavar="SECONDS", help="Longest time to finish what is in flight when told to stop."
    ),
]
_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""The command has a parser of its own, which also answers --help."""


def _show_version(value: bool) -> None:  # noqa: FBT001 - typer calls it with the option's value
    if value:
        answer(f"bridge {__version__}")
        raise typer.Exit


@app.callback()
def _bridge(
    *,
    _: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command(rich_help_panel="Run")
def ingest(config: Config = None, stop_within: Grace = GRACE_SECONDS) -> None:
    """
    Read the mailboxes: each mail goes to RabbitMQ, and leaves the inbox once RabbitMQ holds it.

    Runs until SIGTERM or Ctrl-C, which finish what is in flight; a second one stops at once. No mail is lost.
    """
    raise typer.Exit(work(config, ingest=True, egress=False, grace_seconds=stop_within))


@app.command(rich_help_panel="Run")
def egress(config: Config = None, stop_within: Grace = GRACE_SECONDS) -> None:
    """
    Send mail: each request from RabbitMQ goes out through its mailbox once, and ends with an event.

    Runs until SIGTERM or Ctrl-C, which finish what is in flight; a second one stops at once.
    """
    raise typer.Exit(work(config, ingest=False, egress=True, grace_seconds=stop_within))


@app.command(rich_help_panel="Run")
def run(config: Config = None, stop_within: Grace = GRACE_SECONDS) -> None:
    """Read the mailboxes and send mail, both in one process."""
    raise typer.Exit(work(config, ingest=True, egress=True, grace_seconds=stop_within))


@app.command(rich_help_panel="Set up")
def check(
    config: Config = None,
    *,
    as_json: AsJson = False,
    role: Annotated[
        Literal["run", "ingest", "egress"],
        typer.Option(help="The command whose login at RabbitMQ this is: which rights it needs, and which not."),
    ] = "run",
    send_test: Annotated[
        str | None,
        typer.Option("--send-test", metavar="ADDRESS", help="Send one mail there from each mailbox that is sent from."),
    ] = None,
    allow_warnings: Annotated[
        bool, typer.Option("--allow-warnings", help="End with 0 also where there are warnings; for health checks.")
    ] = False,
) -> None:
    """
    Try everything that the workers need, step by step, and say what is missing and how to get it.

    Configuration, name resolution and TLS of each host, each app and credential at Entra, each mailbox with every
    right, the mailboxes that must stay closed, RabbitMQ with rights and topology. Sends no mail unless asked to. What
    it makes to try a right (a draft, a folder) it deletes again, also when interrupted. Exit code 0 only if all is
    well; 6 if it works, with warnings; 1 if something is wrong.
    """
    from bridge.cli.check import check_all  # noqa: PLC0415

    code = check_all(config, as_json=as_json, role=role, send_test=_address(send_test), allow_warnings=allow_warnings)
    raise typer.Exit(code)


def _address(text: str | None) -> str | None:
    from pydantic_core import PydanticCustomError  # noqa: PLC0415 - --help must not wait for these

    from bridge.config import rules  # noqa: PLC0415

    try:
        return rules.address(text.strip()) if text is not None else None
    except PydanticCustomError:
        raise typer.BadParameter("it is no SMTP address", param_hint="--send-test") from None


# The help shows the panels in the order in which their first command is registered.
app.command(rich_help_panel="Develop")(client_commands.send)
app.command(rich_help_panel="Develop")(client_commands.tail)
app.command(rich_help_panel="Develop")(probe_command.probe_exchange)


@app.command(context_settings=_PASSED_ON, add_help_option=False, rich_help_panel="Develop")
def sandbox(context: typer.Context) -> None:
    """Start an Exchange and an Entra on this machine to develop against (bridge sandbox --help)."""
    from bridge.cli.delegated import run_sandbox  # noqa: PLC0415

    raise typer.Exit(run_sandbox(context.args))


@app.command(context_settings=_PASSED_ON, add_help_option=False, rich_help_panel="Develop")
def demo(context: typer.Context) -> None:
    """Show mail going both ways on a private RabbitMQ and the sandbox (bridge demo --help)."""
    from bridge.cli.delegated import run_demo  # noqa: PLC0415

    raise typer.Exit(run_demo(context.args))
