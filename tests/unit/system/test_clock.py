"""The one place that knows the time, and that there is no other."""

from __future__ import annotations

import ast
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from bridge.adapters.system.clock import SystemClock
from tests.support.source import parsed

_TRUE = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
_ROOT = Path(__file__).parents[3]

_MAY_ASK = {
    "adapters/system/clock.py": "the one place",
    "ports/server_time.py": "Exchange's time before its first answer: for the rate window, set right by it",
    "adapters/entra/client.py": "how far this machine's clock is from Entra's is what it tells",
    "adapters/entra/http.py": "likewise",
    "adapters/entra/sign_in.py": "warnings of a credential's end; a wrong clock is told before them",
    "adapters/entra/tenant.py": "how far this machine's clock is from Entra's is what it tells",
    "adapters/entra/tokens.py": "for what people read; tokens live by the other clock",
    "adapters/http_trust.py": "compared with the time of a file on the same machine",
    "adapters/rabbitmq/own_certificate.py": "a default; workers hand it the trusted time",
    "telemetry/metrics.py": "a default; workers hand it the trusted time",
    "wire/inbound_messages.py": "a stamp in an event, by which nothing is decided",
    "client/broker.py": "a publisher's stamp",
    "cli/compose.py": "the subject of a mail that a person sends by hand",
}
_COMMANDS = ("doctor/", "probe/", "sandbox/", "demo/")
"""What a person runs and looks at, on a machine of theirs; nothing of the mails is decided there."""
_WALL_CLOCKS = {"time.time", "time.time_ns", "time.localtime", "time.gmtime", "datetime.now", "datetime.utcnow"}
_WALL_CLOCKS |= {"datetime.today", "date.today", "formatdate", "localtime", "utils.formatdate", "utils.localtime"}


class _Machine:
    """A machine whose clocks somebody sets."""

    def __init__(self, wall: datetime = _TRUE) -> None:
        self.wall, self.elapsed = wall, 1000.0
        self.clock = SystemClock(wall_clock=self._wall_clock, elapsed=lambda: self.elapsed)

    def _wall_clock(self) -> float:
        return self.wall.timestamp()

    def hear(self, server: str = "Exchange", *, ahead: timedelta = timedelta(), **headers: str) -> None:
        date = format_datetime(_TRUE + timedelta(seconds=self.elapsed - 1000) + ahead, usegmt=True)
        self.clock.server(server).note({"Date": date, **headers}, asked_at=self.elapsed)


def _near(moment: datetime | None, expected: datetime) -> bool:
    return moment is not None and abs(moment - expected) <= timedelta(seconds=1)


@pytest.mark.parametrize("hours", [-720, -3, 3, 720])
def test_once_a_server_has_said_what_time_it_is_the_own_clock_may_say_what_it_likes(hours: int) -> None:
    machine = _Machine(_TRUE + timedelta(hours=hours))
    machine.hear()

    assert _near(machine.clock.now(), _TRUE)
    machine.wall += timedelta(hours=5)
    machine.elapsed += 60
    known = machine.clock.known()
    assert known is not None
    assert _near(known.earliest, _TRUE + timedelta(minutes=1))
    assert _near(known.latest, _TRUE + timedelta(minutes=1))
    assert known.earliest <= _TRUE + timedelta(minutes=1) <= known.latest


def test_before_that_nothing_is_known_and_it_is_told_once_somebody_has_wanted_to_know() -> None:
    machine = _Machine()

    machine.elapsed += 3600
    assert machine.clock.state().told() is None
    assert (machine.clock.known(), machine.clock.certain_now()) == (None, None)
    machine.elapsed += 21
    told = machine.clock.state().told()
    assert told is not None
    assert told[:2] == ("trouble", "time_unknown")
    machine.wall += timedelta(seconds=3621)
    machine.hear()
    assert machine.clock.state().told() == ("ok", "ok", "")


def test_two_servers_that_disagree_bound_the_time_together() -> None:
    machine = _Machine()
    machine.hear("Exchange", ahead=timedelta(hours=2))
    machine.hear("Entra")

    known, told = machine.clock.known(), machine.clock.state().told()

    assert known is not None
    assert _near(known.earliest, _TRUE)
    assert _near(known.latest, _TRUE + timedelta(hours=2))
    assert told is not None
    assert told[:2] == ("warning", "clocks_disagree")


@pytest.mark.parametrize(("own", "certain"), [(-720, -720), (0, 0), (720, 0)])
def test_what_is_deleted_is_old_by_every_clock(own: int, certain: int) -> None:
    machine = _Machine(_TRUE + timedelta(hours=own))
    machine.hear()

    assert _near(machine.clock.certain_now(), _TRUE + timedelta(hours=certain))


def test_an_answer_out_of_a_cache_does_not_tell_the_time() -> None:
    machine = _Machine()
    machine.hear(ahead=timedelta(hours=-2), Age="7200")

    assert machine.clock.known() is None


@pytest.mark.parametrize("date", ["", "yesterday", "Tue, 24 Nov 2026 03:00:00", "Fri, 31 Dec 9999 23:59:59 GMT", "\0"])
def test_what_is_no_date_of_a_server_is_ignored(date: str) -> None:
    clock = SystemClock()
    clock.server("Exchange").note({"Date": date}, asked_at=0.0)

    assert clock.known() is None


def test_a_clock_of_this_machine_that_is_off_is_told() -> None:
    machine = _Machine(_TRUE + timedelta(hours=3))
    machine.hear()

    told = machine.clock.state().told()

    assert told is not None
    assert told[:2] == ("warning", "clock_skew")
    assert told[2].endswith("s ahead")


def test_nobody_else_asks_this_machine_what_time_it_is() -> None:
    """Who decides by age asks the one place; whoever is here asks for a reason that is given."""
    found = set()
    for path in sorted((_ROOT / "bridge").rglob("*.py")):
        name = path.relative_to(_ROOT / "bridge").as_posix()
        if name.startswith(_COMMANDS):
            continue
        asks = (ast.unparse(node) for node in ast.walk(parsed(path)) if _is_name(node))
        found |= {name for text in asks if ".".join(text.split(".")[-2:]) in _WALL_CLOCKS}

    assert found == _MAY_ASK.keys()


def _is_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute | ast.Name)
