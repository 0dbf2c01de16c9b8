"""Everything that can go wrong, at random from a seed: processes, links, the broker, Exchange, credentials."""

from __future__ import annotations

import random
import signal
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.chaos.plant import CONTROL_SECONDS
from tests.chaos.repeats import SHARED, Faults
from tests.support.faults import HARMLESS, UNAVAILABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.plant import Plant, Station

_CALL_FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "latency", "seconds": 1},
    {"kind": "unavailable", "status": 503, "retry_after_seconds": 1},
    {"kind": "unavailable", "status": 503},
    {"kind": "server_busy", "back_off_milliseconds": 1000},
    {"kind": "item_server_busy"},
    {"kind": "item_error", "code": "ErrorInternalServerTransientError"},
    {"kind": "blocked_by_policy"},
    {"kind": "stall_before", "seconds": 8},
    {"kind": "stall_after", "seconds": 8},
    {"kind": "late_answer", "seconds": 2},
    {"kind": "wrong_date", "seconds": 3600},
    *(fault for fault in (*HARMLESS, *UNAVAILABLE) if fault["kind"] != "gzip_bomb"),
    {"kind": "gzip_bomb", "megabytes": 2},
)
"""Every kind of the sandbox's but those of streams, which the workers do not listen to."""
_OF_CONNECTIONS = ("tcp_", "tls_", "certificate_", "slow_line")
_OPERATIONS = ("FindItem", "GetItem", "DeleteItem", "CreateItem", "SendItem", "UpdateItem", "FindFolder")


@dataclass
class Trouble:
    """Makes trouble until `stop` is set."""

    plant: Plant
    seed: int
    faults: Faults = field(default_factory=Faults)
    only: frozenset[str] = frozenset()
    """The names of all the trouble that is to be, as they are told; empty for any."""
    stop: threading.Event = field(default_factory=threading.Event)
    fetches_spoiled: int = 0
    """How often the fetching of mails went wrong for a while."""

    def torment_workers(self) -> None:
        """Processes and their links, one after the other."""
        chance = random.Random(f"workers {self.seed}")
        kinds: list[tuple[str, Callable[[random.Random, Station], str], int]] = [
            ("kill {}", self._kill, 4),
            ("stop {}", self._stop, 2),
            ("freeze {}", self._freeze, 2),
            ("cut amqp of {}", partial(self._cut, "amqp"), 1),
            ("cut ews of {}", partial(self._cut, "ews"), 1),
            ("black-hole amqp of {}", partial(self._black_hole, "amqp"), 1),
            ("black-hole ews of {}", partial(self._black_hole, "ews"), 1),
        ]
        pot = [
            (kind, station)
            for name, kind, weight in kinds
            for station in self.plant.stations
            if not self.only or name.format(station.role) in self.only
            for _ in range(weight)
        ]
        while pot and not self.stop.is_set():
            kind, station = chance.choice(pot)
            begun = time.time()
            self.faults.tell(f"{kind(chance, station)} {station.role}", station.name, begun)
            self.stop.wait(chance.uniform(0.2, 1.5))
        self.stop.wait()

    def torment_infrastructure(self) -> None:
        """The broker, Exchange and Entra, one after the other."""
        chance = random.Random(f"infrastructure {self.seed}")
        kinds: list[tuple[str, Callable[[random.Random], str], int]] = [
            ("fault", self._call_fault, 8),
            ("kill sandbox", self._kill_sandbox, 2),
            ("freeze sandbox", self._freeze_sandbox, 1),
            ("kill broker", self._kill_broker, 1),
            ("freeze broker", self._freeze_broker, 1),
            ("alarm", self._alarm, 1),
            ("expire tokens", self._expire_tokens, 1),
            ("expire secret", self._expire_secret, 1),
            ("revoke", self._revoke, 1),
            ("entra away", self._entra_away, 1),
        ]
        pot = [kind for name, kind, weight in kinds if not self.only or name in self.only for _ in range(weight)]
        while pot and not self.stop.is_set():
            begun = time.time()
            self.faults.tell(chance.choice(pot)(chance), SHARED, begun)
            self.stop.wait(chance.uniform(0.2, 1.5))
        self.stop.wait()

    # Workers.

    def _kill(self, chance: random.Random, station: Station) -> str:
        with station.lock:
            station.worker.kill()
            self.stop.wait(chance.uniform(0, 2))
            station.worker.start()
        return "kill"

    def _stop(self, chance: random.Random, station: Station) -> str:
        with station.lock:
            code = station.worker.stop(seconds=60)
            if code not in {0, 5, -signal.SIGTERM}:  # the last one: before it could listen to signals
                raise AssertionError(f"{station.name} ended with {code}")
            self.stop.wait(chance.uniform(0, 1))
            station.worker.start()
        # It says itself that it had to leave something unfinished: Exchange was not there for all of its time.
        return "cut short" if code == 5 else "stop"

    def _freeze(self, chance: random.Random, station: Station) -> str:
        with station.lock:
            station.worker.freeze()
            self.stop.wait(chance.uniform(0.5, 6))
            station.worker.thaw()
        return "freeze"

    def _cut(self, link: str, _: random.Random, station: Station) -> str:
        getattr(station, link).cut()
        return f"cut {link} of"

    def _black_hole(self, link: str, chance: random.Random, station: Station) -> str:
        proxy = getattr(station, link)
        proxy.blackhole()
        self.stop.wait(chance.uniform(0.5, 6))
        if chance.random() < 0.5:
            proxy.cut()  # what was written into it never arrives
        proxy.carry()
        return f"black-hole {link} of"

    # The rest of the world.

    def _call_fault(self, chance: random.Random) -> str:
        fault = chance.choice(_CALL_FAULTS)
        operation = chance.choice(_OPERATIONS)
        of_connections = fault["kind"].startswith(_OF_CONNECTIONS)
        self.fetches_spoiled += not of_connections and operation == "GetItem"
        rule = {
            "match": {
                **({"service": "ews"} if of_connections else {"operation": operation}),
                "probability": chance.choice([0.05, 0.2, 0.5]),
            },
            "seed": chance.randrange(1 << 20),
            "fault": fault,
        }
        self.plant.sandbox.faults(rule)
        self.stop.wait(chance.uniform(0.5, 4))
        self.plant.sandbox.faults()
        return f"fault {fault['kind']}"

    def _kill_sandbox(self, _: random.Random) -> str:
        with self.plant.infrastructure:
            self.plant.sandbox.kill()
            self.plant.sandbox.start()
        return "kill sandbox"

    def _freeze_sandbox(self, chance: random.Random) -> str:
        with self.plant.infrastructure:
            self.plant.sandbox.freeze()
            self.stop.wait(chance.uniform(0.5, 8))
            self.plant.sandbox.thaw()
        return "freeze sandbox"

    def _kill_broker(self, _: random.Random) -> str:
        with self.plant.infrastructure:
            self.plant.broker.kill()
            self.plant.broker.start()
        return "kill broker"

    def _freeze_broker(self, chance: random.Random) -> str:
        with self.plant.infrastructure:
            self.plant.broker.freeze()
            self.stop.wait(chance.uniform(0.5, 5))
            self.plant.broker.thaw()
        return "freeze broker"

    def _alarm(self, chance: random.Random) -> str:
        with self.plant.infrastructure:
            self.plant.broker.ctl("set_vm_memory_high_watermark", "absolute", "1", timeout_seconds=CONTROL_SECONDS)
            self.stop.wait(chance.uniform(0.5, 4))
            self.plant.broker.ctl("set_vm_memory_high_watermark", "0.6", timeout_seconds=CONTROL_SECONDS)
        return "alarm"

    def _expire_tokens(self, _: random.Random) -> str:
        self.plant.sandbox.admin("/expire", method="POST", body={"what": "tokens"})
        return "expire tokens"

    def _expire_secret(self, chance: random.Random) -> str:
        for what in ("secret", "tokens"):
            self.plant.sandbox.admin("/expire", method="POST", body={"what": what})
        self.stop.wait(chance.uniform(0.5, 3))
        self.plant.sandbox.admin("/issue", method="POST", body={"what": "secret"})
        return "expire secret"

    def _revoke(self, chance: random.Random) -> str:
        app = f"/apps/{self.plant.sandbox.info['client_id']}"
        self.plant.sandbox.admin(app, method="PUT", body={"roles": []})
        self.plant.sandbox.admin("/expire", method="POST", body={"what": "tokens"})
        self.stop.wait(chance.uniform(0.5, 3))
        self.plant.sandbox.admin(app, method="PUT", body={"roles": ["full_access_as_app"]})
        self.plant.sandbox.admin("/expire", method="POST", body={"what": "tokens"})
        return "revoke"

    def _entra_away(self, chance: random.Random) -> str:
        rule = {"match": {"operation": "token"}, "fault": {"kind": "unavailable", "status": 503}}
        self.plant.sandbox.faults(rule)
        self.plant.sandbox.admin("/expire", method="POST", body={"what": "tokens"})
        self.stop.wait(chance.uniform(0.5, 4))
        self.plant.sandbox.faults()
        return "entra away"
