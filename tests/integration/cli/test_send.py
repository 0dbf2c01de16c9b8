"""`bridge send` and `bridge tail` on a real broker; the egress worker's part is played by the test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pika
import pytest

from bridge.wire import event_v1
from tests.support.rabbit import a_channel
from tests.support.waits import line_of

if TYPE_CHECKING:
    from pika.adapters.blocking_connection import BlockingChannel

    from bridge.wire.event_v1 import Code, EventName

MAILBOX = {"BRIDGE_MAILBOXES__0__ALIAS": "dispatch", "BRIDGE_MAILBOXES__0__ADDRESS": "dispatch@example.org"}


def start(*arguments: str, url: str) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    return subprocess.Popen(
        [sys.executable, "-m", "bridge", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=inherited | MAILBOX | {"BRIDGE_RABBITMQ__URLS": url},
    )


def run(*arguments: str, url: str) -> tuple[int, str, str]:
    process = start(*arguments, url=url)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.fixture
def url(broker_url: str) -> str:
    assert run("topology", "apply", url=broker_url)[0] == 0
    return broker_url


def take(channel: BlockingChannel, queue: str) -> tuple[pika.BasicProperties, bytes]:
    for method, properties, body in channel.consume(queue, inactivity_timeout=30):
        assert method is not None, f"nothing came to {queue}"
        assert properties is not None
        assert body is not None
        channel.basic_ack(method.delivery_tag)
        channel.cancel()
        return properties, body
    raise AssertionError(queue)


def tell(channel: BlockingChannel, event: EventName, request_id: str, code: Code | None = None) -> None:
    told = event_v1.build(event, mailbox="dispatch", at=datetime.now(UTC), request_id=request_id, code=code, attempts=1)
    channel.basic_publish("mail.events", event, event_v1.to_json(told), pika.BasicProperties(message_id=told.event_id))


def test_a_request_is_on_the_queue_when_the_command_ends(url: str) -> None:
    code, out, _ = run("send", "dispatch", "--to", "a@example.org", "--text", "t", "--urgent", "--json", url=url)

    assert code == 0
    with a_channel(url) as channel:
        properties, body = take(channel, "mail.outbound.dispatch.urgent")
    assert json.loads(out) == {"request_id": properties.message_id, "mailbox": "dispatch"}
    assert json.loads(body)["text"] == "t"
    assert (properties.delivery_mode, properties.type) == (2, "mail.outbound.v1")


@pytest.mark.parametrize(
    ("event", "reason", "code"),
    [
        ("outbound.sent", None, 0),
        ("outbound.failed", "refused_by_exchange", 1),
        ("outbound.unknown", "outcome_unknown", 1),
    ],
)
def test_waiting_ends_with_the_event_of_this_request_and_no_other(
    url: str, event: EventName, reason: Code | None, code: int
) -> None:
    process = start("send", "dispatch", "--to", "a@example.org", "--text", "t", "--wait", "--json", url=url)

    with a_channel(url) as channel:
        properties, _ = take(channel, "mail.outbound.dispatch")
        assert properties.message_id is not None
        tell(channel, "outbound.sent", "somebody-elses")
        tell(channel, "outbound.delayed", properties.message_id, "rate_limited")
        tell(channel, event, properties.message_id, reason)
    out, err = process.communicate(timeout=60)

    assert process.returncode == code
    assert (json.loads(out)["event"], json.loads(out)["request_id"]) == (event, properties.message_id)
    assert "outbound.delayed rate_limited" in err


def test_waiting_is_given_up_in_time_and_the_request_stays(url: str) -> None:
    code, out, err = run(
        "send", "dispatch", "--to", "a@example.org", "--text", "t", "--wait", "--timeout", "1", url=url
    )

    assert (code, out) == (4, "")
    assert "it goes on" in err
    with a_channel(url) as channel:
        take(channel, "mail.outbound.dispatch")


def test_without_topology_nothing_is_claimed(broker_url: str) -> None:
    code, _, err = run("send", "dispatch", "--to", "a@example.org", "--text", "t", url=broker_url)

    assert code == 3
    assert err.startswith("topology_missing:")
    assert "bridge topology apply" in err


def test_a_node_that_is_down_is_passed_over(url: str) -> None:
    code, _, _ = run("send", "dispatch", "--to", "a@example.org", "--text", "t", url=f"amqp://127.0.0.1:9/,{url}")

    assert code == 0


def test_tail_copies_events_and_leaves_the_queue_of_others_as_it_is(url: str) -> None:
    process = start("tail", "outbound.failed", "--limit", "1", "--json", url=url)
    assert process.stderr is not None
    assert "listening" in line_of(process.stderr, "tail to listen")

    with a_channel(url) as channel:
        tell(channel, "outbound.sent", "r-1")
        tell(channel, "outbound.failed", "r-2", "invalid_request")
        out, _ = process.communicate(timeout=60)
        waiting = channel.queue_declare("mail.events", passive=True).method.message_count

    assert process.returncode == 0
    assert json.loads(out)["request_id"] == "r-2"
    assert waiting == 2


def test_tail_shows_an_event_at_once_also_in_a_pipe(url: str) -> None:
    process = start("tail", url=url)
    assert process.stderr is not None
    assert process.stdout is not None
    assert "listening" in line_of(process.stderr, "tail to listen")

    with a_channel(url) as channel:
        tell(channel, "outbound.sent", "r-1")
        line = line_of(process.stdout, "the event")
        process.terminate()
        process.communicate(timeout=60)

    assert "outbound.sent" in line


def test_tail_says_when_fewer_came_than_were_waited_for(url: str) -> None:
    assert run("tail", "--limit", "1", "--timeout", "0.5", url=url)[0] == 4
