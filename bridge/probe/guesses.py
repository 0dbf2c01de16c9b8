"""The list of guesses: what the sandbox assumes, and the step that checks it or the reason why only a person can."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.probe.context import ProbeContext


class Needs(StrEnum):
    """What a step does to the mailbox."""

    READ = "read"
    """It asks. Subscriptions that it makes end with it."""
    WRITE = "write"
    """It makes folders and mails of its own, or sends to the mailbox itself."""
    THOROUGH = "thorough"
    """It takes a minute, or moves more than sixty megabytes."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a step saw, in words of ours: counts, codes and yes or no, never what came from a mail."""

    same: bool
    what: str


@dataclass(frozen=True, slots=True)
class Step:
    """How a guess is checked."""

    guess: int
    assumes: str
    needs: Needs
    sign_in: str | None
    """`oauth` or `password` where it makes sense with that alone."""
    look: Callable[[ProbeContext], Seen]


STEPS: dict[int, Step] = {}


def step(
    guess: int, assumes: str, *, needs: Needs = Needs.READ, sign_in: str | None = None
) -> Callable[[Callable[[ProbeContext], Seen]], Callable[[ProbeContext], Seen]]:
    """Make a function the check of a guess."""

    def register(look: Callable[[ProbeContext], Seen]) -> Callable[[ProbeContext], Seen]:
        if guess in STEPS:
            message = f"guess {guess} has a step already"
            raise ValueError(message)
        STEPS[guess] = Step(guess, assumes, needs, sign_in, look)
        return look

    return register
