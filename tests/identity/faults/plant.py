"""One planted fault: how it is planted, and what check must say of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.identity.faults.ground import Ground

    Environment = Mapping[str, str | None]
    Planting = Callable[[Ground], AbstractContextManager[Environment]]


SAME: Final = "the same"
IN_USE: Final = "the same, once a mail or a request meets it"
IN_THE_LOG: Final = "the same, in its log"
NO_START: Final = "the same, and it does not start"


def only_check(reason: str) -> str:
    """Return what is said of a fault that no running worker tells."""
    return f"nothing: {reason}"


SECRET = "BRIDGE_ENTRA__CLIENT_SECRET"
NO_FILE: Mapping[str, None] = {"BRIDGE_ENTRA__CLIENT_SECRET_FILE": None}
"""For a configuration that gives the secret otherwise, or another credential."""


@dataclass(frozen=True)
class Plant:
    """One fault."""

    planted: str
    """In words, for the page."""
    code: str
    """What the first finding that is not as it must be says; `ok` where there must be none."""
    plant: Planting
    """Plants it until the block ends, and gives the variables that are other than usual; None: it is not set."""
    state: Literal["failed", "warning", "ok"] = "failed"
    also: frozenset[str] = frozenset()
    """Codes of what is true beside it."""
    worker: str = SAME
    """What a running worker says of it: one of the above, or the reason why nothing."""

    @property
    def name(self) -> str:
        """Return it as a test's name."""
        return "".join(c if c.isalnum() else "-" for c in self.planted.lower()).strip("-")


def with_variables(make: Callable[[Ground], Environment]) -> Planting:
    """Return a planting that needs no more than variables."""

    @contextmanager
    def plant(ground: Ground) -> Iterator[Environment]:
        yield make(ground)

    return plant


def within(
    block: Callable[[Ground], AbstractContextManager[object]],
    make: Callable[[Ground], Environment] = lambda _: {},
) -> Planting:
    """Return a planting that changes something around, until its block ends."""

    @contextmanager
    def plant(ground: Ground) -> Iterator[Environment]:
        with block(ground):
            yield make(ground)

    return plant
