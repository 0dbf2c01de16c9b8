"""Requests to send: as fast as Exchange takes them, and as fast as it allows."""

from __future__ import annotations

import contextlib
import json
import random
import statistics
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pika

from tests.bench.figures import Figure, median_ratio, most_within
from tests.bench.stage import ALIAS, Stage, alternating, tell
from tests.support.rights import as_user
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_ROUND_TRIP = 0.1
_PER_MINUTE = 30
_UNLIMITED = {"MAILBOXES__0__SEND_RATE_PER_MINUTE": "unlimited", "MAILBOXES__0__RECIPIENTS_PER_DAY": "unlimited"}
_TO = "crew@elsewhere.example"
_TEXT = "The landing zone is lit; the crew is asked to confirm the estimated time of arrival.\r\n" * 20
_URGENT_PER_MINUTE = 4
_UNDER_WAY_SECONDS = 1.0
"""A mail that Exchange takes so soon after an urgent one was asked for was on its way already."""


@dataclass(frozen=True)
class Sent:
    """One mail that Exchange accepted."""

    request_id: str | None
    at: float
    """In seconds since 1970."""


def egress(*, quick: bool) -> list[Figure]:
    """500 requests, no rate limit, 100 ms added round trip to Exchange, after one that warms up and does not count."""
    requests, runs = (100, 1) if quick else (500, 3)
    rates: dict[str, list[float]] = {"naive": [], "bridge": []}
    with Stage(exchange_round_trip=_ROUND_TRIP, settings=_UNLIMITED) as stage:
        stage.sandbox.admin("/settings", method="PUT", body={"sends_per_minute": None, "recipients_per_day": None})
        for turn, who in enumerate(alternating(runs)):
            rates[who].append(_rate(stage, who, f"{turn}", requests))
    return [
        Figure.no_less(
            "egress",
            statistics.median(rates["bridge"]),
            "mails/s",
            25,
            aim=60,
            naive=statistics.median(rates["naive"]),
            ratio=median_ratio(rates["bridge"], rates["naive"]),
        )
    ]


def _rate(stage: Stage, who: str, run: str, requests: int) -> float:
    ids = [f"{run}-{number}" for number in range(requests)]
    with contextlib.ExitStack() as stack:
        if who == "bridge":
            worker = stack.enter_context(stage.worker("egress"))
            pid, running = worker.pid, lambda: worker.running
        else:
            process = stack.enter_context(stage.naive("naive_sending.py", requests=1 + requests))
            pid, running = process.pid, lambda: process.poll() is None
        mails = Outgoing(stage, running)
        publish(stage, [f"{run}-first"])
        mails.until(1)
        meter, begun = stage.meter(pid), time.time()
        publish(stage, ids)
        sent = mails.until(1 + requests)[1:]
        shares = meter.shares()
        if who == "bridge":
            if sorted(str(one.request_id) for one in sent) != sorted(ids):
                raise RuntimeError("not every request was sent, or some twice")
            until(lambda: worker.metric("bridge_egress_held_requests") == 0, "the events of the last ones")
            worker.stop(seconds=60)
        elif process.wait(60) != 0:  # killed before its last acknowledgement, it would leave that one to the next
            raise RuntimeError("the naive bridge failed")
    rate = requests / (sent[-1].at - begun)
    tell(f"egress: {who:6} {requests} mails, {rate:.1f}/s; {shares}")
    return rate


def egress_limited(*, quick: bool) -> list[Figure]:
    """
    30 a minute for three minutes, four urgent ones thrown in each minute, a queue of ordinary ones always waiting.

    Shows the share of the allowance that was used, the most that went out within any minute, and how many ordinary
    mails went ahead of an urgent one that was waiting already.
    """
    minutes = 1 if quick else 3
    seconds = 60.0 * minutes
    urgent: dict[str, float] = {}
    with Stage(exchange_round_trip=_ROUND_TRIP) as stage, stage.worker("egress") as worker:
        until(worker.ready, "the worker to drain", seconds=120)
        mails = Outgoing(stage, lambda: worker.running)
        meter = stage.meter(worker.pid)
        publish(stage, [f"ordinary-{number}" for number in range((_PER_MINUTE + 5) * (minutes + 1))])
        begun = mails.until(1)[0].at
        for number, moment in enumerate(_moments(minutes)):
            time.sleep(max(0.0, begun + moment - time.time()))
            request_id = f"urgent-{number}"
            urgent[request_id] = time.time()
            publish(stage, [request_id], urgent=True)
        time.sleep(max(0.0, begun + seconds - time.time()))
        # The last urgent ones may wait for slots of the minute that follows.
        until(lambda: {one.request_id for one in mails.look()} >= set(urgent), "all urgent mails", seconds=90)
        sent = mails.look()
        tell(f"egress-limited: {len(sent)} mails, {len(urgent)} urgent; {meter.shares()}")
        worker.stop(seconds=60)
    return judged(sent, urgent, begun=begun, seconds=seconds)


def judged(sent: list[Sent], urgent: dict[str, float], *, begun: float, seconds: float) -> list[Figure]:
    allowed = _PER_MINUTE * seconds / 60
    used = sum(one.at < begun + seconds for one in sent) / allowed
    within = most_within([one.at for one in sent], 60.0)
    overtaken = overtakings(sent, urgent)
    waits = [one.at - urgent[one.request_id] for one in sent if one.request_id in urgent]
    tell(f"egress-limited: urgent mails waited {', '.join(f'{wait:.1f}' for wait in waits)} s")
    return [
        Figure.no_less("egress-limited", 100 * used, "% of the allowance", 95, aim=99),
        Figure.at_most("egress-limited-most", within, "mails within any minute", _PER_MINUTE),
        Figure.at_most("egress-limited-urgent", overtaken, "ordinary mails ahead of an urgent one", 0),
    ]


def overtakings(sent: Iterable[Sent], urgent: dict[str, float]) -> int:
    """Return how many ordinary mails went out while an urgent one waited that had been asked for well before."""
    sent = list(sent)
    waited = [(urgent[one.request_id], one.at) for one in sent if one.request_id in urgent]
    ordinary = [one.at for one in sent if one.request_id not in urgent]
    return sum(asked + _UNDER_WAY_SECONDS < at < gone for at in ordinary for asked, gone in waited)


def _moments(minutes: int) -> Iterator[float]:
    """Yield at which seconds an urgent mail is asked for: by chance, but never when the first burst is going out."""
    chance = random.Random("urgent")
    for minute in range(minutes):
        yield from sorted(60 * minute + chance.uniform(10, 50) for _ in range(_URGENT_PER_MINUTE))


class Outgoing:
    """What Exchange accepts from now on, by its own account."""

    def __init__(self, stage: Stage, running: Callable[[], bool]) -> None:
        self._stage = stage
        self._running = running
        known = stage.sandbox.sends()
        self._last = int(known[-1]["id"]) if known else 0
        self._sent: list[Sent] = []

    def look(self) -> list[Sent]:
        """Return all so far, in the order of their acceptance."""
        found: list[dict[str, Any]] = self._stage.sandbox.admin(f"/sends?after={self._last}")
        for one in found:
            self._last = int(one["id"])
            self._sent.append(Sent(one["request_id"], datetime.fromisoformat(one["at"]).timestamp()))
        return self._sent

    def until(self, count: int) -> list[Sent]:
        """Return them once there are so many."""
        until(lambda: len(self.look()) >= count or not self._running(), f"{count} sends", seconds=600)
        if len(self.look()) != count:
            raise RuntimeError(f"{len(self._sent)} mails were sent, not {count}")
        return self._sent


def publish(
    stage: Stage,
    request_ids: Iterable[str],
    *,
    urgent: bool = False,
    alias: str = ALIAS,
    attachments: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Ask for a mail for each id."""
    with contextlib.closing(pika.BlockingConnection(pika.URLParameters(as_user(stage.broker.url, "bridge-cad")))) as at:
        channel = at.channel()
        for request_id in request_ids:
            content = {"subject": "Landing zone", "text": _TEXT, "attachments": attachments}
            body = {"request_id": request_id, "to": [{"address": _TO}], **content}
            properties = pika.BasicProperties(message_id=request_id, content_type="application/json", delivery_mode=2)
            key = f"{alias}.urgent" if urgent else alias
            channel.basic_publish("mail.outbound", key, json.dumps(body).encode(), properties, mandatory=True)
        # Without confirms: closing the channel waits until the broker has read all of it.
        channel.close()
