"""`bridge send` and `bridge tail`: the broker from a CAD system's side."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer evaluates the annotations
from typing import Annotated

import typer

from bridge.cli.options import AsJson, Config, load_part


def send(
    mailbox: Annotated[str, typer.Argument(metavar="MAILBOX", help="The alias of the mailbox that sends.")],
    *,
    to: Annotated[list[str] | None, typer.Option(metavar="ADDRESS", help="Recipient; may be repeated.")] = None,
    cc: Annotated[list[str] | None, typer.Option(metavar="ADDRESS", help="Copy; may be repeated.")] = None,
    bcc: Annotated[list[str] | None, typer.Option(metavar="ADDRESS", help="Blind copy; may be repeated.")] = None,
    reply_to: Annotated[list[str] | None, typer.Option(metavar="ADDRESS", help="Where answers go.")] = None,
    subject: Annotated[str, typer.Option(metavar="TEXT", help="Subject.")] = "",
    text: Annotated[str | None, typer.Option(metavar="TEXT", help="The text itself.")] = None,
    text_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The text from a file; - reads it here.")
    ] = None,
    html_file: Annotated[Path | None, typer.Option(metavar="FILE", help="The HTML form from a file.")] = None,
    attach: Annotated[list[Path] | None, typer.Option(metavar="FILE", help="Attachment; may be repeated.")] = None,
    importance: Annotated[str, typer.Option(metavar="low|normal|high", help="Importance.")] = "normal",
    expires_in: Annotated[
        float | None, typer.Option(min=1, metavar="SECONDS", help="Do not send it later than in so many seconds.")
    ] = None,
    request_id: Annotated[
        str | None, typer.Option(metavar="ID", help="The same ID is sent once, however often; a new one if not given.")
    ] = None,
    correlation_id: Annotated[str | None, typer.Option(metavar="ID", help="Repeated in every event.")] = None,
    request: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A whole mail.outbound.v1 as JSON instead; - reads it here.")
    ] = None,
    urgent: Annotated[bool, typer.Option("--urgent", help="Overtake ordinary requests.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for what becomes of it.")] = False,
    timeout: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Longest wait with --wait.")] = 300.0,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """
    Ask for one mail to be sent, as a CAD system would: checked, then put on the queue.

    Exit code 0: RabbitMQ has it, or with --wait, it was sent; 1: it failed, expired, or its outcome is unknown;
    4: no outcome in time, it goes on. Needs only the section rabbitmq of the configuration.
    """
    from bridge.cli.compose import Draft, compose  # noqa: PLC0415 - --help must not wait for these
    from bridge.cli.send import send as put  # noqa: PLC0415
    from bridge.config import ClientSettings  # noqa: PLC0415

    settings = load_part(config, ClientSettings).settings
    _, made = compose(
        Draft(
            to=to or (),
            cc=cc or (),
            bcc=bcc or (),
            reply_to=reply_to or (),
            subject=subject,
            text=text,
            text_file=text_file,
            html_file=html_file,
            attach=attach or (),
            importance=importance,
            expires_in_seconds=expires_in,
            request_id=request_id,
            correlation_id=correlation_id,
            request_file=request,
        )
    )
    wait_seconds = timeout if wait else None
    raise typer.Exit(put(settings, made, mailbox=mailbox, urgent=urgent, wait_seconds=wait_seconds, as_json=as_json))


def tail(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[EVENT]...", help="Such as outbound.sent or outbound.#; all if none.")
    ] = None,
    config: Config = None,
    *,
    as_json: AsJson = False,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, metavar="N", help="End after so many.")] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0.1, metavar="SECONDS", help="End when none came for so long.")
    ] = None,
) -> None:
    """
    Show events as they come, one a line; nothing is taken from anybody's queue.

    Needs only the section rabbitmq of the configuration. Exit code 4 if --timeout came before --limit was reached.
    """
    from bridge.cli.tail import tail_events  # noqa: PLC0415 - --help must not wait for these
    from bridge.config import ClientSettings  # noqa: PLC0415

    settings = load_part(config, ClientSettings).settings
    raise typer.Exit(tail_events(settings, names or (), as_json=as_json, limit=limit, idle_seconds=timeout))
