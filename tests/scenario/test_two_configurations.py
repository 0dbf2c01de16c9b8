"""Two workers with different configurations on one virtual host, each with a mailbox that the other does not know."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pika
import pytest

from tests.scenario.conftest import make_site
from tests.support.rabbit import a_channel
from tests.support.rights import with_least_rights
from tests.support.sandbox import SandboxProcess
from tests.support.workers import bridge, take, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.scenario.conftest import Site

_COUNT = 30


def configurations(sandbox: SandboxProcess) -> dict[str, Path]:
    """Return a configuration for each mailbox of the sandbox's own, by alias."""
    text = (sandbox.directory / "bridge.toml").read_text()
    head, *mailboxes = text.split("[[mailboxes]]")
    rest = ""
    found = {}
    for mailbox in mailboxes:
        own, bracket, after = mailbox.partition("\n[")
        rest += bracket + after
        alias = own.split('alias = "', 1)[1].split('"', 1)[0]
        found[alias] = own
    files = {alias: sandbox.directory / f"{alias}.toml" for alias in found}
    for alias, file in files.items():
        file.write_text(f"{head}[[mailboxes]]{found[alias]}{rest}")
    return files


def request(site: Site, alias: str, *request_ids: str) -> None:
    """Publish requests as a CAD system does; the broker takes them whether there is such a mailbox or not."""
    with a_channel(site.amqp_url) as channel:
        for request_id in request_ids:
            body = {"request_id": request_id, "to": [{"address": "dispatch@example.org"}], "text": "x"}
            properties = pika.BasicProperties(message_id=request_id, content_type="application/json", delivery_mode=2)
            channel.basic_publish("mail.outbound", alias, json.dumps(body).encode(), properties, mandatory=True)


@pytest.mark.timeout(300)
def test_requests_for_a_mailbox_that_only_the_other_worker_knows_are_sent_by_it(
    tmp_path: Path, broker_url: str
) -> None:
    """Its queue was not made yet, and whichever worker met them first ended them as `unknown_alias`."""
    mailboxes = ["dispatch@example.org", "fleet@example.org"]
    with SandboxProcess(tmp_path / "sandbox", mailboxes=mailboxes) as sandbox, ExitStack() as stack:
        files = configurations(sandbox)
        assert files.keys() == {"dispatch", "fleet"}
        site = make_site(tmp_path, sandbox, broker_url, config=files["dispatch"])
        workers = {}
        for alias, file in files.items():
            environment = with_least_rights("egress", {**site.environment, "BRIDGE_CONFIG": str(file)})
            workers[alias] = stack.enter_context(site.process("egress", environment, tmp_path / f"{alias}.log"))
        for worker in workers.values():
            until(lambda worker=worker: worker.metric("bridge_broker_other_workers") == 1, "each to hear the other")  # type: ignore[misc]

        requests = [f"r-{number}" for number in range(_COUNT)]
        request(site, "fleet", *requests)
        waits = workers["dispatch"]
        until(lambda: bool(waits.told("egress.request_deferred")), "the worker that does not know the alias to wait")
        assert {line["code"] for line in waits.told("egress.request_deferred")} == {"queue_missing"}
        assert {line["mailbox"] for line in waits.told("egress.queue_missing")} == {"fleet"}

        applied = bridge("topology", "apply", environment={**site.environment, "BRIDGE_CONFIG": str(files["fleet"])})
        assert applied.returncode == 0, applied.stderr
        until(lambda: len(sandbox.sends()) >= _COUNT, "all to be sent", seconds=120)
        request(site, "nobody", "lost")
        until(lambda: any(worker.told("egress.request_ended") for worker in workers.values()), "an end")

        ends: Counter[tuple[str, str]] = Counter()

        def all_ended() -> bool:
            for _, body in take(site.amqp_url, "mail.events"):
                event = json.loads(body)
                ends[event["request_id"], event["event"]] += 1
            return len(ends) > _COUNT

        until(all_ended, "every request to end", seconds=60)
        assert ends == {
            **{(request_id, "outbound.sent"): 1 for request_id in requests},
            ("lost", "outbound.failed"): 1,
        }
        assert Counter(str(send["request_id"]) for send in sandbox.sends()) == dict.fromkeys(requests, 1)
