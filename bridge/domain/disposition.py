"""What happens next after an error: a pure function over its class."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.errors import BridgeError, MessageError, OperatorError, TransientError


@dataclass(frozen=True, slots=True)
class Retry:
    """Wait, then try the same again."""

    after_seconds: float


@dataclass(frozen=True, slots=True)
class Park:
    """Set this message aside with its reason and go on."""

    code: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing passes until a person acts; try again slowly."""

    code: str
    after_seconds: float


Disposition = Retry | Park | Pause


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """
    Exponential waits between a first and a longest one: the only back-off that there is.

    The caller draws `spread` from 0 to 1, so that those that failed together do not come back together.
    """

    first_seconds: float = 1.0
    longest_seconds: float = 60.0
    pause_seconds: float = 30.0
    longest_stated_seconds: float = 3_600.0
    """What the other side asks for is obeyed up to here: a slip of its must not silence a mailbox for days."""
    spread_factors: tuple[float, float] = (1.0, 1.5)
    """A wait is multiplied by the first of them where `spread` is 0, and by the second where it is 1."""

    def wait_seconds(self, attempt: int, spread: float = 0.0) -> float:
        """Return the wait before attempt number `attempt` + 1; attempts count from 1."""
        wait = min(self.longest_seconds, self.first_seconds * 2.0 ** min(attempt - 1, 30))
        least, most = self.spread_factors
        return wait * (least + (most - least) * spread)


def disposition(error: BridgeError, *, attempt: int, policy: RetryPolicy, spread: float = 0.0) -> Disposition:
    """Decide what follows an error at its `attempt`-th occurrence in a row, counted from 1."""
    match error:
        case TransientError(retry_after_seconds=float() | int() as stated):
            # The server knows best: never earlier than it said. "At once" it may say, but not over and over.
            wait = min(max(stated, policy.first_seconds), policy.longest_stated_seconds)
            return Retry(wait * (1 + spread / 10))
        case TransientError():
            return Retry(policy.wait_seconds(attempt, spread))
        case MessageError():
            return Park(error.code)
        case OperatorError(retry_after_seconds=stated):
            pause = policy.pause_seconds if stated is None else min(policy.pause_seconds, stated)
            return Pause(error.code, pause * (1 + spread / 2))
        case _:
            return Pause(error.code, policy.pause_seconds)
