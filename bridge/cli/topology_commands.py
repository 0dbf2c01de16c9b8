"""`bridge topology apply|show|export`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.exits import Exit, answer, say
from bridge.cli.options import AsJson, Config, load_part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.adapters.rabbitmq.admin import Finding
    from bridge.config import Loaded, TopologySettings

app = typer.Typer(help="The exchanges and queues on RabbitMQ.", no_args_is_help=True)


@app.command()
def apply(config: Config = None, *, as_json: AsJson = False) -> None:
    """
    Declare what is missing; nothing is ever deleted or changed.

    What exists with other arguments stays as it is and is reported; the exit code is then 1. Needs
    a login with the rights to configure; the workers do not.
    """
    import asyncio  # noqa: PLC0415 - --help must not wait for these

    from bridge.adapters.rabbitmq.admin import RabbitTopology  # noqa: PLC0415
    from bridge.bootstrap.broker import rabbit_settings  # noqa: PLC0415
    from bridge.cli.broker import wanted_topology  # noqa: PLC0415

    settings = _load(config).settings
    broker = RabbitTopology(rabbit_settings(settings.rabbitmq, name="bridge topology apply", app=settings.broker_app))
    findings = asyncio.run(broker.apply(wanted_topology(settings)))
    _print_findings(findings, as_json=as_json)


@app.command()
def show(config: Config = None, *, as_json: AsJson = False) -> None:
    """
    Compare what RabbitMQ has with what the bridge needs; change nothing.

    Exit code 1 if something is missing or differs.
    """
    import asyncio  # noqa: PLC0415 - --help must not wait for these

    from bridge.adapters.rabbitmq.admin import RabbitTopology  # noqa: PLC0415
    from bridge.bootstrap.broker import rabbit_settings  # noqa: PLC0415
    from bridge.cli.broker import wanted_topology  # noqa: PLC0415

    settings = _load(config).settings
    broker = RabbitTopology(rabbit_settings(settings.rabbitmq, name="bridge topology show", app=settings.broker_app))
    findings = asyncio.run(broker.show(wanted_topology(settings)))
    _print_findings(findings, as_json=as_json)


@app.command()
def export(
    config: Config = None,
    *,
    users: Annotated[
        bool, typer.Option("--users", help="Add least-privilege users with their rights, without passwords.")
    ] = False,
    rights: Annotated[
        bool, typer.Option("--rights", help="Add the rights alone, for users who have a password already.")
    ] = False,
    scopes: Annotated[
        bool,
        typer.Option("--scopes", help="Print instead, for each user, the scopes that give a token the same rights."),
    ] = False,
    prefix: Annotated[
        str, typer.Option(metavar="PREFIX", help="What RabbitMQ's auth_oauth2.scope_prefix says, with --scopes.")
    ] = "bridge.",
) -> None:
    """
    Print a RabbitMQ definitions file (rabbitmqctl import_definitions) with everything that the bridge needs.

    No password is ever in it. Importing --users again takes the passwords of these users away; --rights does not.
    """
    import json  # noqa: PLC0415 - --help must not wait for these

    from bridge.cli.broker import virtual_host, wanted_topology  # noqa: PLC0415
    from bridge.wire import definitions  # noqa: PLC0415
    from bridge.wire import rights as roles  # noqa: PLC0415

    settings = _load(config).settings
    vhost = virtual_host(settings.rabbitmq)
    if scopes:
        document: object = {role.user: roles.scopes(role, vhost=vhost, prefix=prefix) for role in roles.ROLES}
    else:
        wanted = wanted_topology(settings)
        document = definitions.export(wanted, vhost=vhost, with_users=users, with_rights=rights)
    answer(json.dumps(document, indent=2))


def _load(config: Config) -> Loaded[TopologySettings]:
    from bridge.config import TopologySettings  # noqa: PLC0415 - --help must not wait for it

    return load_part(config, TopologySettings)


def _print_findings(findings: Sequence[Finding], *, as_json: bool) -> None:
    """Print the findings; exit code 1 if one of them is not as it should be."""
    import dataclasses  # noqa: PLC0415 - only to answer
    import json  # noqa: PLC0415

    wrong = [one for one in findings if one.state in {"missing", "differs"}]
    unknown = [one for one in findings if one.state == "refused"]
    if as_json:
        answer(json.dumps([dataclasses.asdict(one) for one in findings], indent=2))
    else:
        for one in findings:
            answer(str(one))
    if unknown:
        say(f"{len(unknown)} could not be looked at: this login has no right to")
    if any(one.state == "missing" for one in wrong):
        say("something is missing: bridge topology apply declares it")
    if any(one.state == "differs" for one in wrong):
        say("something differs: a queue keeps the arguments it was declared with. Drain it, delete it, and apply again")
    if wrong:
        raise typer.Exit(Exit.NO)
