"""`bridge send`: one request on the queue, and what becomes of it."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING

from bridge.cli.exits import Exit, answer, say
from bridge.cli.sign_in import client_sign_in
from bridge.client import BridgeClient, BrokerUnavailable, RequestInvalid, TopologyMissing
from bridge.wire import event_v1
from bridge.wire.topology import check_alias

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.client import MailEvent, OutboundRequest
    from bridge.config import ClientSettings

_WAITED_FOR = (*sorted(event_v1.TERMINAL), "outbound.delayed")


def send(
    settings: ClientSettings,
    request: OutboundRequest,
    *,
    mailbox: str,
    urgent: bool,
    wait_seconds: float | None,
    as_json: bool,
) -> int:
    """
    Publish the request; return once the broker holds it, or, with `wait_seconds`, once it has ended.

    Raises:
        RequestInvalid: There can be no mailbox of that name.
        BridgeError: The broker does not take it.
    """
    try:
        check_alias(mailbox)
    except ValueError as error:
        raise RequestInvalid("mailbox", str(error).replace(repr(mailbox), "").strip()) from error
    ended: MailEvent | None = None

    def work(client: BridgeClient) -> None:
        nonlocal ended
        queue = client.subscribe_events(*_WAITED_FOR) if wait_seconds is not None else None
        client.publish_request(request, mailbox=mailbox, urgent=urgent)
        say(f"request {request.request_id} is in RabbitMQ, for the mailbox {mailbox}")
        if queue is not None and wait_seconds is not None:
            ended = _wait(client, queue, request.request_id, wait_seconds)

    on_first_node(settings, work)
    if wait_seconds is None:
        if as_json:
            answer(json.dumps({"request_id": request.request_id, "mailbox": mailbox}))
        return Exit.OK
    if ended is None:
        say(f"nothing was heard of its end within {wait_seconds:g} s; it goes on (bridge tail)")
        return Exit.TIMEOUT
    answer(event_v1.to_json(ended).decode() if as_json else in_words(ended))
    return Exit.OK if ended.event == "outbound.sent" else Exit.NO


def on_first_node(settings: ClientSettings, work: Callable[[BridgeClient], None]) -> None:
    """
    Do the work on the first node of the cluster that can be reached.

    Raises:
        BrokerUnavailable: None of them can.
    """
    section, sign_in = settings.rabbitmq, client_sign_in(settings)
    for position, url in enumerate(section.urls, 1):
        with BridgeClient(
            url.get_secret_value(),
            ca_file=section.ca_file,
            timeout_seconds=section.confirm_timeout_seconds,
            sign_in=sign_in,
        ) as client:
            try:
                work(client)
            except BrokerUnavailable:
                if position == len(section.urls):
                    raise
            else:
                return


def _wait(client: BridgeClient, queue: str, request_id: str, wait_seconds: float) -> MailEvent | None:
    """Return the event with which the request ended, None if it has not in time."""
    deadline = time.monotonic() + wait_seconds
    with contextlib.suppress(TopologyMissing):  # the connection was lost, and the queue of our own with it
        while (left := deadline - time.monotonic()) > 0:
            for received in client.events(queue, idle_seconds=left):
                received.ack()
                event = received.payload
                if event.request_id == request_id and event.event in event_v1.TERMINAL:
                    return event
                if event.request_id == request_id:
                    say(in_words(event))
                if time.monotonic() >= deadline:
                    break
    return None


def in_words(event: MailEvent) -> str:
    """Return an event as one line for people."""
    about = event.request_id or event.message_id or "-"
    code = f" {event.code}" if event.code else ""
    detail = f" ({event.detail})" if event.detail else ""
    tries = f", attempt {event.attempts}" if event.attempts > 1 else ""
    return f"{event.at:%Y-%m-%dT%H:%M:%SZ}  {event.event}{code}  {event.mailbox}  {about}{tries}{detail}"
