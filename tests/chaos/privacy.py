"""Marks on everything private, and the search for them wherever workers say anything."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.error import URLError
from urllib.request import urlopen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.chaos.plant import Plant

SUBJECT: Final = "Zqsubjectqz"
BODY: Final = "Zqbodyqz"
NAME: Final = "Zqnameqz"
FILE: Final = "Zqfileqz"
LOCAL_PART: Final = "zqaddressqz"

_MARKS = re.compile(f"{SUBJECT}|{BODY}|{NAME}|{FILE}|{LOCAL_PART}".encode(), re.IGNORECASE)
_TOKEN = re.compile(rb"eyJ[A-Za-z0-9_-]{20,}")


def leaks(plant: Plant, events: Iterable[bytes]) -> list[str]:
    """Return where a mark, a secret or a token stands: logs, metrics, health, events. Workers must still run."""
    secrets = {str(plant.sandbox.info["client_secret"]).encode(), plant.broker.password.encode()}
    secrets.add((plant.sandbox.directory / "client_secret").read_bytes().strip())
    found = []
    for place, said in [*_said(plant), *(("an event", event) for event in events)]:
        if match := _MARKS.search(said) or _TOKEN.search(said):
            line = said[max(0, match.start() - 80) : match.end() + 80]
            found.append(f"private in {place}: {line!r}")
        found += [f"a secret in {place}" for secret in secrets if secret in said]
    return found


def _said(plant: Plant) -> Iterator[tuple[str, bytes]]:
    for station in plant.stations:
        yield f"the log of {station.name}", (plant.directory / f"{station.name}.log").read_bytes()
        for path in ("/metrics", "/health", "/health/ready"):
            yield f"{path} of {station.name}", _get(station.worker.url() + path)


def _get(url: str) -> bytes:
    try:
        with urlopen(url, timeout=10) as answer:  # noqa: S310 - loopback
            return bytes(answer.read())
    except URLError as error:
        return error.read() if hasattr(error, "read") else b""
