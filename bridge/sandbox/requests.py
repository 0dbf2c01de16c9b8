"""What a request to the admin server says, read strictly; what is not understood is refused with what would be."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiohttp import web

EVERYTHING = 1_000_000_000


class RefusedError(Exception):
    """A request that is refused with 400, and what would have been understood."""

    def __init__(self, reason: str, known: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.known = known


def number(request: web.Request, name: str, *, default: int, most: int) -> int:
    """Return a whole number of the query."""
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= most):
        raise RefusedError(f"{name} is not a whole number from 0 to {most}")
    return int(text)


async def json_body(request: web.Request) -> Any:  # noqa: ANN401 - whatever JSON the client sent
    """Return the JSON of the body."""
    try:
        return json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise RefusedError("the body is not JSON") from error


async def json_object(request: web.Request, known: tuple[str, ...]) -> dict[str, Any]:
    """Return the object that the body is, which has no keys but `known`."""
    given = await json_body(request)
    if not isinstance(given, dict):
        raise RefusedError("the body is not an object", known)
    for key in given:
        if key not in known:
            raise RefusedError(f"{key} is unknown", known)
    return given


def texts(given: dict[str, Any], key: str) -> list[str]:
    """Return the list of texts under a key."""
    value = given[key]
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise RefusedError(f"{key} is not a list of texts")
    return value


def text(given: dict[str, Any], key: str) -> str:
    """Return the text under a key, empty where there is none."""
    value = given.get(key, "")
    if not isinstance(value, str):
        raise RefusedError(f"{key} is not a text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise RefusedError(f"{key} holds half a character") from error
    return value


def switch(given: dict[str, Any], key: str) -> bool | None:
    """Return the true or false under a key, None where there is none."""
    value = given.get(key)
    if key in given and type(value) is not bool:
        raise RefusedError(f"{key} is neither true nor false")
    return value


def moment(given: dict[str, Any], key: str) -> float | None:
    """Return the moment under a key in seconds since 1970, None where there is none; ISO 8601 will do, too."""
    value = given.get(key)
    try:
        return None if value is None else _seconds(value)
    except (ValueError, OverflowError, OSError):
        raise RefusedError(f"{key} is neither seconds since 1970 nor a moment as 2026-11-29T20:00:00Z") from None


def _seconds(value: Any) -> float:  # noqa: ANN401 - JSON that is judged
    if isinstance(value, str):
        said = datetime.fromisoformat(value)
        value = (said if said.tzinfo else said.replace(tzinfo=UTC)).timestamp()
    if type(value) not in (int, float):
        raise ValueError(value)
    told(value)  # what no calendar has could not be told again
    return float(value)


def told(seconds: float) -> str:
    """Return a moment as `moment` reads it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
