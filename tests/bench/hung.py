"""One mailbox answers, four that share its connections do not: how long its mail and its urgent requests take."""

from __future__ import annotations

import statistics
import time

from tests.bench.consumer import Consumer
from tests.bench.figures import Figure, percentile
from tests.bench.sending import Outgoing, publish
from tests.bench.stage import ADDRESS, ALIAS, Stage, a_mail, tell
from tests.support.workers import until

_ROUND_TRIP = 0.1
_MAIL_BYTES = 20_000
_GAP_SECONDS = 1.0
_HUNG = [f"hung-{number}" for number in range(4)]
_CONNECTIONS = "8"
_STALL_SECONDS = 3_600
_MOST_RATIO = 2.0


def hung(*, quick: bool) -> list[Figure]:
    """
    The ordinary time first, then that beside four mailboxes that hang, from their first hanging call on.

    These get mails and requests all the while. Judged is the slowest tenth beside the slowest tenth.
    """
    rounds = 10 if quick else 60
    settings = {"EWS__CONNECTIONS": _CONNECTIONS, "MAILBOXES__0__SEND_RATE_PER_MINUTE": "unlimited"}
    addresses = [f"{alias}@example.org" for alias in _HUNG]
    with (
        Stage(mailboxes=[ADDRESS, *addresses], exchange_round_trip=_ROUND_TRIP, settings=settings) as stage,
        stage.worker("run") as worker,
        Consumer(stage, ALIAS) as consumer,
    ):
        until(worker.ready, "the worker to read and to drain", seconds=120)
        stage.sandbox.admin("/settings", method="PUT", body={"sends_per_minute": None, "recipients_per_day": None})
        probe = _Probe(stage, consumer, Outgoing(stage, lambda: worker.running))
        probe.measure(3)  # connections are made, and the proof of the first send
        ordinary = probe.measure(rounds)
        rules = [
            {"match": {"mailbox": address}, "fault": {"kind": "stall_before", "seconds": _STALL_SECONDS}}
            for address in addresses
        ]
        stage.sandbox.admin("/faults", method="PUT", body=rules)
        beside = probe.measure(rounds, others=_HUNG)
    figures = []
    for name, what, before, after in zip(
        ("hung", "hung-urgent"), ("mail", "urgent send"), ordinary, beside, strict=True
    ):
        tell(
            f"hung: {what}: median {statistics.median(before):.2f} s, slowest {max(before):.2f}; beside four that hang "
            f"{statistics.median(after):.2f}, slowest {max(after):.2f}"
        )
        ratio = percentile(after, 0.9) / percentile(before, 0.9)
        figures.append(Figure.at_most(name, ratio, f"times its ordinary time, {what}", _MOST_RATIO, aim=1))
    return figures


class _Probe:
    """Sends a mail to the one mailbox and a request from it, again and again."""

    def __init__(self, stage: Stage, consumer: Consumer, outgoing: Outgoing) -> None:
        self._stage = stage
        self._consumer = consumer
        self._outgoing = outgoing
        self._number = 0

    def measure(self, rounds: int, others: list[str] | None = None) -> tuple[list[float], list[float]]:
        """Return the seconds that each mail and each urgent request took, one of each in a round."""
        mails, sends = [], []
        for _ in range(rounds):
            begun = time.monotonic()
            self._number += 1
            for alias in others or ():
                self._deliver(f"{alias}@example.org")
                publish(self._stage, [f"{alias}-{self._number}"], alias=alias)
            asked, request_id = time.time(), f"urgent-{self._number}"
            accepted = self._deliver(ADDRESS)
            publish(self._stage, [request_id], urgent=True)
            self._consumer.until(self._number, seconds=600)
            mails.append(max(self._consumer.arrived.values()) - accepted)
            sent = {one.request_id: one.at for one in self._outgoing.until(self._number)}
            sends.append(sent[request_id] - asked)
            time.sleep(max(0.0, begun + _GAP_SECONDS - time.monotonic()))
        return mails, sends

    def _deliver(self, recipient: str) -> float:
        mail = a_mail(self._number, size=_MAIL_BYTES)
        return next(time.monotonic() for _ in self._stage.deliver([mail], recipient))
