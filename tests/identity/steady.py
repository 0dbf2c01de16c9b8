"""Two workers under steady traffic, while something happens to what they sign in with."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.identity.flow import Traffic
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.identity.place import Place, Table
    from tests.support.workers import Worker

TOKEN_SECONDS = 10
"""How long tokens live unless a test says otherwise, so that it sees several of them."""


class Steady:
    """Two workers under steady traffic, and what went wrong meanwhile."""

    def __init__(self, place: Place, workers: list[Worker], traffic: Traffic) -> None:
        self.place, self.workers, self.traffic = place, workers, traffic
        self._failed_before = place.errors()

    def failed(self) -> dict[str, float]:
        """Return the calls that failed since the beginning, as Exchange, Entra and the workers count them."""
        errors = self.place.errors()
        found = {name: float(count - self._failed_before.get(name, 0)) for name, count in errors.items()}
        for worker in self.workers:
            for labels, value in worker.series("bridge_ews_calls_total"):
                if labels["outcome"] != "ok":
                    found[f"{labels['operation']} as a worker tells it: {labels['outcome']}"] = value
        return {name: count for name, count in found.items() if count}

    def asked_anew(self) -> None:
        """Return once each worker has asked Entra with what was put in place now."""
        before = self.place.token_requests()
        wanted = before + len(self.workers)
        until(lambda: self.place.token_requests() >= wanted, "the workers to try what is new", seconds=15)

    def tokens_renewed(self) -> None:
        """Return once no token of before is left anywhere."""
        self.traffic.go_on(TOKEN_SECONDS + 1)

    def well(self, what: str) -> None:
        """End the traffic: nothing lost, nothing late, no call failed."""
        figures = self.traffic.settle()
        failed = self.failed()
        print(f"{what}: {figures}; {self.place.token_requests()} token requests; failed calls {failed or 0}")
        assert not failed
        assert not figures.late


@contextmanager
def steady(
    place: Place,
    seconds: float,
    alias: str,
    entra: Table,
    *,
    token_seconds: int = TOKEN_SECONDS,
    ews: Table | None = None,
) -> Iterator[Steady]:
    """Run `bridge ingest` and `bridge egress` for a mailbox under steady traffic; yield after some seconds of it."""
    address = f"{alias}@example.org"
    mailboxes: list[Table] = [{"alias": alias, "address": address}]
    with place.sandbox.settings(token_lifetime_seconds=token_seconds):
        settings = place.config(alias, mailboxes, entra=entra, ews=ews)
        with place.worker("ingest", settings) as ingest, place.worker("egress", settings) as egress:
            workers = [ingest, egress]
            with Traffic(place, alias, address) as traffic:
                state = Steady(place, workers, traffic)
                traffic.go_on(seconds)
                yield state
            assert [worker.stop() for worker in workers] == [0, 0]


def replace(path: Path, content: str | bytes) -> None:
    """Put a new file in the place of one, as a careful administrator or a secrets manager does: whole or not at all."""
    new = path.with_name(path.name + ".new")
    new.touch(mode=0o600)
    new.write_bytes(content if isinstance(content, bytes) else content.encode())
    new.rename(path)
