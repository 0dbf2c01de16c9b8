"""Two workers that send for one mailbox: one drains its queues, the other takes over."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pika
import pytest

from tests.support.proxy import TcpProxy
from tests.support.rights import with_least_rights
from tests.support.workers import Worker, take, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.scenario.conftest import Site

_PART = "mailbox:dispatch:egress"


class Pair:
    """Egress workers of one mailbox."""

    def __init__(self, site: Site, stack: ExitStack) -> None:
        self.site = site
        self._stack = stack
        self._started = 0

    def start(self, **settings: str) -> Worker:
        """Start one more."""
        quick = {"BRIDGE_RABBITMQ__HEARTBEAT_SECONDS": "1"}
        environment = with_least_rights("egress", {**self.site.environment, **quick, **settings})
        self._started += 1
        worker = self.site.process("egress", environment, self.site.directory / f"egress-{self._started}.log")
        return self._stack.enter_context(worker)

    def request(self, *request_ids: str, key: str = "dispatch") -> None:
        """Publish requests as a CAD system does."""
        with contextlib.closing(pika.BlockingConnection(pika.URLParameters(self.site.amqp_url))) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            for request_id in request_ids:
                body = {"request_id": request_id, "to": [{"address": "dispatch@example.org"}], "text": "x"}
                properties = pika.BasicProperties(
                    message_id=request_id, content_type="application/json", delivery_mode=2
                )
                channel.basic_publish("mail.outbound", key, json.dumps(body).encode(), properties, mandatory=True)

    def sent(self) -> Counter[str]:
        """How often each request was sent, by Exchange's own account."""
        return Counter(str(send["request_id"]) for send in self.site.sandbox.sends())


def status(worker: Worker) -> str:
    """Return how the worker says that draining the mailbox's queues is."""
    return str(worker.health().get(_PART, {}).get("status"))


@pytest.fixture
def pair(site: Site) -> Iterator[Pair]:
    """Workers that are ended afterwards."""
    with ExitStack() as stack:
        yield Pair(site, stack)


@pytest.mark.timeout(240)
def test_a_sender_that_alone_cannot_reach_exchange_leaves_its_queues_to_the_other(pair: Pair) -> None:
    ews_url = pair.site.sandbox.info["ews_url"]
    port = int(ews_url.split(":")[2].split("/")[0])
    with TcpProxy(port) as proxy:
        owner = pair.start(BRIDGE_EWS__URL=ews_url.replace(f":{port}/", f":{proxy.port}/"))
        until(lambda: status(owner) == "ok", "the first to drain")
        other = pair.start()
        until(lambda: status(other) == "standby", "the second to stand by")
        pair.request("before")
        until(lambda: pair.sent() == {"before": 1}, "the first one's send")

        proxy.refuse()
        proxy.cut()
        pair.request("r-1", "r-2", "r-3")
        pair.request("u-1", key="dispatch.urgent")

        until(lambda: status(other) == "ok", "the other to drain", seconds=60)
        everything = dict.fromkeys(("before", "r-1", "r-2", "r-3", "u-1"), 1)
        until(lambda: pair.sent() == everything, "the other one's sends", seconds=90)
        # Health says so of the first one; it takes the queues again when the other goes, and can do its work.
        assert status(owner) != "ok"
        proxy.carry()
        assert other.stop() == 0
        until(lambda: status(owner) == "ok", "the first one to drain again", seconds=60)
        pair.request("after")
        until(lambda: pair.sent() == {**everything, "after": 1}, "its send")
        assert owner.stop() == 0

    events = [json.loads(body) for _, body in take(pair.site.amqp_url, "mail.events")]
    ends = Counter(event["request_id"] for event in events if event["event"] == "outbound.sent")
    assert ends == {**everything, "after": 1}
    assert {event["event"] for event in events} <= {"outbound.sent", "outbound.delayed"}
